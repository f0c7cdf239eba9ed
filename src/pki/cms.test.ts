import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { seededRandom } from '../base/random.ts'
import { toHex } from '../base/bytes.ts'
import { makeCertificate } from '../../test/helpers/certificates.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { certsOnly, contentInfo, parseCertsOnly } from './cms.ts'
import { envelopedData } from './cms-enveloped.ts'
import { readDer } from './der.ts'
import { explicit, implicit, integer, nullValue, octetString, oid, sequence, setOf } from './der-writer.ts'
import { oids } from './oid.ts'

const ca = makeCertificate()
const leaf = makeCertificate({ issuer: ca })
const both = [leaf.certificate.der, ca.certificate.der]

describe('certs-only', () => {
  test('has the degenerate form of RFC 7030 §4.1.3', () => {
    const [type, content] = readDer(certsOnly([leaf.certificate.der])).children
    assert.equal(toHex(type?.raw ?? new Uint8Array()), '06092a864886f70d010702')
    const fields = content?.children[0]?.children.map((node) => toHex(node.raw)) ?? []
    assert.equal(fields[0], '020101', 'version 1')
    assert.equal(fields[1], '3100', 'no digest algorithms')
    assert.equal(fields[2], '300b06092a864886f70d010701', 'id-data without content')
    assert.match(fields[3] ?? '', /^a08/)
    assert.equal(fields[4], '3100', 'no signers')
    assert.equal(fields.length, 5)
  })

  test('carries any number of certificates, sorted', () => {
    assert.deepEqual(parseCertsOnly(certsOnly([])), [])
    const read = parseCertsOnly(certsOnly(both)).map(toHex)
    assert.deepEqual(read, both.map(toHex).sort())
    assert.deepEqual(certsOnly(both), certsOnly(both.toReversed()))
  })

  test('is read in any order, and without a certificates field', () => {
    const unsorted = implicit(0, sequence(...both.toSorted((a, b) => Buffer.compare(b, a))))
    assert.equal(parseCertsOnly(signed({ certificates: unsorted })).length, 2)
    assert.deepEqual(parseCertsOnly(signed({ certificates: new Uint8Array() })), [])
    assert.equal(parseCertsOnly(signed({ crls: implicit(1, setOf()) })).length, 1)
  })

  const invalid: [string, () => Uint8Array, RegExp][] = [
    [
      'another content type',
      () => contentInfo(oids.data, octetString(Uint8Array.of(1))),
      /expected signedData/,
    ],
    ['no content', () => sequence(oid(oids.signedData)), /content is missing/],
    ['version 3', () => signed({ version: integer(3) }), /version/],
    [
      'a digest algorithm',
      () => signed({ digests: setOf(sequence(oid(oids.sha256))) }),
      /digestAlgorithms must be empty/,
    ],
    [
      'content',
      () => signed({ inner: sequence(oid(oids.data), explicit(0, octetString(Uint8Array.of(1)))) }),
      /unexpected/,
    ],
    ['content of another type', () => signed({ inner: sequence(oid(oids.signedData)) }), /not id-data/],
    ['a signer', () => signed({ signers: setOf(sequence()) }), /signerInfos must be empty/],
    [
      'an attribute certificate',
      () => signed({ certificates: implicit(0, setOf(implicit(1, sequence()))) }),
      /only X.509/,
    ],
    [
      'a primitive set',
      () => signed({ certificates: implicit(0, octetString(new Uint8Array())) }),
      /must be a SET/,
    ],
    [
      'something behind',
      () => sequence(...readDer(certsOnly(both)).children.map((node) => node.raw), nullValue()),
      /unexpected/,
    ],
    ['a bare certificate', () => leaf.certificate.der, /contentType/],
    ['BER', () => Buffer.from('308006092a864886f70d010702a08000000000', 'hex'), /indefinite/],
  ]
  for (const [name, build, message] of invalid) {
    test(`refuses ${name}`, () => refuses('malformed', () => parseCertsOnly(build()), message))
  }
})

interface SignedParts {
  readonly version: Uint8Array
  readonly digests: Uint8Array
  readonly inner: Uint8Array
  readonly certificates: Uint8Array
  readonly crls: Uint8Array
  readonly signers: Uint8Array
}

function signed(changes: Partial<SignedParts>): Uint8Array {
  const parts: SignedParts = {
    version: integer(1),
    digests: setOf(),
    inner: sequence(oid(oids.data)),
    certificates: implicit(0, setOf(leaf.certificate.der)),
    crls: new Uint8Array(),
    signers: setOf(),
    ...changes,
  }
  const { version, digests, inner, certificates, crls, signers } = parts
  return contentInfo(oids.signedData, sequence(version, digests, inner, certificates, crls, signers))
}

describe('EnvelopedData', () => {
  const random = seededRandom('envelope')
  const content = Buffer.from('a private key')

  test('refuses recipients whose keys only sign', () => {
    for (const keyAlgorithm of ['ed25519', 'ml-dsa-44'] as const) {
      const { certificate } = makeCertificate({ keyAlgorithm })
      refuses('bad-algorithm', () =>
        envelopedData({ content, recipient: { kind: 'certificate', certificate } }, random),
      )
    }
  })

  test('refuses a wrapping key of an odd length', () => {
    for (const length of [0, 15, 17, 31, 33]) {
      const recipient = { kind: 'kek', keyIdentifier: Uint8Array.of(1), key: new Uint8Array(length) } as const
      refuses('weak-key', () => envelopedData({ content, recipient }, random), /16, 24 or 32/)
    }
  })

  test('has the version that its recipient asks for (RFC 5652 §6.1)', () => {
    const version = (keyAlgorithm: 'rsa-2048' | 'ec-p256'): number | undefined => {
      const { certificate } = makeCertificate({ keyAlgorithm })
      const der = envelopedData({ content, recipient: { kind: 'certificate', certificate } }, random)
      return readDer(der).children[1]?.children[0]?.children[0]?.content[0]
    }
    assert.equal(version('rsa-2048'), 0)
    assert.equal(version('ec-p256'), 2)
  })

  test('never encrypts twice with the same key', () => {
    const recipient = { kind: 'kek', keyIdentifier: Uint8Array.of(1), key: new Uint8Array(32) } as const
    const first = envelopedData({ content, recipient }, random)
    assert.notDeepEqual(first, envelopedData({ content, recipient }, random))
    assert.equal(toHex(first).includes(toHex(content)), false)
  })
})
