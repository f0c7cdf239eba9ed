/**
 * kill -9 at each of the ten steps, twenty times each. What clients received is known from a pipe that the killed process
 * wrote to; afterwards all of it must be in the inventory and in the audit log, and nothing twice.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, test } from 'node:test'
import { toHex } from '../../src/base/bytes.ts'
import { verifyAuditLog } from '../../src/engine/audit/audit-verify.ts'
import type { Engine } from '../../src/engine/context.ts'
import { faultPoints, type FaultPoint } from '../../src/engine/ports.ts'
import { seal } from '../../src/engine/audit/seal.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import type { CertificateRecord } from '../../src/store/certificate-record.ts'
import { factsBySubjects } from '../../src/store/facts.ts'
import { findBySerial, listCertificates } from '../../src/store/inventory.ts'
import { createVictimIssuers, openVictim, recover } from './victim.ts'

const killsPerStep = 20
const runsPerLife = 24
const victim = resolve(import.meta.dirname, 'victim.ts')
const directory = mkdtempSync(join(tmpdir(), 'perennial-crash-'))
after(() => rmSync(directory, { recursive: true, force: true }))

interface Run {
  readonly step: FaultPoint
  readonly hits: number
  readonly name: string
}

/** Certificates by request, DER in hex: what clients hold. */
type Received = Map<string, Set<string>>

test('kill -9 at each step, then restart: nothing that a client received is lost, and nothing is issued twice', async () => {
  // the kill comes at another hit each time: early, late, with few and with many requests at work
  const runs = Array.from({ length: killsPerStep }, (_, n) =>
    faultPoints.map((step): Run => ({ step, hits: 1 + ((n * 7) % 17), name: `${step}-${n}` })),
  ).flat()
  // a killed server leaves its write-ahead log behind, which the next one reads: many short lives, not one long one
  const lives = Array.from({ length: Math.ceil(runs.length / runsPerLife) }, (_, n) =>
    runs.slice(n * runsPerLife, (n + 1) * runsPerLife),
  )
  const kills: FaultPoint[] = []
  let next = 0
  await Promise.all(
    Array.from({ length: Math.max(1, Math.min(4, availableParallelism())) }, async () => {
      for (let life = lives[next++]; life; life = lives[next++]) {
        kills.push(...(await killInTurn(join(directory, `life-${next}`), life)))
      }
    }),
  )
  for (const step of faultPoints) {
    const count = kills.filter((killed) => killed === step).length
    assert.ok(count >= killsPerStep, `${count} kills at ${step}`)
  }
})

/** One server's life: started, killed, started again. @returns the steps at which it was killed */
async function killInTurn(home: string, runs: readonly Run[]): Promise<FaultPoint[]> {
  mkdirSync(home)
  const first = await openVictim(home)
  await createVictimIssuers(first)
  await first.store.close()
  const received: Received = new Map()
  const kills: FaultPoint[] = []
  for (const run of runs) {
    const signal = await startAndWait(home, run, received)
    assert.equal(signal, 'SIGKILL', `the run ${run.name} reaches its step`)
    kills.push(run.step)
  }
  const engine = await openVictim(home)
  await recover(engine)
  await checkInvariants(engine, received)
  await engine.store.close()
  return kills
}

function startAndWait(
  home: string,
  { step, hits, name }: Run,
  received: Received,
): Promise<NodeJS.Signals | null> {
  const child = spawn(process.execPath, [victim, home, step, String(hits), name], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(directory, 'compile-cache') },
  })
  let text = ''
  child.stdout.setEncoding('utf8')
  child.stdout.on('data', (chunk: string) => {
    text += chunk
  })
  return new Promise((ended, fail) => {
    child.on('error', fail)
    child.on('close', (_code, signal) => {
      for (const line of text.split('\n').filter((one) => one !== '')) {
        const [request = '', certificate = ''] = line.split(' ')
        const known = received.get(request) ?? new Set()
        received.set(request, known.add(certificate))
      }
      ended(signal)
    })
  })
}

async function checkInvariants(engine: Engine, received: Received): Promise<void> {
  const rows = await everyCertificate(engine)
  assert.ok(received.size > 100, `${received.size} requests were answered`)
  for (const [request, certificates] of received) {
    assert.equal(certificates.size, 1, `${request} has one answer, however often it was repeated`)
    for (const certificate of certificates) await checkReceived(engine, request, certificate)
  }
  assert.deepEqual(
    rows.filter(({ status }) => status === 'reserved'),
    [],
    'no reservation is left',
  )
  const serials = rows.map(({ issuerId, serialNumber }) => `${issuerId} ${serialNumber}`)
  assert.equal(new Set(serials).size, rows.length, 'no serial number twice')
  const claims = rows
    .filter(({ status, deviceId }) => status !== 'abandoned' && deviceId !== null)
    .map(({ deviceId, spkiHash, predecessorId }) => `${deviceId} ${spkiHash} ${predecessorId}`)
  assert.equal(new Set(claims).size, claims.length, 'one certificate for one request')
  // the log itself, and each certificate of the inventory against its fact
  await seal(engine, engine.clock.now())
  const report = await verifyAuditLog(engine)
  assert.deepEqual(report.findings, [])
  assert.ok(report.isValid)
}

async function checkReceived(engine: Engine, request: string, hex: string): Promise<void> {
  const { serialNumber } = parseCertificate(Buffer.from(hex, 'hex'))
  const [row] = await findBySerial(engine.store.db, serialNumber)
  assert.ok(row?.der, `${request}: the certificate is in the inventory`)
  assert.equal(toHex(row.der), hex, `${request}: byte for byte`)
  assert.ok(row.status === 'issued' || row.status === 'confirmed' || row.status === 'superseded', row.status)
  const subjects = [`certificate:${row.issuerId}/${serialNumber}`]
  const facts = await factsBySubjects(engine.store.db, { action: 'certificate.issued', subjects })
  assert.equal(facts.length, 1, `${request}: one fact says that it was issued`)
}

async function everyCertificate(engine: Engine): Promise<CertificateRecord[]> {
  const rows: CertificateRecord[] = []
  let cursor: string | null = null
  do {
    const page: Awaited<ReturnType<typeof listCertificates>> = await listCertificates(engine.store.db, {
      after: cursor,
      limit: 1_000,
    })
    rows.push(...page.rows)
    cursor = page.next
  } while (cursor !== null)
  return rows
}
