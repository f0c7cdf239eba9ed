import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { lookup as systemLookup } from 'node:dns'
import { refusal } from '../../test/conformance/notifier.ts'
import { addressRule, guardedLookup, isPublicAddress } from './public-address.ts'

const inside = [
  '127.0.0.1',
  '10.0.0.1',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '169.254.169.254',
  '100.64.0.1',
  '0.0.0.0',
  '224.0.0.1',
  '255.255.255.255',
  '198.18.0.1',
  '::',
  '::1',
  '::ffff:127.0.0.1',
  '::ffff:8.8.8.8',
  '64:ff9b::7f00:1',
  'fe80::1',
  'fc00::1',
  'fd12::1',
  'ff02::1',
  '2002:7f00:1::1',
  '2001::1',
  '2001:db8::1',
  'localhost',
  '',
]

test('what is not reached over the internet is not public', () => {
  for (const address of inside) assert.equal(isPublicAddress(address), false, address)
})

test('public addresses are', () => {
  for (const address of [
    '8.8.8.8',
    '172.32.0.1',
    '100.128.0.1',
    '192.169.0.1',
    '2606:4700::1111',
    '2a00:1450::1',
  ])
    assert.equal(isPublicAddress(address), true, address)
})

test('the allow list lets in what it names, and nothing beside it', () => {
  const rule = addressRule(['10.1.2.3', '192.168.7.0/24', 'fd00::/8'], 'x')
  for (const address of ['10.1.2.3', '192.168.7.9', 'fd12::1', '8.8.8.8']) assert.ok(rule(address), address)
  for (const address of ['10.1.2.4', '192.168.8.1', 'fe80::1', '127.0.0.1'])
    assert.ok(!rule(address), address)
})

test('what is no address is refused', async () => {
  for (const text of ['10.1.2', '10.0.0.0/33', 'fd00::/129', 'host', '10.0.0.0/x'])
    assert.equal(
      (await refusal(Promise.resolve().then(() => addressRule([text], 'x')))).code,
      'configuration-invalid',
    )
})

test('a name that answers with one address inside among public ones is refused', async () => {
  const answers = (addresses: readonly string[]) =>
    ((
      _host: string,
      _options: unknown,
      callback: (error: null, all: { address: string; family: number }[]) => void,
    ) =>
      callback(
        null,
        addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
      )) as unknown as typeof systemLookup
  const look = async (addresses: readonly string[]) =>
    await new Promise<string>((resolve) => {
      const lookup = guardedLookup(isPublicAddress, answers(addresses))
      lookup('x.example', { all: true }, (error, found) =>
        resolve(error ? error.name : JSON.stringify(found)),
      )
    })
  assert.match(await look(['8.8.8.8', '2606:4700::1111']), /8\.8\.8\.8/)
  assert.equal(await look(['8.8.8.8', '127.0.0.1']), 'AddressRefused')
  assert.equal(await look(['169.254.169.254']), 'AddressRefused')
  assert.equal(await look([]), 'AddressRefused')
})
