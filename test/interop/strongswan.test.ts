/**
 * strongSwan's `pki --est` and `--estca`: its own TLS stack (1.2), Basic at once, no Content-Transfer-Encoding, one read of
 * 1,024 bytes for the answer's head, base64 in one line only (docs/rfc/est.md).
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { decideRequests } from '../../src/engine/issuing/approval.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { formatName } from '../../src/pki/name-text.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { listApprovals } from '../../src/store/approvals.ts'
import { testActor } from '../helpers/app.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { missing, programPath } from '../helpers/require.ts'
import { run, runOk } from '../helpers/run.ts'
import { opensslRequest } from './openssl-device.ts'

const skip = missing('strongswan', 'openssl')

let rig: EstRig
before(async () => {
  if (skip) return
  // its own requests are slow to come when the machine is busy
  rig = await startEstRig({ limits: { headersTimeoutMs: 20_000, requestTimeoutMs: 20_000 } })
  writeFileSync(file('root.pem'), rig.rootPem)
  writeFileSync(file('issuing.pem'), rig.issuingPem)
})
after(() => rig?.close())

function file(name: string): string {
  return join(rig.directory, name)
}

/** It must know the issuing CA to verify what it gets. `localhost` may be ::1, where nobody listens. */
function est(...args: string[]): string[] {
  const trust = ['--cacert', file('root.pem'), '--cacert', file('issuing.pem')]
  return ['--est', '--url', rig.url, ...trust, ...args, '--outform', 'pem']
}

/** `pki --req` drops URI names silently, so OpenSSL makes the request. */
function makeRequest(name: string, id: string, kind: 'ec' | 'rsa') {
  return opensslRequest(rig.directory, { name, id, kind })
}

function certificateIn(pem: Buffer): { pem: string; serialNumber: string; subject: string } {
  const [certificate] = decodePem(pem.toString())
  assert.ok(certificate, pem.toString())
  const { serialNumber, subject } = parseCertificate(certificate.der)
  return { pem: pem.toString(), serialNumber, subject: formatName(subject) }
}

test('pki --estca fetches root and issuing CA', { skip }, async () => {
  const caCertificates = ['--caout', file('ca.pem'), '--outform', 'pem', '--force']
  const trust = ['--cacert', file('root.pem'), '--cacert', file('issuing.pem')]
  await runOk(programPath('strongswan'), ['--estca', '--url', rig.url, ...trust, ...caCertificates])
  const written = [readFileSync(file('ca.pem'), 'utf8'), readFileSync(file('ca-1.pem'), 'utf8')]
  const ders = written.map((pem) => Buffer.from(decodePem(pem)[0]?.der ?? []).toString('hex'))
  const wanted = [rig.rootPem, rig.issuingPem].map((pem) =>
    Buffer.from(decodePem(pem)[0]?.der ?? []).toString('hex'),
  )
  assert.deepEqual(ders.toSorted(), wanted.toSorted())
})

for (const kind of ['ec', 'rsa'] as const) {
  test(`pki --est enrols with a secret and renews with the certificate: ${kind}`, { skip }, async () => {
    const id = `swan-${kind}`
    const { username, password } = await rig.addDevice({ id })
    const first = await makeRequest(`${id}-1`, id, kind)
    const basic = ['--userpass', `${username}:${password}`]
    const enrolled = certificateIn(await runOk(programPath('strongswan'), est('--in', first.csr, ...basic)))
    assert.equal(enrolled.subject, `CN=${id},O=Example`)
    writeFileSync(file(`${id}.pem`), enrolled.pem)

    const second = await makeRequest(`${id}-2`, id, kind)
    const current = ['--cert', file(`${id}.pem`), '--key', first.key]
    const renewed = certificateIn(await runOk(programPath('strongswan'), est('--in', second.csr, ...current)))
    assert.equal(renewed.subject, enrolled.subject)
    assert.notEqual(renewed.serialNumber, enrolled.serialNumber)
    const anchors = ['-CAfile', file('root.pem'), '-untrusted', file('issuing.pem')]
    await runOk('openssl', ['verify', '-x509_strict', ...anchors, file(`${id}.pem`)])
  })
}

test('pki --est polls at 202 until a person approves', { skip }, async () => {
  const id = 'swan-manual'
  const { username, password } = await rig.addDevice({ id, profile: 'manual' })
  const request = await makeRequest(id, id, 'ec')
  const polling = ['--userpass', `${username}:${password}`, '--interval', '1', '--maxpolltime', '30']
  const finished = run(programPath('strongswan'), est('--in', request.csr, ...polling))
  for (let waiting = 0; waiting === 0;) {
    const filter = { deviceId: id as DeviceId, status: 'pending' } as const
    waiting = (await listApprovals(rig.engine.store.db, { filter, limit: 1 })).rows.length
    await systemClock.sleep(50)
  }
  await decideRequests(rig.engine, { deviceId: id as DeviceId, decision: 'approved', actor: testActor })
  const { exitCode, stdout, stderr } = await finished
  assert.equal(exitCode, 0, stderr)
  assert.match(stderr, /pending/)
  assert.equal(certificateIn(stdout).subject, `CN=${id},O=Example`)
})

test('pki --est gets no certificate with a wrong secret', { skip }, async () => {
  await rig.addDevice({ id: 'swan-wrong' })
  const request = await makeRequest('swan-wrong', 'swan-wrong', 'ec')
  const refused = await run(
    programPath('strongswan'),
    est('--in', request.csr, '--userpass', 'swan-wrong:guess'),
  )
  assert.notEqual(refused.exitCode, 0)
  assert.equal(refused.stdout.length, 0)
})
