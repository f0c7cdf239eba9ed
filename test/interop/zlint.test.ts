/** zlint, a linter that nobody here wrote, over one certificate of each kind that we issue. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { dayMs } from '../../src/base/clock.ts'
import type { IssuerId } from '../../src/base/id.ts'
import { createIssuer, issuerChain } from '../../src/engine/issuing/issuer.ts'
import { issueServerCertificate } from '../../src/engine/issuing/server-certificate.ts'
import { generateKeyPair, type KeyAlgorithm } from '../../src/pki/key.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { enrolDevice, issuingId, testActor, testEngine, testStart, type TestEngine } from '../helpers/app.ts'
import { createCa, createKey } from '../helpers/ca.ts'
import { missing, programPath } from '../helpers/require.ts'

/**
 * Findings that we accept, each with its reason. Only warnings and notices may stand here: an error of zlint is a bug of
 * ours, or a written exception.
 */
const accepted: Readonly<Record<string, string>> = {}

/** The sources that bind a private PKI; those of the CA/Browser Forum are for web servers. */
const sources = 'RFC5280,RFC5480,RFC5891'

interface ZlintResult {
  readonly result: 'NA' | 'NE' | 'pass' | 'notice' | 'warn' | 'error' | 'fatal'
  readonly details?: string
}

const directory = mkdtempSync(join(tmpdir(), 'zlint-'))
after(() => rmSync(directory, { recursive: true }))

/** Lints that looked at the certificate, and findings as `result name`. */
function zlint(der: Uint8Array): { looked: number; findings: { name: string; result: string }[] } {
  const file = join(directory, 'certificate.pem')
  writeFileSync(file, encodePem('CERTIFICATE', der))
  const output = execFileSync(programPath('zlint'), ['-includeSources', sources, file], { encoding: 'utf8' })
  const results = Object.entries(JSON.parse(output) as Record<string, ZlintResult>)
  return {
    looked: results.filter(([, { result }]) => result !== 'NA' && result !== 'NE').length,
    findings: results
      .filter(([, { result }]) => !['NA', 'NE', 'pass'].includes(result))
      .map(([name, { result }]) => ({ name, result })),
  }
}

const seen = new Set<string>()

function assertClean(der: Uint8Array): void {
  const { looked, findings } = zlint(der)
  assert.ok(looked > 20, `only ${looked} lints looked at it`)
  for (const { name } of findings) seen.add(name)
  assert.deepEqual(
    findings.filter(({ name }) => !(name in accepted)),
    [],
  )
}

suite('zlint finds nothing to say about', { skip: missing('zlint') }, () => {
  const paaId = 'matter-paa' as IssuerId
  const paiId = 'matter-pai' as IssuerId
  let rig: TestEngine
  before(async () => {
    rig = await testEngine()
    const vendor = 'matterVid=FFF1'
    const actor = testActor
    await createIssuer(rig.engine, {
      id: paaId,
      kind: 'paa',
      parentId: null,
      subject: `CN=Example PAA,${vendor}`,
      actor,
    })
    await createIssuer(rig.engine, {
      id: paiId,
      kind: 'pai',
      parentId: paaId,
      subject: `CN=Example PAI,${vendor}`,
      actor,
    })
  })
  after(async () => await rig?.close())

  test('the root and the issuing CA', async () => {
    for (const der of await issuerChain(rig.engine, issuingId)) assertClean(der)
  })

  test('the Matter PAA and PAI', async () => {
    for (const der of await issuerChain(rig.engine, paiId)) assertClean(der)
  })

  test('the server certificate', async () => {
    const { spki } = generateKeyPair('ec-p256')
    const hostnames = ['est.example.com', 'localhost', '127.0.0.1', '::1']
    assertClean((await issueServerCertificate(rig.engine, { issuerId: issuingId, hostnames, spki })).der)
  })

  const algorithms: readonly KeyAlgorithm[] = [
    'ec-p256',
    'ec-p384',
    'ec-p521',
    'rsa-2048',
    'rsa-3072',
    'ed25519',
  ]
  for (const profile of ['consumer', 'industrial', 'meter', 'gateway', 'short-lived']) {
    test(`a certificate of the profile ${profile}, with each kind of key`, async () => {
      for (const algorithm of algorithms) {
        const { certificate } = await enrolDevice(rig.engine, `${profile}-${algorithm}`, {
          profile,
          key: createKey(algorithm),
        })
        assertClean(certificate)
      }
    })
  }

  test('a Matter device attestation certificate', async () => {
    const { certificate } = await enrolDevice(rig.engine, 'dac-1', {
      profile: 'matter-dac',
      tags: { matterVid: 'FFF1', matterPid: '8000' },
    })
    assertClean(certificate)
  })

  test('and every accepted finding was really found', () => {
    assert.deepEqual(
      [...seen].filter((name) => name in accepted).toSorted(),
      Object.keys(accepted).toSorted(),
    )
  })

  test('while it does find something to say about a certificate that is wrong', () => {
    const ca = createCa('CN=Wrong', testStart)
    const { der } = ca.issue({ subject: 'CN=wrong', notBefore: testStart + dayMs, notAfter: testStart })
    assert.ok(zlint(der).findings.some(({ result }) => result === 'error'))
  })
})
