import assert from 'node:assert/strict'
import { test } from 'node:test'
import { toHex } from '../base/bytes.ts'
import { InvariantError } from '../base/errors.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { encodeCsrAttributes, parseCsrAttributes } from './csr-attributes.ts'
import { type DerNode, readDer } from './der.ts'
import { integer, nullValue, octetString, oid, sequence, setOf } from './der-writer.ts'
import { encodeKeyUsage } from './extension-values.ts'
import { makeExtension } from './extensions.ts'
import { encodeGeneralNames } from './general-name.ts'
import { oids } from './oid.ts'

const keyUsage = makeExtension(oids.keyUsage, encodeKeyUsage(['digitalSignature']))

function at(der: Uint8Array, ...path: number[]): DerNode {
  let node = readDer(der)
  for (const index of path) {
    const child = node.children[index]
    assert.ok(child, `child ${index}`)
    node = child
  }
  return node
}

test('reads the example of RFC 7030 §4.5.2, and writes the same bytes for what both can say', () => {
  const example = Buffer.from(
    'MEEGCSqGSIb3DQEJBzASBgcqhkjOPQIBMQcGBSuBBAAiMBYGCSqGSIb3DQEJDjEJBgcrBgEBAQEWBggqhkjOPQQDAw==',
    'base64',
  )
  const items = parseCsrAttributes(example)
  assert.deepEqual(items, [
    { kind: 'identifier', oid: oids.challengePassword },
    { kind: 'attribute', type: oids.ecPublicKey, values: [oid(oids.secp384r1)] },
    { kind: 'attribute', type: oids.extensionRequest, values: [oid('1.3.6.1.1.1.1.22')] },
    { kind: 'identifier', oid: oids.ecdsaWithSHA384 },
  ])
  const ours = encodeCsrAttributes({
    identifiers: [oids.challengePassword],
    key: { kind: 'ec', curve: oids.secp384r1 },
  })
  assert.equal(toHex(example).includes(toHex(ours.subarray(2))), true)
})

test('keys outside a template: one attribute, its value the curve or the size (RFC 9908 §3.2)', () => {
  assert.equal(
    toHex(encodeCsrAttributes({ key: { kind: 'rsa', bits: 4096 } })),
    '3013301106092a864886f70d0101013104 02021000'.replace(' ', ''),
  )
  assert.deepEqual(
    parseCsrAttributes(encodeCsrAttributes({ key: { kind: 'other', algorithm: oids.ed25519 } })),
    [{ kind: 'identifier', oid: oids.ed25519 }],
  )
})

test('extensions go into exactly one extensionRequest with exactly one value', () => {
  const [attribute] = parseCsrAttributes(encodeCsrAttributes({ extensions: [keyUsage] }))
  assert.ok(attribute?.kind === 'attribute')
  assert.equal(attribute.type, oids.extensionRequest)
  assert.equal(attribute.values.length, 1)
  assert.equal(toHex(attribute.values[0] ?? new Uint8Array()), '3010300e0603551d0f0101ff040403020780')
  assert.throws(() => encodeCsrAttributes({ extensions: [keyUsage, keyUsage] }), InvariantError)
})

test('nothing asked for is an empty SEQUENCE', () => {
  assert.equal(toHex(encodeCsrAttributes({})), '3000')
  assert.deepEqual(parseCsrAttributes(encodeCsrAttributes({ extensions: [] })), [])
})

test('a template with everything (RFC 9908 §3.4)', () => {
  const der = encodeCsrAttributes({
    template: {
      subject: [
        { type: oids.organizationName, value: 'Example' },
        { type: oids.serialNumber, value: null },
      ],
      key: { kind: 'ec', curve: oids.prime256v1 },
      extensions: [
        { oid: oids.subjectAltName, critical: false, value: null },
        { oid: oids.keyUsage, critical: true, value: keyUsage.value },
      ],
    },
  })
  assert.equal(toHex(at(der, 0, 0).content), '2a864886f70d010910023d')
  const template = at(der, 0, 1, 0)
  assert.deepEqual(
    template.children.map((node) => `${node.class} ${node.tag}`),
    ['universal 2', 'universal 16', 'context 0', 'context 1'],
  )
  assert.equal(toHex(template.children[0]?.raw ?? new Uint8Array()), '020100')
  // The serial number has a type and no value; the organization has both.
  assert.equal(at(der, 0, 1, 0, 1, 0, 0).children.length, 2)
  assert.equal(at(der, 0, 1, 0, 1, 1, 0).children.length, 1)
  // [0] holds the algorithm only: an EC point would be a value.
  assert.equal(toHex(at(der, 0, 1, 0, 2).content), '301306072a8648ce3d020106082a8648ce3d030107')
  // A value is open, so the template form of the extension request is used.
  assert.equal(toHex(at(der, 0, 1, 0, 3, 0, 0).content), '2a864886f70d010910023e')
  const [san, usage] = at(der, 0, 1, 0, 3, 0, 1, 0).children
  assert.equal(san?.children.length, 1)
  assert.equal(usage?.children.length, 3)
})

test('a template whose extensions are all given uses extensionRequest, never both', () => {
  const value = encodeGeneralNames([{ kind: 'uri', value: 'urn:x' }])
  const der = encodeCsrAttributes({
    template: { extensions: [{ oid: oids.subjectAltName, critical: false, value }] },
  })
  assert.equal(at(der, 0, 1, 0, 1).children.length, 1)
  assert.equal(toHex(at(der, 0, 1, 0, 1, 0, 0).content), '2a864886f70d01090e')
})

test('an empty template still has its attributes', () => {
  assert.equal(toHex(at(encodeCsrAttributes({ template: {} }), 0, 1, 0).raw), '3005020100a100')
})

test('an RSA template carries a placeholder key of the wanted size', () => {
  const der = encodeCsrAttributes({ template: { key: { kind: 'rsa', bits: 3072 } } })
  const bits = at(der, 0, 1, 0, 1, 1)
  const [modulus, exponent] = readDer(bits.content.subarray(1)).children
  assert.equal(modulus?.content.length, 3072 / 8 + 1)
  assert.equal(toHex(exponent?.content ?? new Uint8Array()), '010001')
  assert.throws(() => encodeCsrAttributes({ template: { key: { kind: 'rsa', bits: 2047 } } }), InvariantError)
})

test('a template refuses values that no CSR could carry', () => {
  const subject = [{ type: oids.commonName, value: 'a\u202eb' }]
  refuses('hostile-name', () => encodeCsrAttributes({ template: { subject } }))
  const open = { oid: oids.subjectAltName, critical: false, value: null }
  assert.throws(() => encodeCsrAttributes({ template: { extensions: [open, open] } }), InvariantError)
})

const invalid: [string, Uint8Array][] = [
  ['a SET', setOf()],
  ['a number in it', sequence(integer(1))],
  ['an attribute without values', sequence(sequence(oid('1.2.3')))],
  ['an attribute with an empty set', sequence(sequence(oid('1.2.3'), setOf()))],
  ['an attribute with a SEQUENCE of values', sequence(sequence(oid('1.2.3'), sequence(nullValue())))],
  [
    'an attribute with more',
    sequence(sequence(oid('1.2.3'), setOf(nullValue()), octetString(new Uint8Array()))),
  ],
  ['nothing', new Uint8Array()],
]
for (const [name, der] of invalid)
  test(`refuses ${name}`, () => refuses('malformed', () => parseCsrAttributes(der)))
