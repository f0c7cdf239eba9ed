import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { effectivePeer } from './client-cert-header.ts'

const proxy = { certificate: Buffer.from('proxy certificate'), chain: [] }
const other = { certificate: Buffer.from('another certificate'), chain: [] }
const nobody = { certificate: null, chain: [] }
const pins = new Set([sha256Hex(proxy.certificate)])
const off: ReadonlySet<string> = new Set()
const item = (text: string) => `:${Buffer.from(text).toString('base64')}:`

function refuses(code: string) {
  return (error: unknown) => error instanceof Refusal && error.code === code
}

test('without the header the peer is the one of the connection, unchanged', () => {
  assert.equal(effectivePeer(other, {}, off), other)
  assert.equal(effectivePeer(other, {}, pins), other)
})

test('refuses the header from anyone but a pinned proxy, also when no proxy is configured', () => {
  for (const connection of [other, nobody, proxy]) {
    const headers = { 'client-cert': item('device') }
    assert.throws(() => effectivePeer(connection, headers, off), refuses('certificate-untrusted'))
  }
  for (const connection of [other, nobody]) {
    const headers = { 'client-cert': item('device') }
    assert.throws(() => effectivePeer(connection, headers, pins), refuses('certificate-untrusted'))
    const chainOnly = { 'client-cert-chain': item('ca') }
    assert.throws(() => effectivePeer(connection, chainOnly, pins), refuses('certificate-untrusted'))
  }
})

test('takes certificate and chain from the headers of a pinned proxy (RFC 9440 §2.2, §2.3)', () => {
  const headers = { 'client-cert': item('device'), 'client-cert-chain': `${item('ca1')}, ${item('ca2')}` }
  const peer = effectivePeer(proxy, headers, pins)
  assert.equal(Buffer.from(peer.certificate ?? []).toString(), 'device')
  assert.deepEqual(
    peer.chain.map((der) => Buffer.from(der).toString()),
    ['ca1', 'ca2'],
  )
})

test('the certificate of a proxy never counts as that of a device', () => {
  assert.deepEqual(effectivePeer(proxy, {}, pins), { certificate: null, chain: [] })
})

test('refuses broken headers of a pinned proxy: no colons, bad base64, empty, two certificates, a chain alone', () => {
  const nine = Array.from({ length: 9 }, () => item('ca')).join(',')
  for (const headers of [
    { 'client-cert': 'AAAA' },
    { 'client-cert': ':AA:' },
    { 'client-cert': '::' },
    { 'client-cert': `${item('a')}, ${item('b')}` },
    { 'client-cert': '-----BEGIN CERTIFICATE-----' },
    { 'client-cert-chain': item('ca') },
    { 'client-cert': item('a'), 'client-cert-chain': nine },
    { 'client-cert': item('a'), 'client-cert-chain': `${item('ca')},` },
  ]) {
    assert.throws(() => effectivePeer(proxy, headers, pins), refuses('malformed'), JSON.stringify(headers))
  }
})
