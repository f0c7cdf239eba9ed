import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import { describe, test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../base/bytes.ts'
import { InvariantError, Refusal } from '../base/errors.ts'
import type { SerialNumber } from '../base/id.ts'
import { makeCertificate, san, signTbs, testNow } from '../../test/helpers/certificates.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import {
  type CertificateContent,
  encodeTbsCertificate,
  noExpiry,
  parseCertificate,
  parseTbsCertificate,
} from './certificate.ts'
import { readDer } from './der.ts'
import {
  bitString,
  explicit,
  generalizedTime,
  implicit,
  integer,
  nullValue,
  sequence,
  time,
} from './der-writer.ts'
import { makeExtension } from './extensions.ts'
import { keyAlgorithms, parsePublicKey } from './key.ts'
import { encodeName } from './name.ts'
import { formatName, parseNameText } from './name-text.ts'
import { oids } from './oid.ts'
import { decodePem } from './pem.ts'
import { encodeAlgorithm, verifySignature } from './signature.ts'

const ca = makeCertificate()

const content: CertificateContent = {
  serialNumber: '4a00ff' as SerialNumber,
  issuer: parseNameText('CN=Test CA,O=Example'),
  subject: parseNameText('serialNumber=SN-1+CN=device-1,O=Example'),
  notBefore: testNow,
  notAfter: noExpiry,
  spki: ca.keys.spki,
  extensions: [san('uri:urn:perennial:device:1'), makeExtension('1.2.3.4', nullValue(), true)],
  signatureAlgorithm: 'ecdsa-sha256',
}

test('what is encoded is what is read', () => {
  const tbs = encodeTbsCertificate(content)
  const parsed = parseTbsCertificate(tbs)
  assert.equal(parsed.version, 3)
  assert.equal(parsed.serialNumber, content.serialNumber)
  assert.deepEqual(parsed.issuer, content.issuer)
  assert.equal(formatName(parsed.subject), 'serialNumber=SN-1+CN=device-1,O=Example')
  assert.equal(parsed.notBefore, content.notBefore)
  assert.equal(parsed.notAfter, noExpiry)
  assert.deepEqual(parsed.spki, Uint8Array.from(content.spki))
  assert.equal(parsed.signatureAlgorithm, 'ecdsa-sha256')
  assert.deepEqual(parsed.extensions.list, content.extensions)
  assert.deepEqual(encodeTbsCertificate({ ...content, issuerDer: parsed.issuerDer }), tbs)
})

test('a signed certificate carries its parts as views on the input', () => {
  const { certificate, keys } = makeCertificate({ issuer: ca })
  const again = parseCertificate(certificate.der)
  assert.deepEqual(again, certificate)
  assert.equal(again.tbs.buffer, certificate.der.buffer)
  const key = parsePublicKey(ca.keys.spki)
  const { signatureAlgorithm: algorithm, signature, tbs } = certificate
  assert.equal(verifySignature({ key, algorithm, data: tbs, signature }), true)
  assert.equal(verifySignature({ key: parsePublicKey(keys.spki), algorithm, data: tbs, signature }), false)
})

for (const keyAlgorithm of keyAlgorithms.filter(
  (algorithm) => algorithm !== 'rsa-4096' && algorithm !== 'rsa-3072',
)) {
  test(`node reads and verifies a self-signed ${keyAlgorithm} certificate`, () => {
    const { certificate } = makeCertificate({ keyAlgorithm, extensions: [san('dns:a.example', 'uri:urn:x')] })
    const node = new X509Certificate(certificate.der)
    assert.equal(node.verify(node.publicKey), true)
    assert.equal(node.subject, 'O=Example\nCN=Test CA')
    assert.equal(node.subjectAltName, 'DNS:a.example, URI:urn:x')
    assert.equal(node.ca, true)
    assert.equal(node.serialNumber.toLowerCase(), certificate.serialNumber)
    assert.equal(Date.parse(node.validTo), certificate.notAfter)
  })
}

test('times up to 2049 are UTCTime, later ones GeneralizedTime, both read back', () => {
  for (const notAfter of [Date.UTC(2049, 11, 31, 23, 59, 59), Date.UTC(2050, 0, 1), noExpiry]) {
    assert.equal(parseTbsCertificate(encodeTbsCertificate({ ...content, notAfter })).notAfter, notAfter)
  }
})

describe('refuses', () => {
  const parts = readDer(encodeTbsCertificate(content)).children.map((node) => node.raw)
  const [version = nullValue(), serial = nullValue(), algorithm = nullValue(), issuer = nullValue()] = parts
  const [validity = nullValue(), subject = nullValue(), spki = nullValue(), extensions = nullValue()] =
    parts.slice(4)
  const names = [issuer, validity, subject, spki]
  const utc = time(testNow)

  test('nothing, when nothing is wrong', () => {
    assert.deepEqual(sequence(...parts), encodeTbsCertificate(content))
    parseCertificate(signTbs(sequence(...parts), ca))
    // Version 1 without extensions: an old root.
    assert.equal(parseTbsCertificate(sequence(serial, algorithm, ...names)).version, 1)
    assert.equal(
      parseTbsCertificate(sequence(version, serial, algorithm, ...names)).extensions.list.length,
      0,
    )
  })

  const invalid: [string, Uint8Array, RegExp][] = [
    ['an encoded version 1', sequence(explicit(0, integer(0)), serial, algorithm, ...names), /version/],
    ['version 2', sequence(explicit(0, integer(1)), serial, algorithm, ...names), /version/],
    ['version 4', sequence(explicit(0, integer(3)), serial, algorithm, ...names, extensions), /version/],
    ['extensions in version 1', sequence(serial, algorithm, ...names, extensions), /version 3/],
    ['a negative serial number', sequence(version, integer(-1), algorithm, ...names, extensions), /negative/],
    [
      'a serial number of 21 octets',
      sequence(version, integer(2n ** 160n), algorithm, ...names, extensions),
      /20 octets/,
    ],
    [
      'an empty issuer',
      sequence(version, serial, algorithm, sequence(), validity, subject, spki, extensions),
      /issuer: empty/,
    ],
    [
      'a validity of one time',
      sequence(version, serial, algorithm, issuer, sequence(utc), subject, spki, extensions),
      /notAfter/,
    ],
    [
      'a validity of three times',
      sequence(version, serial, algorithm, issuer, sequence(utc, utc, utc), subject, spki, extensions),
      /unexpected/,
    ],
    [
      'an issuerUniqueID',
      sequence(version, serial, algorithm, ...names, implicit(1, bitString(Uint8Array.of(1))), extensions),
      /unexpected context tag 1/,
    ],
    [
      'extensions twice',
      sequence(version, serial, algorithm, ...names, extensions, extensions),
      /unexpected/,
    ],
    ['empty extensions', sequence(version, serial, algorithm, ...names, explicit(3, sequence())), /empty/],
    ['no subject', sequence(version, serial, algorithm, issuer, validity, spki, extensions), /./],
    [
      'no key',
      sequence(version, serial, algorithm, issuer, validity, subject, extensions),
      /subjectPublicKeyInfo/,
    ],
    ['nothing inside', sequence(), /missing/],
  ]
  for (const [name, tbs, message] of invalid) {
    test(name, () => {
      refuses('malformed', () => parseTbsCertificate(tbs), message)
      refuses('malformed', () => parseCertificate(signTbs(tbs, ca)), message)
    })
  }

  test('an outer algorithm that differs from the signed one', () => {
    const tbs = sequence(...parts)
    const other = sequence(tbs, encodeAlgorithm('ecdsa-sha384'), bitString(Uint8Array.of(1)))
    refuses('malformed', () => parseCertificate(other), /differs/)
  })

  test('SHA-1 and MD5 signatures', () => {
    for (const hex of [
      '300d06092a864886f70d0101050500',
      '300d06092a864886f70d0101040500',
      '300906072a8648ce3d0401',
    ]) {
      const weak = Buffer.from(hex, 'hex')
      const tbs = sequence(version, serial, weak, ...names, extensions)
      refuses('bad-algorithm', () => parseCertificate(sequence(tbs, weak, bitString(Uint8Array.of(1)))))
    }
  })

  test('hostile names', () => {
    const hostile = sequence(Buffer.from('311230100603550403 0c09676f6f640a6576696c'.replace(' ', ''), 'hex'))
    const tbs = sequence(version, serial, algorithm, issuer, validity, hostile, spki, extensions)
    refuses('hostile-name', () => parseTbsCertificate(tbs))
    refuses('hostile-name', () =>
      encodeTbsCertificate({ ...content, subject: [[{ type: oids.commonName, value: 'a\nb' }]] }),
    )
  })

  test('a certificate with unused bits in its signature, trailing bytes, or other parts', () => {
    const { certificate } = ca
    const outer = readDer(certificate.der).children.map((node) => node.raw)
    const [tbs = nullValue(), outerAlgorithm = nullValue(), signature = nullValue()] = outer
    refuses(
      'malformed',
      () => parseCertificate(Buffer.concat([certificate.der, Uint8Array.of(0)])),
      /trailing/,
    )
    refuses('malformed', () => parseCertificate(sequence(tbs, outerAlgorithm)), /missing/)
    refuses(
      'malformed',
      () => parseCertificate(sequence(tbs, outerAlgorithm, signature, signature)),
      /unexpected/,
    )
    refuses(
      'malformed',
      () => parseCertificate(sequence(tbs, outerAlgorithm, bitString(Uint8Array.of(2), 1))),
      /whole/,
    )
    refuses('malformed', () => parseCertificate(certificate.tbs))
    refuses('malformed', () => parseCertificate(new Uint8Array()))
  })
})

test('what public roots have is read: serial number zero, GeneralizedTime before 2050', () => {
  const fields = readDer(encodeTbsCertificate(content)).children.map((node) => node.raw)
  const zero = sequence(
    ...fields.with(1, integer(0)).with(4, sequence(generalizedTime(testNow), time(noExpiry))),
  )
  const parsed = parseTbsCertificate(zero)
  assert.equal(parsed.serialNumber, '00')
  assert.equal(parsed.notBefore, testNow)
  assert.throws(() => encodeTbsCertificate({ ...content, serialNumber: parsed.serialNumber }), InvariantError)
  assert.throws(() => encodeTbsCertificate({ ...content, extensions: [] }), InvariantError)
})

test('reads nearly every root that node trusts, and refuses the rest by name', () => {
  const refused = rootCertificates.flatMap((pem) => {
    const [block] = decodePem(pem)
    assert.ok(block)
    try {
      const certificate = parseCertificate(block.der)
      const node = new X509Certificate(block.der)
      assert.equal(BigInt(`0x${certificate.serialNumber}`), BigInt(`0x${node.serialNumber}`))
      assert.equal(certificate.notAfter, node.validToDate.getTime())
      return []
    } catch (error) {
      assert.ok(error instanceof Refusal, String(error))
      return [error.code]
    }
  })
  assert.ok(rootCertificates.length > 50)
  // Self-signatures with SHA-1, which a root's own signature could be forgiven but nothing else could.
  assert.deepEqual(new Set(refused), new Set(refused.length > 0 ? ['bad-algorithm'] : []))
  assert.ok(refused.length < 10)
})

test('any content round-trips', () => {
  const second = fc
    .integer({ min: Date.UTC(1950, 0, 1) / 1000, max: noExpiry / 1000 })
    .map((value) => value * 1000)
  const serial = fc.uint8Array({ minLength: 1, maxLength: 20 }).filter(([first = 0]) => first > 0)
  const extension = fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.boolean(), fc.uint8Array({ maxLength: 200 }))
    .map(([arc, critical, value]) => ({ oid: `1.3.6.1.4.1.99999.${arc}`, critical, value }))
  const record = fc.tuple(
    serial.map((bytes) => toHex(bytes) as SerialNumber),
    second,
    second,
    fc.uniqueArray(extension, { minLength: 1, maxLength: 8, selector: ({ oid }) => oid }),
    fc.stringMatching(/^[A-Za-z0-9äöü€ ]{1,64}$/),
  )
  fc.assert(
    fc.property(record, ([serialNumber, notBefore, notAfter, extensions, value]) => {
      const subject = [[{ type: oids.commonName, value }]]
      const wanted = { ...content, serialNumber, notBefore, notAfter, extensions, subject }
      const parsed = parseTbsCertificate(encodeTbsCertificate(wanted))
      const { list } = parsed.extensions
      assert.deepEqual(
        { ...wanted, ...parsed, extensions: list, spki: wanted.spki },
        { ...parsed, ...wanted },
      )
    }),
    { numRuns: 300 },
  )
})

test('an empty subject is read: the names are then in the SAN', () => {
  const { certificate } = makeCertificate({ issuer: ca, subject: '', extensions: [san('uri:urn:x')] })
  assert.deepEqual(certificate.subject, [])
  assert.equal(toHex(certificate.subjectDer), toHex(encodeName([])))
})
