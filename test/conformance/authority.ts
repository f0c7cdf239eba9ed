/** What every holder of CA keys must do. Called once per implementation, with real storage behind it. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import { Refusal, type RefusalCode } from '../../src/base/errors.ts'
import type { Authority } from '../../src/engine/ports.ts'
import { checkPublicKey } from '../../src/pki/key-check.ts'
import { type KeyAlgorithm, parsePublicKey } from '../../src/pki/key.ts'
import {
  defaultSignatureAlgorithm,
  keyFamily,
  type SignatureAlgorithm,
  signatureFamily,
  verifySignature,
} from '../../src/pki/signature.ts'

export interface AuthorityUnderTest {
  readonly authority: Authority
  /** A second instance over the same storage, as another process would open it. */
  reopen(): Promise<Authority>
}

export interface AuthorityConformance {
  readonly name: string
  /** Fresh and empty storage at each call. */
  readonly open: (t: TestContext) => Promise<AuthorityUnderTest>
  /** Key algorithms that it can make. */
  readonly algorithms: readonly KeyAlgorithm[]
}

const data = Buffer.from('to be signed')
const signatureAlgorithms: readonly SignatureAlgorithm[] = [
  'ecdsa-sha256',
  'ecdsa-sha384',
  'ecdsa-sha512',
  'rsa-sha256',
  'rsa-sha384',
  'rsa-sha512',
  'rsa-pss-sha256',
  'rsa-pss-sha384',
  'rsa-pss-sha512',
  'ed25519',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
]

export function authorityConformance({ name, open, algorithms }: AuthorityConformance): void {
  const [first] = algorithms
  assert.ok(first, 'an authority makes at least one kind of key')

  for (const algorithm of algorithms) {
    test(`${name}: a new ${algorithm} key is sound and its signatures verify`, async (t) => {
      const { authority } = await open(t)
      const { spki } = await authority.createKey('issuing-1', algorithm)
      const key = parsePublicKey(spki)
      assert.equal(key.algorithm, algorithm)
      checkPublicKey(key)
      assert.equal(toHex(await authority.publicKey('issuing-1')), toHex(spki))
      for (const signatureAlgorithm of signatureAlgorithms) {
        if (signatureFamily(signatureAlgorithm) !== keyFamily(algorithm)) continue
        const signature = await authority.sign('issuing-1', signatureAlgorithm, data)
        assert.ok(
          verifySignature({ key, algorithm: signatureAlgorithm, data, signature }),
          signatureAlgorithm,
        )
      }
    })

    test(`${name}: signs bytes in parts with a ${algorithm} key as it signs the whole`, async (t) => {
      const { authority } = await open(t)
      if (!authority.signParts) return
      const key = parsePublicKey((await authority.createKey('issuing-1', algorithm)).spki)
      const signatureAlgorithm = defaultSignatureAlgorithm(algorithm)
      const parts = [data.subarray(0, 3), new Uint8Array(), data.subarray(3)]
      const signature = await authority.signParts('issuing-1', signatureAlgorithm, parts)
      assert.ok(verifySignature({ key, algorithm: signatureAlgorithm, data, signature }))
      await rejects('not-found', authority.signParts('nobody', signatureAlgorithm, parts))
      const other = signatureAlgorithms.find((one) => signatureFamily(one) !== keyFamily(algorithm))
      assert.ok(other)
      await rejects('bad-algorithm', authority.signParts('issuing-1', other, parts))
    })
  }

  test(`${name}: a key outlives the process that made it`, async (t) => {
    const { authority, reopen } = await open(t)
    const { spki } = await authority.createKey('issuing-1', first)
    const other = await reopen()
    assert.equal(await other.hasKey('issuing-1'), true)
    assert.equal(toHex(await other.publicKey('issuing-1')), toHex(spki))
    const algorithm = defaultSignatureAlgorithm(first)
    const signature = await other.sign('issuing-1', algorithm, data)
    assert.ok(verifySignature({ key: parsePublicKey(spki), algorithm, data, signature }))
  })

  test(`${name}: a key made in one process is there for another that is already open`, async (t) => {
    const { authority, reopen } = await open(t)
    const other = await reopen()
    assert.equal(await other.hasKey('issuing-1'), false)
    const { spki } = await authority.createKey('issuing-1', first)
    assert.equal(await other.hasKey('issuing-1'), true)
    assert.equal(toHex(await other.publicKey('issuing-1')), toHex(spki))
  })

  test(`${name}: a taken reference is refused and its key stays`, async (t) => {
    const { authority, reopen } = await open(t)
    const { spki } = await authority.createKey('issuing-1', first)
    await rejects('already-exists', authority.createKey('issuing-1', first))
    const other = await reopen()
    await rejects('already-exists', other.createKey('issuing-1', first))
    assert.equal(toHex(await other.publicKey('issuing-1')), toHex(spki))
  })

  test(`${name}: of many who create one reference at once, one succeeds`, async (t) => {
    const { authority, reopen } = await open(t)
    const other = await reopen()
    const attempts = [authority, other, authority, other].map((one) => one.createKey('issuing-1', first))
    const results = await Promise.allSettled(attempts)
    const made = results.filter((result) => result.status === 'fulfilled')
    assert.equal(made.length, 1)
    for (const result of results) {
      if (result.status === 'rejected') assert.equal((result.reason as Refusal).code, 'already-exists')
    }
    const spki = toHex(made[0]?.value.spki as Uint8Array)
    assert.equal(toHex(await authority.publicKey('issuing-1')), spki)
    assert.equal(toHex(await other.publicKey('issuing-1')), spki)
  })

  test(`${name}: keys of several references are different and sign in parallel`, async (t) => {
    const { authority } = await open(t)
    const references = ['root', 'issuing-1', 'pai-0f00']
    const keys = await Promise.all(
      references.map(async (reference) => parsePublicKey((await authority.createKey(reference, first)).spki)),
    )
    assert.equal(new Set(keys.map((key) => key.spkiHash)).size, references.length)
    const algorithm = defaultSignatureAlgorithm(first)
    const work = Array.from({ length: 30 }, async (_, index) => {
      const which = index % references.length
      const message = Buffer.from(`message ${index}`)
      const signature = await authority.sign(references[which] as string, algorithm, message)
      return (
        keys.map((key) => verifySignature({ key, algorithm, data: message, signature })).indexOf(true) ===
        which
      )
    })
    assert.deepEqual(new Set(await Promise.all(work)), new Set([true]))
  })

  test(`${name}: an unknown reference is refused, also one that tries to leave the storage`, async (t) => {
    const { authority } = await open(t)
    const algorithm = defaultSignatureAlgorithm(first)
    await rejects('not-found', authority.publicKey('nobody'))
    await rejects('not-found', authority.sign('nobody', algorithm, data))
    assert.equal(await authority.hasKey('nobody'), false)
    for (const reference of ['../issuing-1', '', 'A', 'a/b', 'a\0b', 'a'.repeat(101)]) {
      await rejects('invalid-input', authority.createKey(reference, first))
      assert.equal(await authority.hasKey(reference), false)
    }
  })

  test(`${name}: a signature algorithm of another kind of key is refused`, async (t) => {
    const { authority } = await open(t)
    await authority.createKey('issuing-1', first)
    for (const algorithm of signatureAlgorithms) {
      if (signatureFamily(algorithm) === keyFamily(first)) continue
      await rejects('bad-algorithm', authority.sign('issuing-1', algorithm, data))
    }
  })
}

async function rejects(code: RefusalCode, work: Promise<unknown>): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof Refusal, `expected a Refusal, got ${String(error)}`)
    assert.equal(error.code, code, error.message)
    return true
  })
}
