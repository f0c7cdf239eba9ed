/** Hostile keys, certificates in paths, and bytes to be signed: a Refusal or a sound verdict, quickly. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createPublicKey } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { Refusal } from '../../src/base/errors.ts'
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts'
import { checkPublicKey } from '../../src/pki/key-check.ts'
import { generateKeyPair, type KeyAlgorithm, type PublicKey, parsePublicKey } from '../../src/pki/key.ts'
import { lintCertificate } from '../../src/pki/lint.ts'
import { validatePath } from '../../src/pki/path.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { signTbs, testNow } from '../helpers/certificates.ts'
import { chains } from '../helpers/chains.ts'
import { issuing, type Kind, root, tbsOf } from '../helpers/lint.ts'
import { missing } from '../helpers/require.ts'
import { chanceFrom, mutateDer } from './der-mutator.ts'

const seeds = fc.integer({ min: 1, max: 2 ** 31 - 1 })

/** The value, or null for a Refusal; anything else thrown fails the test. */
function orRefused<Value>(work: () => Value): Value | null {
  try {
    return work()
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

const algorithms: readonly KeyAlgorithm[] = [
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'rsa-2048',
  'ed25519',
  'ml-dsa-44',
]
const spkis = algorithms.map((algorithm) => generateKeyPair(algorithm).spki)

function checkedKey(spki: Uint8Array): PublicKey | null {
  return orRefused(() => {
    const key = parsePublicKey(spki)
    checkPublicKey(key)
    return key
  })
}

test('a changed public key is refused, or is a key for OpenSSL too', () => {
  let accepted = 0
  fc.assert(
    fc.property(seeds, fc.nat(spkis.length - 1), (seed, index) => {
      const mutated = mutateDer(spkis[index] as Uint8Array, spkis, chanceFrom(seed))
      const key = checkedKey(mutated)
      if (!key) return
      accepted += 1
      const theirs = createPublicKey({ key: Buffer.from(mutated), format: 'der', type: 'spki' })
      assert.equal(toHex(theirs.export({ format: 'der', type: 'spki' })), toHex(mutated))
      assert.equal(key.keyObject().equals(theirs), true)
    }),
    { numRuns: 4000 },
  )
  assert.ok(accepted > 0, 'mutations that leave a key a key are among them')
})

test('bytes of the key material alone decide whether it is a key', () => {
  fc.assert(
    fc.property(fc.nat(spkis.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), (index, at, flip) => {
      const spki = Uint8Array.from(spkis[index] as Uint8Array)
      const offset = at % spki.length
      spki[offset] = (spki[offset] as number) ^ flip
      const key = checkedKey(spki)
      if (key) key.keyObject()
    }),
    { numRuns: 3000 },
  )
})

const paths = chains().filter(({ name }) => name.startsWith('sound, '))

test('a path with changed certificates is refused, or no signed byte of it was changed', () => {
  fc.assert(
    fc.property(seeds, fc.nat(paths.length - 1), fc.nat(), (seed, which, at) => {
      const { certificates } = paths[which] as (typeof paths)[number]
      const index = at % (certificates.length - 1)
      const original = certificates[index] as Certificate
      const donors = certificates.map(({ der }) => der)
      const der = mutateDer(original.der, donors, chanceFrom(seed))
      const mutated = orRefused(() => parseCertificate(der))
      if (!mutated) return
      const [leaf, ...above] = certificates.with(index, mutated)
      const anchor = above.pop()
      assert.ok(leaf && anchor)
      const path = orRefused(() =>
        validatePath({
          leaf,
          intermediates: above,
          anchors: [anchor],
          at: anchor.notBefore + 31 * 86_400_000,
        }),
      )
      if (path) assert.equal(toHex(mutated.tbs), toHex(original.tbs))
    }),
    { numRuns: 2000 },
  )
})

const directory = mkdtempSync(join(tmpdir(), 'perennial-fuzz-'))
after(() => rmSync(directory, { recursive: true, force: true }))
const kinds: readonly Kind[] = ['device', 'server']
const sound = kinds.map((kind) => tbsOf(kind))

/** Mutations of sound certificates against which lint has no error. */
function lintedLeaves(): Uint8Array[] {
  const passed = new Map<string, Uint8Array>()
  fc.assert(
    fc.property(seeds, fc.nat(sound.length - 1), (seed, index) => {
      const tbs = mutateDer(sound[index] as Uint8Array, sound, chanceFrom(seed))
      const findings = lintCertificate({ tbs, issuer: issuing.certificate, context: {} })
      if (findings.every(({ severity }) => severity === 'warning')) passed.set(toHex(tbs), tbs)
    }),
    { numRuns: 6000, seed: 20261120 },
  )
  return [...passed.values()]
}

test('what lint lets pass, changed as it is, OpenSSL verifies', { skip: missing('openssl') }, () => {
  const leaves = lintedLeaves()
  assert.ok(leaves.length > 50, `${leaves.length} mutations are still sound`)
  const file = (name: string, der: Uint8Array): string => {
    const path = join(directory, `${name}.pem`)
    writeFileSync(path, encodePem('CERTIFICATE', der))
    return path
  }
  const anchor = file('root', root.certificate.der)
  const intermediate = file('issuing', issuing.certificate.der)
  const files: string[] = []
  for (const [index, tbs] of leaves.entries()) {
    const der = signTbs(tbs, issuing)
    const { notBefore, notAfter } = parseCertificate(der)
    if (notBefore <= testNow && testNow < notAfter) files.push(file(`leaf-${index}`, der))
  }
  assert.ok(files.length > 50, `${files.length} of them are valid now`)
  const time = ['-attime', String(testNow / 1000)]
  const args = ['verify', '-x509_strict', ...time, '-CAfile', anchor, '-untrusted', intermediate, ...files]
  const result = spawnSync('openssl', args, { encoding: 'utf8' })
  assert.equal(result.stderr, '')
  assert.equal(result.stdout.match(/: OK/g)?.length, files.length)
})
