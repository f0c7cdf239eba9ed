import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IssuerId } from '../base/id.ts'
import { defineProfile, type ProfileInput } from '../engine/issuing/profile.ts'
import { type DerNode, readDer } from '../pki/der.ts'
import { readOid } from '../pki/der-values.ts'
import { oids } from '../pki/oid.ts'
import { profileCsrAttributes, noCsrAttributes } from './csr-attributes.ts'

function attributesOf(input: Partial<ProfileInput>): readonly DerNode[] {
  const issuer = 'issuing' as IssuerId
  const profile = defineProfile({ name: 'p', issuer, validityMs: 1, renewBeforeMs: null, ...input })
  return readDer(profileCsrAttributes(profile, 'Org')).children
}

/** The identifier of an AttrOrOID. */
function typeOf(item: DerNode): string {
  return readOid(item.children[0] ?? item, 'type')
}

function find(items: readonly DerNode[], type: string): DerNode[] {
  return items.filter((item) => typeOf(item) === type)
}

test('an unknown profile has no requirements: the empty sequence', () => {
  assert.deepEqual([...noCsrAttributes], [0x30, 0x00])
})

test('asks for exactly one key type, the first that the profile allows (RFC 9908 §3.2)', () => {
  const items = attributesOf({ keyAlgorithms: ['ec-p384', 'rsa-2048'] })
  const [key, ...more] = find(items, oids.ecPublicKey)
  assert.equal(more.length, 0)
  assert.equal(readOid(key?.children[1]?.children[0] as DerNode, 'curve'), oids.secp384r1)
  assert.equal(find(items, oids.rsaEncryption).length, 0)
})

test('asks for an RSA size by number in the list and by a placeholder of that size in the template', () => {
  const items = attributesOf({ keyAlgorithms: ['rsa-3072'] })
  assert.deepEqual(
    [...(find(items, oids.rsaEncryption)[0]?.children[1]?.children[0]?.content ?? [])],
    [0x0c, 0x00],
  )
  const info = find(items, oids.certificationRequestInfoTemplate)[0]?.children[1]?.children[0]
  const key = info?.children.find((part) => part.class === 'context' && part.tag === 0)
  const bits = key?.children[1]?.content ?? new Uint8Array(0)
  const placeholder = readDer(bits.subarray(1))
  assert.equal(placeholder.children[0]?.content.length, 3072 / 8 + 1)
})

test('names a key without parameters by its bare identifier', () => {
  const [first] = attributesOf({ keyAlgorithms: ['ed25519'] })
  assert.equal(readOid(first as DerNode, 'type'), oids.ed25519)
})

test('has exactly one extensionRequest with exactly one value and no extension twice (RFC 9908 §3.2)', () => {
  const requests = find(attributesOf({ extendedKeyUsage: ['clientAuth'] }), oids.extensionRequest)
  assert.equal(requests.length, 1)
  const values = requests[0]?.children[1]?.children ?? []
  assert.equal(values.length, 1)
  const types = (values[0]?.children ?? []).map(typeOf)
  assert.deepEqual(types, [oids.keyUsage, oids.extendedKeyUsage])
})

test('the template gives constant parts of the subject and leaves those of the device to be filled in', () => {
  const items = attributesOf({ subject: 'CN={device.id},OU=Meters,O={organization}' })
  const info = find(items, oids.certificationRequestInfoTemplate)[0]?.children[1]?.children[0]
  const subject = info?.children[1]?.children.map((rdn) => rdn.children[0] as DerNode) ?? []
  assert.deepEqual(
    subject.map((attribute) => [typeOf(attribute), attribute.children.length]),
    [
      [oids.organizationName, 2],
      [oids.organizationalUnitName, 2],
      [oids.commonName, 1],
    ],
  )
  assert.equal(Buffer.from(subject[0]?.children[1]?.content ?? []).toString(), 'Org')
})

test('the template never holds both kinds of extension request, and only one (RFC 9908 §3.4)', () => {
  const info = find(attributesOf({}), oids.certificationRequestInfoTemplate)[0]?.children[1]?.children[0]
  const attributes = info?.children.find((part) => part.class === 'context' && part.tag === 1)?.children ?? []
  assert.deepEqual(attributes.map(typeOf), [oids.extensionRequest])
})

test('required proof-of-possession linking is asked for by challengePassword, without a template that would hide it', () => {
  const items = attributesOf({ popLinking: 'require' })
  assert.equal(typeOf(items[0] as DerNode), oids.challengePassword)
  assert.equal(find(items, oids.certificationRequestInfoTemplate).length, 0)
  assert.equal(find(attributesOf({ popLinking: 'verify' }), oids.challengePassword).length, 0)
})
