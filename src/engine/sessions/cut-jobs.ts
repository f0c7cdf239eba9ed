/** Passes that find whose sessions are to end: of certificates whose life is over, and of everybody under a revoked issuer. */
import { secondMs, type Instant } from '../../base/clock.ts'
import { listExpiring } from '../../store/inventory.ts'
import { updateIssuer, type IssuerRecord } from '../../store/issuers.ts'
import { readMeta, writeMeta } from '../../store/meta.ts'
import type { Engine } from '../context.ts'
import type { Disconnector } from '../ports.ts'
import type { Fence, Job, JobResult } from '../jobs.ts'
import { runTasks } from '../tasks.ts'
import { connectorNames, cutSessions, disconnectHandler, taskKind } from './cut.ts'

/** Certificates in one pass. */
const batch = 500
const metaKey = 'sessions-cut-until'

/** What is told to one connector. Nodes share the work task by task. */
export function disconnectJob(connector: Disconnector): Job {
  const handler = disconnectHandler(connector)
  return {
    name: taskKind(connector.name),
    intervalMs: secondMs / 4,
    isShared: true,
    run: async (engine, now, signal) => await runTasks(engine, [handler], now, signal),
  }
}

/** Our own brokers see by themselves that a certificate has ended; the others are told. */
export const cutExpiredJob: Job = {
  name: 'cut-expired-sessions',
  intervalMs: 10 * secondMs,
  async run(engine, now, _signal, fence): Promise<JobResult> {
    const connectors = connectorNames(engine)
    if (connectors.length === 0) return { worked: 0 }
    const until = await readMeta(engine.store.db, metaKey)
    // the first time there is nothing to make up for
    const from = until === null ? now : Number(until)
    // notAfter counts to the end of its second
    const to = now - secondMs
    if (to <= from) {
      if (until === null) await engine.store.transaction((tx) => writeMeta(tx, metaKey, String(to)))
      return { worked: 0 }
    }
    const { rows, next } = await listExpiring(engine.store.db, { from, to, limit: batch })
    const last = rows.at(-1)?.notAfter ?? to
    await engine.store.transaction(async (tx) => {
      await fence(tx)
      for (const { deviceId } of rows)
        if (deviceId !== null) await cutSessions(tx, connectors, { deviceId, why: 'expired' }, now)
      // those of one instant may be told twice, which does no harm
      await writeMeta(tx, metaKey, String(next === null ? to : Math.max(last, from + 1)))
    })
    return { worked: rows.length, isBehind: next !== null }
  },
}

/** Devices at other brokers whose certificate a revoked issuer has signed, in the order in which they end. */
export const cutUnderIssuerJob: Job = {
  name: 'cut-under-issuer',
  intervalMs: secondMs,
  async run(engine, now, _signal, fence): Promise<JobResult> {
    let worked = 0
    let isBehind = false
    for (const issuer of await engine.issuers.list()) {
      if (issuer.cutAfter === null) continue
      const step = await cutStep(engine, issuer, { now, fence })
      worked += step.worked
      isBehind ||= step.isBehind === true
    }
    return { worked, isBehind }
  },
}

async function cutStep(
  engine: Engine,
  { id, cutAfter }: IssuerRecord,
  { now, fence }: { readonly now: Instant; readonly fence: Fence },
): Promise<JobResult> {
  const connectors = connectorNames(engine)
  const after = cutAfter === '' ? null : cutAfter
  const range = { from: now, to: Number.MAX_SAFE_INTEGER, issuerId: id, after, limit: batch }
  const { rows, next } =
    connectors.length === 0 ? { rows: [], next: null } : await listExpiring(engine.store.db, range)
  await engine.store.transaction(async (tx) => {
    await fence(tx)
    for (const { deviceId } of rows)
      if (deviceId !== null) await cutSessions(tx, connectors, { deviceId, why: 'revoked' }, now)
    await updateIssuer(tx, id, { cutAfter: next })
  })
  engine.issuers.forget()
  return { worked: rows.length + 1, isBehind: next !== null }
}
