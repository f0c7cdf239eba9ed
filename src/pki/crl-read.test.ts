/** What the reader of CRLs refuses. Each case differs in one place from a CRL that it reads. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { RefusalCode } from '../base/errors.ts'
import { makeCertificate, testNow } from '../../test/helpers/certificates.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { parseCrl } from './crl-read.ts'
import {
  bitString,
  boolean,
  enumerated,
  explicit,
  generalizedTime,
  integer,
  octetString,
  oid,
  sequence,
  time,
} from './der-writer.ts'
import { encodeExtension, makeExtension } from './extensions.ts'
import { oids } from './oid.ts'
import { encodeAlgorithm } from './signature.ts'

const issuer = makeCertificate().certificate.subjectDer
const algorithm = encodeAlgorithm('ecdsa-sha256')
const at = time(testNow)
const later = time(testNow + 86_400_000)
const entry = sequence(integer(5), at)
const number = encodeExtension(makeExtension(oids.cRLNumber, integer(1)))

interface Parts {
  version?: Uint8Array[]
  signature?: Uint8Array
  issuer?: Uint8Array
  updates?: Uint8Array[]
  list?: Uint8Array[]
  extensions?: Uint8Array[]
  more?: Uint8Array[]
}

function crl(parts: Parts = {}): Uint8Array {
  const tbs = sequence(
    ...(parts.version ?? [integer(1)]),
    parts.signature ?? algorithm,
    parts.issuer ?? issuer,
    ...(parts.updates ?? [at, later]),
    ...(parts.list ?? [sequence(entry)]),
    ...(parts.extensions ?? [explicit(0, sequence(number))]),
    ...(parts.more ?? []),
  )
  return sequence(tbs, algorithm, bitString(Uint8Array.of(1, 2, 3)))
}

const withExtension = (type: string, value: Uint8Array, critical: boolean): Parts => ({
  extensions: [explicit(0, sequence(encodeExtension({ oid: type, critical, value })))],
})
const withEntry = (...fields: Uint8Array[]): Parts => ({ list: [sequence(sequence(...fields))] })
const entryExtension = (type: string, value: Uint8Array, critical = false): Uint8Array =>
  sequence(sequence(oid(type), ...(critical ? [boolean(true)] : []), octetString(value)))

test('the CRL that the cases below are made from is read', () => {
  const read = parseCrl(crl())
  assert.equal(read.entryCount, 1)
  assert.equal(read.crlNumber, 1n)
})

test('forms of other CAs that are read', () => {
  const first = parseCrl(crl({ version: [], extensions: [] }))
  assert.equal(first.version, 1)
  assert.equal(parseCrl(crl({ updates: [at] })).nextUpdate, null)
  const unspecified = parseCrl(crl(withEntry(integer(5), at, entryExtension(oids.reasonCode, enumerated(0)))))
  assert.equal([...unspecified.entries()][0]?.reason, 'unspecified')
  const unknown = parseCrl(crl(withEntry(integer(5), at, entryExtension('1.2.3.4', integer(1)))))
  assert.equal(unknown.entryCount, 1)
  assert.equal(parseCrl(crl(withEntry(integer(0), at))).find('00' as never)?.serialNumber, '00')
})

const cases: readonly (readonly [string, Parts | Uint8Array, RefusalCode?])[] = [
  ['nothing', new Uint8Array()],
  ['one byte', Uint8Array.of(0x30)],
  ['trailing bytes', Buffer.concat([crl(), Uint8Array.of(0)])],
  ['a cut end', crl().subarray(0, -1)],
  ['an indefinite length', Uint8Array.of(0x30, 0x80, 0, 0)],
  ['version 3', { version: [integer(2)] }],
  ['an encoded version 1', { version: [integer(0)] }],
  ['another algorithm inside than outside', { signature: encodeAlgorithm('ecdsa-sha384') }],
  ['an empty issuer', { issuer: sequence() }],
  ['no thisUpdate', { updates: [] }],
  ['nextUpdate before thisUpdate', { updates: [later, at] }],
  ['an empty list of entries', { list: [sequence()] }],
  ['a field after the extensions', { more: [integer(1)] }],
  ['no extensions in their field', { extensions: [explicit(0, sequence())] }],
  ['extensions in version 1', { version: [] }],
  ['an extension twice', { extensions: [explicit(0, sequence(number, number))] }],
  ['a negative CRL number', withExtension(oids.cRLNumber, integer(-1), false)],
  ['a CRL number of 21 octets', withExtension(oids.cRLNumber, integer(2n ** 160n), false)],
  ['a delta indicator that is not critical', withExtension(oids.deltaCRLIndicator, integer(1), false)],
  ['an empty IDP', withExtension(oids.issuingDistributionPoint, sequence(), true)],
  [
    'an IDP for users only and for CAs only',
    withExtension(
      oids.issuingDistributionPoint,
      sequence(Uint8Array.of(0x81, 1, 0xff), Uint8Array.of(0x82, 1, 0xff)),
      true,
    ),
  ],
  [
    'an IDP that is not critical',
    withExtension(oids.issuingDistributionPoint, sequence(Uint8Array.of(0x81, 1, 0xff)), false),
  ],
  [
    'an IDP with an encoded FALSE',
    withExtension(oids.issuingDistributionPoint, sequence(Uint8Array.of(0x81, 1, 0)), true),
  ],
  [
    'an indirect CRL',
    withExtension(oids.issuingDistributionPoint, sequence(Uint8Array.of(0x84, 1, 0xff)), true),
    'not-implemented',
  ],
  ['an unknown critical extension', withExtension('1.2.3.4', integer(1), true), 'not-implemented'],
  ['an entry without a date', withEntry(integer(5))],
  ['an entry that is no SEQUENCE', { list: [sequence(integer(5))] }],
  ['an empty entry', withEntry()],
  ['a negative serial number', withEntry(integer(-5), at)],
  ['an empty serial number', withEntry(Uint8Array.of(2, 0), at)],
  ['a serial number with a leading zero octet', withEntry(Uint8Array.of(2, 2, 0, 1), at)],
  ['a serial number of 21 octets', withEntry(Uint8Array.of(2, 21, ...new Uint8Array(21).fill(1)), at)],
  [
    'a date that does not exist',
    withEntry(integer(5), Uint8Array.of(0x17, 13, ...Buffer.from('260231000000Z'))),
  ],
  ['a date with a zone', withEntry(integer(5), Uint8Array.of(0x17, 15, ...Buffer.from('2602010000+0100')))],
  [
    'an entry with something after its extensions',
    withEntry(integer(5), at, entryExtension(oids.reasonCode, enumerated(1)), integer(1)),
  ],
  ['an unknown reason', withEntry(integer(5), at, entryExtension(oids.reasonCode, enumerated(7)))],
  ['a reason that is an INTEGER', withEntry(integer(5), at, entryExtension(oids.reasonCode, integer(1)))],
  ['an invalidity date in UTCTime', withEntry(integer(5), at, entryExtension(oids.invalidityDate, at))],
  [
    'a certificateIssuer (indirect CRL)',
    withEntry(integer(5), at, entryExtension(oids.certificateIssuer, sequence(), true)),
    'not-implemented',
  ],
  [
    'entry extensions in version 1',
    {
      version: [],
      extensions: [],
      ...withEntry(integer(5), at, entryExtension(oids.invalidityDate, generalizedTime(testNow))),
    },
  ],
]

describe('refuses', () => {
  for (const [name, given, code = 'malformed'] of cases) {
    test(name, () => refuses(code, () => parseCrl(given instanceof Uint8Array ? given : crl(given))))
  }
})
