/**
 * Chains that we make, sound ones and ones with one defect each, judged by us, OpenSSL, GnuTLS and @peculiar/x509; ML-DSA
 * chains, which only the newest of them know, by node. Any disagreement fails.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import * as fc from 'fast-check'
import { dayMs } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import type { SerialNumber } from '../../src/base/id.ts'
import { isUnsafeText } from '../../src/base/text.ts'
import { type Certificate, noExpiry } from '../../src/pki/certificate.ts'
import { type KeyAlgorithm, parsePublicKey } from '../../src/pki/key.ts'
import { lintCertificate } from '../../src/pki/lint.ts'
import { formatName } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { validatePath } from '../../src/pki/path.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { verifySignature } from '../../src/pki/signature.ts'
import { makeCertificate, san, type TestCertificate } from '../helpers/certificates.ts'
import { at, type Chain, chains, defects, makeChain } from '../helpers/chains.ts'
import { x509 } from '../helpers/peculiar.ts'
import { missing } from '../helpers/require.ts'

const directory = mkdtempSync(join(tmpdir(), 'perennial-verifiers-'))
after(() => rmSync(directory, { recursive: true, force: true }))

const all = chains()

function isSoundByUs({ certificates }: Chain): boolean {
  const [leaf, ...above] = certificates
  const anchor = above.pop()
  assert.ok(leaf && anchor)
  try {
    validatePath({ leaf, intermediates: above, anchors: [anchor], at, purpose: oids.clientAuth })
    return true
  } catch (error) {
    if (error instanceof Refusal && error.code === 'path-invalid') return false
    throw error
  }
}

function expectation({ name }: Chain): boolean {
  const defect = defects.find((candidate) => name.startsWith(`${candidate.name}, `))
  assert.ok(defect)
  return defect.isSound
}

let files = 0
function pemFile(certificates: readonly Certificate[]): string {
  const path = join(directory, `${(files += 1)}.pem`)
  writeFileSync(path, certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join(''))
  return path
}

test('our own verdict is the one that was meant', () => {
  assert.ok(all.length > 90)
  for (const chain of all) assert.equal(isSoundByUs(chain), expectation(chain), chain.name)
})

test('OpenSSL agrees on every chain', { skip: missing('openssl') }, () => {
  for (const chain of all) {
    const { certificates, name } = chain
    const args = ['verify', '-x509_strict', '-attime', String(at / 1000), '-purpose', 'sslclient']
    const root = pemFile(certificates.slice(-1))
    const result = spawnSync('openssl', [
      ...args,
      '-CAfile',
      root,
      '-untrusted',
      pemFile(certificates.slice(1, -1)),
      pemFile(certificates.slice(0, 1)),
    ])
    assert.equal(result.status === 0, isSoundByUs(chain), `${name}: ${result.stderr.toString()}`)
  }
})

test('GnuTLS agrees on every chain', { skip: missing('certtool') }, () => {
  for (const chain of all) {
    const { certificates, name } = chain
    const result = spawnSync('certtool', [
      '--verify',
      '--verify-purpose',
      oids.clientAuth,
      '--load-ca-certificate',
      pemFile(certificates.slice(-1)),
      '--infile',
      pemFile(certificates.slice(0, -1)),
    ])
    assert.equal(
      result.status === 0,
      isSoundByUs(chain),
      `${name}: ${result.stdout.toString()}${result.stderr.toString()}`,
    )
  }
})

/** Each certificate and the next one above it. */
function links({ certificates }: Chain): [Certificate, Certificate][] {
  return certificates.slice(1).map((issuer, index) => [certificates[index] as Certificate, issuer])
}

function isSignedByUs(certificate: Certificate, issuer: Certificate): boolean {
  const { signatureAlgorithm: algorithm, tbs: data, signature } = certificate
  return verifySignature({ key: parsePublicKey(issuer.spki), algorithm, data, signature })
}

test('@peculiar/x509 agrees on every signature', async () => {
  let bad = 0
  for (const chain of all) {
    for (const [certificate, issuer] of links(chain)) {
      const isGood = isSignedByUs(certificate, issuer)
      const theirs = new x509.X509Certificate(certificate.der)
      const publicKey = new x509.X509Certificate(issuer.der).publicKey
      // it throws where an ECDSA signature is too long for the curve
      const verdict = theirs.verify({ publicKey, signatureOnly: true }).catch(() => false)
      assert.equal(await verdict, isGood, chain.name)
      if (!isGood) bad += 1
    }
  }
  assert.ok(bad >= 12, 'broken signatures are among them')
})

test('node agrees on every ML-DSA signature and path', () => {
  const algorithms: readonly KeyAlgorithm[] = ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87']
  const mixes = [
    ...algorithms.map((algorithm) => [algorithm]),
    ['ec-p256', 'ml-dsa-65'],
    ['ml-dsa-44', 'ml-dsa-87'],
  ] as const
  const names = new Set(['sound', 'leaf signature broken', 'CA signature broken', 'other root'])
  for (const mix of mixes) {
    for (const defect of defects.filter(({ name }) => names.has(name))) {
      const chain = makeChain(mix as readonly KeyAlgorithm[], 4, defect)
      assert.equal(isSoundByUs(chain), defect.isSound, chain.name)
      for (const [certificate, issuer] of links(chain)) {
        const theirs = new X509Certificate(certificate.der)
        const above = new X509Certificate(issuer.der)
        assert.equal(theirs.verify(above.publicKey), isSignedByUs(certificate, issuer), chain.name)
        assert.ok(defect.name === 'other root' || theirs.checkIssued(above), chain.name)
      }
    }
  }
})

/** What devices are called, hostile characters apart. */
const commonNames = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 16 })
  .filter((text) => !isUnsafeText(text))
const labels = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/)
const alternatives = fc.oneof(
  labels.map((label) => `dns:${label}.example`),
  fc.ipV4().map((text) => `ip:${text}`),
  labels.map((label) => `uri:urn:perennial:device:${label}`),
  labels.map((label) => `email:${label}@example.com`),
)
const leaves = fc.record({
  commonName: commonNames,
  names: fc.uniqueArray(alternatives, { minLength: 1, maxLength: 4 }),
  isEmptySubject: fc.boolean(),
  serialNumber: fc.stringMatching(/^[4-7][0-9a-f]{31}$/),
  days: fc.integer({ min: 1, max: 20_000 }),
})

function randomLeaves(): { root: TestCertificate; issuing: TestCertificate; leaves: Certificate[] } {
  const validity = { notBefore: at - dayMs, notAfter: noExpiry }
  const root = makeCertificate({ subject: 'CN=Root,O=Verifiers', ...validity })
  const issuing = makeCertificate({ subject: 'CN=Issuing,O=Verifiers', issuer: root, ca: true, ...validity })
  const made = fc.sample(leaves, { numRuns: 60, seed: 7 }).map((leaf) => {
    const names = san(...leaf.names)
    const { certificate } = makeCertificate({
      issuer: issuing,
      subject: leaf.isEmptySubject ? '' : formatName([[{ type: oids.commonName, value: leaf.commonName }]]),
      serialNumber: leaf.serialNumber as SerialNumber,
      notBefore: at - dayMs,
      notAfter: at + leaf.days * dayMs,
      extensions: [{ ...names, critical: leaf.isEmptySubject }],
    })
    const { tbs } = certificate
    const errors = lintCertificate({
      tbs,
      issuer: issuing.certificate,
      context: { purpose: 'device' },
    }).filter(({ severity }) => severity === 'error')
    assert.deepEqual(errors, [])
    return certificate
  })
  return { root, issuing, leaves: made }
}

test('what passes our lint passes OpenSSL and GnuTLS', { skip: missing('openssl', 'certtool') }, () => {
  const made = randomLeaves()
  const root = pemFile([made.root.certificate])
  const issuing = pemFile([made.issuing.certificate])
  const paths = made.leaves.map((leaf) => pemFile([leaf]))
  const result = spawnSync('openssl', [
    'verify',
    '-x509_strict',
    '-CAfile',
    root,
    '-untrusted',
    issuing,
    ...paths,
  ])
  assert.equal(result.status, 0, result.stderr.toString())
  for (const leaf of made.leaves) {
    const chain = pemFile([leaf, made.issuing.certificate])
    const verdict = spawnSync('certtool', ['--verify', '--load-ca-certificate', root, '--infile', chain])
    assert.equal(verdict.status, 0, `${verdict.stdout.toString()}${verdict.stderr.toString()}`)
  }
})
