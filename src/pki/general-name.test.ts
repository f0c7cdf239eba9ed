import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../base/bytes.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { readDer } from './der.ts'
import { explicit, ia5String, implicit, octetString, oid, sequence, utf8String } from './der-writer.ts'
import {
  type GeneralName,
  encodeGeneralNames,
  equalGeneralNameSets,
  parseGeneralNames,
} from './general-name.ts'
import { formatGeneralName, parseGeneralNameText } from './general-name-text.ts'
import { formatIp, ipBytes } from './ip.ts'
import { oids } from './oid.ts'

function parse(...names: Uint8Array[]): readonly GeneralName[] {
  return parseGeneralNames(readDer(sequence(...names)), 'subjectAltName')
}

describe('text, DER and back', () => {
  const texts = [
    'dns:device-1.example',
    'dns:*.example.com',
    'dns:localhost',
    'dns:_sensor._tcp.local',
    'uri:urn:perennial:device:meter-1',
    'uri:https://example.com:8443/a?b=c#d',
    'uri:urn:dev:mac:0024befffe804ff1',
    'ip:192.0.2.1',
    'ip:2001:db8::1',
    'ip:::',
    'ip:::1',
    'ip:1:0:1:0:1:0:1:0',
    'email:ops@example.com',
    'dir:CN=a,O=b',
    'rid:1.2.3.4',
    'hw:1.3.6.1.4.1.99999.1:0a0b0c',
    'other:1.3.6.1.4.1.311.20.2.3:0c0161',
  ]
  for (const text of texts) {
    test(text, () => {
      const name = parseGeneralNameText(text)
      assert.equal(formatGeneralName(name), text)
      assert.deepEqual(parseGeneralNames(readDer(encodeGeneralNames([name])), 'x'), [name])
    })
  }

  test('hardwareModuleName has the form of RFC 4108 §5', () => {
    const der = encodeGeneralNames([parseGeneralNameText('hw:1.2.3:ff')])
    assert.equal(toHex(der), '3017a01506082b06010505070804a00930070602 2a03 0401ff'.replaceAll(' ', ''))
  })

  test('IP addresses are written in their shortest form (RFC 5952)', () => {
    assert.equal(formatGeneralName(parseGeneralNameText('ip:2001:0DB8:0:0:0:0:0:1')), 'ip:2001:db8::1')
    assert.equal(formatGeneralName(parseGeneralNameText('ip:::ffff:192.0.2.1')), 'ip:::ffff:c000:201')
  })

  const invalid = [
    '',
    'dns',
    'dns:',
    'dns:.example',
    'dns:a..b',
    'dns:example.',
    'dns:-a',
    'dns:a-',
    'dns:a b',
    'dns:a.*.b',
    'dns:*',
    'dns:ä.example',
    `dns:${'a'.repeat(64)}.example`,
    `dns:${'a.'.repeat(127)}`,
    'uri:',
    'uri:/relative',
    'uri:urn:',
    'uri:a b:c',
    'uri:urn:a b',
    'uri:urn:%zz',
    'uri:urn:a"b',
    'uri:ürn:a',
    `uri:urn:${'a'.repeat(2048)}`,
    'ip:1.2.3',
    'ip:1.2.3.256',
    'ip:01.2.3.4',
    'ip:fe80::1%eth0',
    'ip:1::2::3',
    'email:a',
    'email:@b',
    'email:a@',
    'email:a b@c',
    'email:a@b@c',
    'dir:CN',
    'rid:1',
    'rid:x',
    'hw:1.2.3',
    'hw:1.2.3:',
    'hw:1.2.3:0',
    'hw:1.2.3:xy',
    'hw:1:ff',
    `hw:1.2.3:${'00'.repeat(256)}`,
    'other:1.2.3:',
    'other:1.2.3:0c',
    'other:1.2.3:05000500',
    'x400:a',
    'constructor:a',
  ]
  for (const text of invalid) {
    test(`refuses ${text.slice(0, 40) || 'nothing'}`, () =>
      refuses('malformed', () => parseGeneralNameText(text)))
  }
})

describe('refuses in DER', () => {
  const invalid: [string, () => unknown, RegExp][] = [
    ['no names', () => parse(), /at least one/],
    ['a universal type', () => parse(utf8String('a')), /no GeneralName/],
    ['x400Address', () => parse(implicit(3, sequence())), /not supported/],
    ['ediPartyName', () => parse(implicit(5, sequence())), /not supported/],
    ['an unknown tag', () => parse(implicit(9, octetString(new Uint8Array(4)))), /not supported/],
    ['a constructed dNSName', () => parse(implicit(2, sequence())), /cannot hold/],
    ['an IP address of five octets', () => parse(implicit(7, octetString(new Uint8Array(5)))), /4 or 16/],
    ['an empty IP address', () => parse(implicit(7, octetString(new Uint8Array()))), /4 or 16/],
    ['an empty dNSName', () => parse(implicit(2, ia5String(''))), /dns/],
    ['a URI without a scheme', () => parse(implicit(6, ia5String('example'))), /uri/],
    ['an otherName without a value', () => parse(implicit(0, sequence(oid('1.2.3')))), /without a value/],
    [
      'an otherName with an implicit value',
      () => parse(implicit(0, sequence(oid('1.2.3'), implicit(0, utf8String('a'))))),
      /one value/,
    ],
    [
      'a hardwareModuleName without a serial number',
      () => parse(implicit(0, sequence(oid(oids.hardwareModuleName), explicit(0, sequence(oid('1.2.3')))))),
      /hwSerialNum is missing/,
    ],
    [
      'a hardwareModuleName with an empty serial number',
      () =>
        parse(
          implicit(
            0,
            sequence(
              oid(oids.hardwareModuleName),
              explicit(0, sequence(oid('1.2.3'), octetString(new Uint8Array()))),
            ),
          ),
        ),
      /1 to 255/,
    ],
    ['a directoryName with an implicit tag', () => parse(implicit(4, sequence())), /one value/],
  ]
  for (const [name, work, message] of invalid) test(name, () => refuses('malformed', work, message))

  test('control characters as hostile', () => {
    refuses('hostile-name', () => parse(implicit(2, ia5String('good.example\0.evil.example'))))
    refuses('hostile-name', () => parse(implicit(6, ia5String('urn:a\nb'))))
    refuses('hostile-name', () => parse(implicit(1, ia5String('a\x1b@b'))))
  })
})

describe('equality of sets (RFC 5280 §7)', () => {
  const set = (...texts: string[]): GeneralName[] => texts.map(parseGeneralNameText)

  const equal: [string[], string[]][] = [
    [[], []],
    [
      ['dns:a.example', 'uri:urn:x'],
      ['uri:urn:x', 'dns:A.EXAMPLE'],
    ],
    [['dns:a'], ['dns:a', 'dns:A']],
    [['uri:HTTPS://Host.Example/Path'], ['uri:https://host.example/Path']],
    [['uri:https://User@Host/'], ['uri:https://User@host/']],
    [['uri:URN:x:Y'], ['uri:urn:x:Y']],
    [['email:Ops@Example.COM'], ['email:Ops@example.com']],
    [['ip:2001:db8::1'], ['ip:2001:db8:0:0::1']],
    [['dir:CN=a'], ['dir:CN=A']],
  ]
  for (const [a, b] of equal)
    test(`${a} = ${b}`, () => assert.equal(equalGeneralNameSets(set(...a), set(...b)), true))

  const unequal: [string[], string[]][] = [
    [['dns:a'], []],
    [['dns:a'], ['dns:b']],
    [['dns:a'], ['uri:urn:a']],
    [['dns:a'], ['dns:a', 'dns:b']],
    [['uri:https://h/a'], ['uri:https://h/A']],
    [['uri:https://user@h/'], ['uri:https://User@h/']],
    [['uri:urn:x:Y'], ['uri:urn:x:y']],
    [['email:Ops@example.com'], ['email:ops@example.com']],
    [['hw:1.2.3:00'], ['hw:1.2.3:01']],
    [['ip:1.2.3.4'], ['ip:::ffff:1.2.3.4']],
  ]
  for (const [a, b] of unequal) {
    test(`${a} ≠ ${b || 'nothing'}`, () => {
      assert.equal(equalGeneralNameSets(set(...a), set(...b)), false)
      assert.equal(equalGeneralNameSets(set(...b), set(...a)), false)
    })
  }
})

test('every address round-trips through its text', () => {
  const octets = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
      .map((values) => Uint8Array.from(values)),
  )
  fc.assert(
    fc.property(octets, (bytes) => {
      const text = formatIp(bytes)
      assert.ok(text)
      assert.deepEqual(ipBytes(text), bytes)
      // The URL parser writes RFC 5952 too.
      if (bytes.length === 16) assert.equal(new URL(`http://[${text}]`).hostname, `[${text}]`)
    }),
    { numRuns: 500 },
  )
  assert.equal(formatIp(new Uint8Array(5)), null)
})
