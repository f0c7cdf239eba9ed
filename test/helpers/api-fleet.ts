/**
 * The fleet on which the examples of the API's routes are executed. A resource adds what its examples name. Everything of
 * the site `elsewhere` has `canary` in its name: no answer to a caller whose scope is `kl` may carry the word.
 */
import { dayMs, VirtualClock } from '../../src/base/clock.ts'
import { sha256Hex } from '../../src/base/bytes.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { seal } from '../../src/engine/audit/seal.ts'
import { propose } from '../../src/engine/proposals/proposal.ts'
import { batchRevocation } from '../../src/engine/revocation/revoke-proposal.ts'
import { insertAlert } from '../../src/store/alerts.ts'
import { requestApproval } from '../../src/store/approvals.ts'
import { claimTasks, enqueueTask, failTask } from '../../src/store/tasks.ts'
import type { Engine } from '../../src/engine/context.ts'
import { putRenewal } from './renewals.ts'
import { addOperator } from '../../src/engine/operators/operator.ts'
import { enrolDevice, registerDevice, testActor } from './app.ts'

export async function apiFleet(engine: Engine): Promise<void> {
  const first = await enrolDevice(engine, 'meter-1', {
    site: 'kl',
    cohort: 'pilot',
    batch: '2026-w40',
    tags: { floor: '3' },
  })
  const second = await enrolDevice(engine, 'meter-2', { site: 'kl', cohort: 'pilot' })
  await registerDevice(engine, 'meter-3', { site: 'kl' })
  const hidden = await enrolDevice(engine, 'canary-1', {
    site: 'elsewhere',
    cohort: 'canary-cohort',
    batch: 'canary-batch',
    tags: { canary: 'yes' },
  })
  await registerDevice(engine, 'canary-2', { site: 'elsewhere' })
  for (const id of ['meter-5', 'meter-6', 'meter-7']) await enrolDevice(engine, id, { site: 'kl' })
  // the window of every certificate is open
  const { notAfter } = first.record
  if (engine.clock instanceof VirtualClock)
    await engine.clock.advance(notAfter - 20 * dayMs - engine.clock.now())
  const now = engine.clock.now()
  await putRenewal(engine, first, { status: 'triggered', triggeredAt: now, site: 'kl' })
  await putRenewal(engine, second, { status: 'escalated', reason: 'ladder-exhausted', site: 'kl' })
  await registerDevice(engine, 'meter-8', { site: 'kl' })
  await putRequest(engine, 'meter-8')
  await putRequest(engine, 'canary-2')
  await putDeadTask(engine)
  await putAlert(engine)
  const payload = { selection: { batch: '2026-w40' }, reason: 'keyCompromise' }
  await propose(engine, { kind: batchRevocation, payload, why: null, actor: 'operator:anna' })
  await seal(engine, now)
  await putRenewal(engine, hidden, { status: 'escalated', reason: 'ladder-exhausted', site: 'elsewhere' })
  await addOperator(engine, {
    name: 'berta',
    grants: [{ role: 'viewer', cohort: null, site: null }],
    actor: testActor,
    oidcSubject: 'https://id.example|berta',
  })
}

/** An enrolment that waits for a person. */
async function putRequest(engine: Engine, id: string): Promise<void> {
  const request = {
    deviceId: id as DeviceId,
    slot: 'default',
    spkiHash: sha256Hex(id),
    subject: `CN=${id},O=Example`,
    profile: 'industrial',
    protocol: 'est',
    csr: Uint8Array.of(0x30, 0),
    predecessorId: null,
    createdAt: engine.clock.now(),
  }
  await engine.store.transaction(async (tx) => void (await requestApproval(tx, request)))
}

async function putAlert(engine: Engine): Promise<void> {
  const now = engine.clock.now()
  const blank = { clearedAt: null, resolvedAt: null, acknowledgedAt: null, acknowledgedBy: null, note: null }
  const alert = { rule: 'tasks-dead', key: 'example', severity: 'warning', status: 'open', count: 1 } as const
  const times = { openedAt: now, updatedAt: now, step: 0, nextAt: null, notified: [], notifiedCount: 0 }
  const words = { summary: '1 task has been given up', details: '{}' }
  await engine.store.transaction(
    async (tx) => void (await insertAlert(tx, { ...alert, ...blank, ...times, ...words })),
  )
}

/** The first task of the installation failed for good. */
async function putDeadTask(engine: Engine): Promise<void> {
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    await enqueueTask(tx, { kind: 'example', key: null, payload: '{}', runAt: now, createdAt: now })
    const [claim] = await claimTasks(tx, { kinds: ['example'], now, limit: 1, lockMs: 1_000 })
    if (claim) await failTask(tx, { ...claim, lastError: 'the server is gone', runAt: null })
  })
}
