/** The pass: a page of the sweep; then the rules, what changes by them, and who is told. */
import { canonicalJson } from '../../base/canonical-json.ts'
import { dayMs, hourMs, minuteMs, type Instant } from '../../base/clock.ts'
import { insertAlert, lockOpenAlerts, silencesAt, updateAlert, type AlertRecord } from '../../store/alerts.ts'
import { forgetOddities, oddityKinds } from '../../store/device-oddities.ts'
import type { Tx } from '../../store/schema.ts'
import { actors, fact, recordFacts, subjects, type FactAction } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import type { Fence, Job, JobResult } from '../jobs.ts'
import { checkClock } from '../renewals/clock-guard.ts'
import { readInput, readMemory, writeMemory, type AlertInput, type OwnCertificate } from './alert-input.ts'
import type { Finding } from './alert-rule.ts'
import { alertSettings } from './alert-settings.ts'
import { mayHearNow, planEscalation, type AlertEvent } from './escalation.ts'
import { evaluate, type AlertChange } from './evaluate.ts'
import { findingsOf } from './findings.ts'
import { learnDarkness } from './fleet-findings.ts'
import type { FleetRisk } from './fleet-risk.ts'
import { newFleetSweep, sweepFleet, type FleetSweep } from './fleet-sweep.ts'
import { roomAt, sendAlerts, type Outgoing } from './notify.ts'

export interface AlertJobOptions {
  readonly intervalMs?: number
  /** Certificates of our own endpoints, read anew in each pass. */
  readonly ownCertificates?: () => Promise<readonly OwnCertificate[]>
}

interface State {
  sweep: FleetSweep | null
  risk: FleetRisk | null
}

export function alertsJob({ intervalMs = minuteMs, ownCertificates }: AlertJobOptions = {}): Job {
  const state: State = { sweep: null, risk: null }
  return {
    name: 'alerts',
    intervalMs,
    run: async (engine, now, signal, fence) => {
      if (signal.aborted) return { worked: 0 }
      const { problem: clockProblem } = await checkClock(engine, now)
      if (clockProblem === null && isSweepDue(engine, state, now))
        return await sweepPage(engine, state, now, fence)
      const own = (await ownCertificates?.()) ?? []
      const input = await readInput(engine, { now, risk: state.risk, clockProblem, ownCertificates: own })
      return { worked: await judge(engine, input, fence) }
    },
  }
}

/** After a month without a sign nobody asks. */
const oddForMs = 30 * dayMs

/** A clock that went back would hold the next sweep off for as long. */
function isSweepDue({ settings }: Engine, { sweep, risk }: State, now: Instant): boolean {
  if (sweep !== null || risk === null) return true
  return Math.abs(now - risk.at) >= alertSettings(settings).sweepIntervalMs
}

async function sweepPage(engine: Engine, state: State, now: Instant, fence: Fence): Promise<JobResult> {
  state.sweep ??= newFleetSweep(engine, now)
  const risk = await sweepFleet(engine, state.sweep)
  if (risk === null) return { worked: 1, isBehind: true }
  state.sweep = null
  state.risk = risk
  const { darkPoints } = alertSettings(engine.settings)
  const memory = await readMemory(engine)
  await engine.store.transaction(async (tx) => {
    await fence(tx)
    await writeMemory(tx, learnDarkness(memory, risk.silence, darkPoints))
    for (const kind of oddityKinds) await forgetOddities(tx, kind, now - oddForMs)
  })
  return { worked: 1, isBehind: true }
}

/** One transaction: what changes, the facts about it, and the tasks that tell people. */
export async function judge(engine: Engine, input: AlertInput, fence: Fence): Promise<number> {
  const { now } = input
  const settings = alertSettings(engine.settings)
  const findings = findingsOf(input, engine.settings)
  return await engine.store.transaction(async (tx) => {
    await fence(tx)
    const open = await lockOpenAlerts(tx)
    const changes = evaluate({ open, findings }, settings, now)
    const outgoing: Outgoing[] = []
    const alerts = new Map(open.map((alert) => [alert.id, alert]))
    for (const change of changes) {
      const after = await apply(tx, change, now)
      if (after === null) continue
      if (after.status === 'open') alerts.set(after.id, after)
      else {
        alerts.delete(after.id)
        outgoing.push(...goodNews(engine, after, 'resolved', now))
      }
    }
    outgoing.push(...(await escalate(engine, tx, [...alerts.values()], now)))
    await sendAlerts(tx, engine, outgoing, now)
    await writeMemory(tx, input.memory)
    return changes.length + outgoing.length
  })
}

/** @returns the alert as it is now; null when another node had opened it */
async function apply(tx: Tx, change: AlertChange, now: Instant): Promise<AlertRecord | null> {
  switch (change.kind) {
    case 'opened': {
      const alert = newAlert(change.finding, now)
      const id = await insertAlert(tx, alert)
      if (id === null) return null
      await record(tx, 'alert.opened', { ...alert, id }, now)
      return { ...alert, id }
    }
    case 'updated': {
      const { isRaised, finding } = change
      const alert = { ...change.alert, ...saidBy(finding), updatedAt: now, clearedAt: null }
      if (!isRaised) return await put(tx, alert)
      await record(tx, 'alert.raised', alert, now)
      // who acknowledged it knew of less
      return await put(tx, { ...alert, acknowledgedAt: null, acknowledgedBy: null, step: 0, nextAt: now })
    }
    case 'cleared':
      return await put(tx, { ...change.alert, clearedAt: now, updatedAt: now })
    case 'resolved': {
      const alert = {
        ...change.alert,
        status: 'resolved',
        resolvedAt: now,
        updatedAt: now,
        nextAt: null,
      } as const
      await record(tx, 'alert.resolved', alert, now)
      return await put(tx, alert)
    }
    default:
      return change satisfies never
  }
}

function newAlert(finding: Finding, now: Instant): Omit<AlertRecord, 'id'> {
  return {
    rule: finding.rule,
    key: finding.key,
    ...saidBy(finding),
    status: 'open',
    openedAt: now,
    updatedAt: now,
    clearedAt: null,
    resolvedAt: null,
    acknowledgedAt: null,
    acknowledgedBy: null,
    note: null,
    step: 0,
    nextAt: now,
    notified: [],
    notifiedCount: finding.count,
  }
}

function saidBy({ severity, count, summary, details }: Finding) {
  return { severity, count, summary, details: canonicalJson(details) }
}

async function put(tx: Tx, alert: AlertRecord): Promise<AlertRecord> {
  await updateAlert(tx, alert)
  return alert
}

async function record(tx: Tx, action: FactAction, alert: AlertRecord, now: Instant): Promise<void> {
  const { id, rule, key, severity, count, summary } = alert
  const details = { rule, key, severity, count }
  const subject = subjects.alert(id)
  await recordFacts(tx, fact(now, { actor: actors.job('alerts'), action, subject, reason: summary, details }))
}

/** To those who had been told; people only in their hours. */
export function goodNews(
  engine: Pick<Engine, 'settings' | 'notifiers'>,
  alert: AlertRecord,
  event: AlertEvent,
  now: Instant,
): Outgoing[] {
  const settings = alertSettings(engine.settings)
  return alert.notified
    .filter((name) => {
      const notifier = engine.notifiers.get(name)
      if (!notifier) return false
      return notifier.isPerAlert || (event === 'resolved' && mayHearNow(name, settings, now))
    })
    .map((notifier) => ({ notifier, event, alert }))
}

async function escalate(
  engine: Engine,
  tx: Tx,
  alerts: readonly AlertRecord[],
  now: Instant,
): Promise<Outgoing[]> {
  const settings = alertSettings(engine.settings)
  const silences = await silencesAt(tx, now)
  const rooms = new Map<string, Instant>()
  const outgoing: Outgoing[] = []
  for (const alert of alerts) {
    // its cause is gone, if it stays away
    if (alert.clearedAt !== null) continue
    const plan = planEscalation(alert, settings, silences, now)
    const waitsFor = await roomFor(engine, tx, plan.notifiers, { rooms, now })
    if (waitsFor > now) {
      await updateAlert(tx, { ...alert, nextAt: waitsFor })
      continue
    }
    if (plan.step === alert.step && plan.nextAt === alert.nextAt) continue
    const notified = [...new Set([...alert.notified, ...plan.notifiers])]
    const isTold = plan.notifiers.length > 0
    const after = {
      ...alert,
      step: plan.step,
      nextAt: plan.nextAt,
      notified,
      notifiedCount: isTold ? alert.count : alert.notifiedCount,
    }
    await updateAlert(tx, after)
    const event = alert.notified.length === 0 ? 'opened' : alert.step > 0 ? 'escalated' : 'raised'
    for (const notifier of plan.notifiers) outgoing.push({ notifier, event, alert: after })
  }
  return outgoing
}

/** Nobody gets more messages in an hour than the maximum; what is held up goes out in one. Incident tools get all. */
async function roomFor(
  engine: Engine,
  tx: Tx,
  notifiers: readonly string[],
  { rooms, now }: { readonly rooms: Map<string, Instant>; readonly now: Instant },
): Promise<Instant> {
  const { maximumPerHour } = alertSettings(engine.settings)
  let at = now
  for (const notifier of notifiers) {
    if (engine.notifiers.get(notifier)?.isPerAlert === true) continue
    const room =
      rooms.get(notifier) ?? (await roomAt(tx, { notifier, maximum: maximumPerHour, spanMs: hourMs }, now))
    rooms.set(notifier, room)
    at = Math.max(at, room)
  }
  return at
}
