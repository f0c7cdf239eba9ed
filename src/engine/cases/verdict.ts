/** How a case ends, and what that means for its device. */
import type { Instant } from '../../base/clock.ts'
import { assert, assertNever } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { blockKey } from '../../store/blocked-keys.ts'
import { closeCaseRow, listCases, type CaseRecord, type Verdict } from '../../store/cases.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findDevice, setDeviceState, type DeviceState } from '../../store/devices.ts'
import { isHeld, releaseHolds } from '../../store/holds.ts'
import { listCertificates } from '../../store/inventory.ts'
import type { Tx } from '../../store/schema.ts'
import { fact, recordFacts, subjects } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { ownIssuers, revokeDeviceIn } from '../revocation/revoke.ts'
import { connectorNames, cutSessions } from '../sessions/cut.ts'
import { caseFact, deviceFact, noteIn, requireCase, requireOpen } from './case.ts'

export interface CaseClosing {
  readonly id: number
  readonly verdict: Verdict
  readonly actor: string
  readonly note?: string
}

export interface Consequence {
  readonly deviceState: DeviceState
  /** Certificates that were on hold and are good again. */
  readonly released: readonly CertificateRecord[]
  /** True when the device has nothing to connect with: it needs a new enrolment secret. */
  readonly needsSecret: boolean
}

export interface ClosedCase extends Consequence {
  readonly record: CaseRecord
}

/**
 * `cleared`: back to service, with what was on hold; what is revoked stays revoked. `replaced`, `destroyed`: decommissioned.
 * `compromised`: decommissioned, and its keys never get a certificate again.
 * @throws Refusal `not-found`, `case-state` when it is closed
 */
export async function closeCase(engine: Engine, closing: CaseClosing): Promise<ClosedCase> {
  const now = engine.clock.now()
  const ours = await ownIssuers(engine)
  const consequence = await engine.store.transaction((tx) => closeIn(engine, tx, closing, { now, ours }))
  return { record: await requireCase(engine, closing.id), ...consequence }
}

/** Cases in one transaction. */
const chunk = 100

/** One verdict about everything that a batch of revocations has opened and nobody has closed. @returns how many */
export async function closeCasesOf(
  engine: Engine,
  closing: Omit<CaseClosing, 'id'> & { readonly revocationId: number },
  onProgress?: (closed: number) => void,
): Promise<number> {
  const now = engine.clock.now()
  const ours = await ownIssuers(engine)
  const { revocationId, ...rest } = closing
  const filter = { revocationId, isOpen: true }
  let closed = 0
  for (;;) {
    const { rows } = await listCases(engine.store.db, { filter, limit: chunk })
    if (rows.length === 0) return closed
    await engine.store.transaction(async (tx) => {
      for (const { id } of rows) await closeIn(engine, tx, { ...rest, id }, { now, ours })
    })
    closed += rows.length
    onProgress?.(closed)
  }
}

interface InUnit {
  readonly now: Instant
  /** Ids of the issuers whose keys are ours. */
  readonly ours: ReadonlySet<string>
}

async function closeIn(
  engine: Engine,
  tx: Tx,
  closing: CaseClosing,
  { now, ours }: InUnit,
): Promise<Consequence> {
  const { id, verdict, actor, note } = closing
  const { deviceId } = await requireOpen(tx, id)
  if (note !== undefined) await noteIn(tx, id, { at: now, actor, note, file: null })
  await closeCaseRow(tx, id, { verdict, by: actor, at: now })
  await recordFacts(tx, caseFact('case.closed', { id, actor, now, note, details: { deviceId, verdict } }))
  const { rows } = await listCertificates(tx, { filter: { deviceId }, limit: 1_000 })
  const about = { ...closing, deviceId, now, rows, ours }
  switch (verdict) {
    case 'cleared':
      return await backToService(engine, tx, about)
    case 'compromised':
      await blockKeys(tx, about)
      return await outForGood(engine, tx, about)
    case 'replaced':
    case 'destroyed':
      return await outForGood(engine, tx, about)
    default:
      return assertNever(verdict)
  }
}

interface About extends CaseClosing, InUnit {
  readonly deviceId: DeviceId
  /** Every certificate of the device. */
  readonly rows: readonly CertificateRecord[]
}

async function backToService(engine: Engine, tx: Tx, about: About): Promise<Consequence> {
  const { id, deviceId, actor, note, now, rows } = about
  const device = await findDevice(tx, deviceId)
  assert(device, 'devices are never deleted')
  // a later decision that took it out for good stands
  if (device.state === 'decommissioned')
    return { deviceState: 'decommissioned', released: [], needsSecret: false }
  const released = await releaseHolds(tx, rows.filter(isHeld), now)
  const deviceState = device.lastRenewalAt === null ? 'registered' : 'active'
  await setDeviceState(tx, deviceId, deviceState)
  await cutSessions(tx, connectorNames(engine), { deviceId, why: 'released' }, now)
  const details = { case: id }
  await recordFacts(
    tx,
    deviceFact('device.released', { deviceId, actor, now, note, details }),
    ...released.map(({ issuerId, serialNumber }) =>
      fact(now, {
        actor,
        action: 'certificate.released',
        subject: subjects.certificate(issuerId, serialNumber),
        details: { deviceId, case: id },
      }),
    ),
  )
  const isLive = ({ status, notAfter }: CertificateRecord) =>
    (status === 'issued' || status === 'confirmed') && notAfter + 999 >= now
  const isUsable = rows.some(isLive) || released.some(({ notAfter }) => notAfter + 999 >= now)
  return { deviceState, released, needsSecret: !isUsable }
}

/** Whatever it still holds is revoked: also what was on hold, or never touched because only a case was opened. */
async function outForGood(engine: Engine, tx: Tx, about: About): Promise<Consequence> {
  const { id, deviceId, actor, note, verdict, now } = about
  const reason = verdict === 'compromised' ? 'keyCompromise' : 'cessationOfOperation'
  const order = { reason, actor, now, ours: about.ours, connectors: connectorNames(engine) } as const
  await revokeDeviceIn(tx, deviceId, note === undefined ? order : { ...order, note })
  const before = await setDeviceState(tx, deviceId, 'decommissioned')
  if (before !== 'decommissioned') {
    const details = { case: id, reason: verdict }
    await recordFacts(tx, deviceFact('device.decommissioned', { deviceId, actor, now, note, details }))
  }
  return { deviceState: 'decommissioned', released: [], needsSecret: false }
}

async function blockKeys(tx: Tx, { id, deviceId, actor, now, rows }: About): Promise<void> {
  for (const spkiHash of new Set(rows.map((row) => row.spkiHash))) {
    const reason = `key of device ${deviceId}, found compromised in case ${id}`
    if (!(await blockKey(tx, { spkiHash, reason, createdAt: now }))) continue
    const details = { deviceId, case: id }
    await recordFacts(
      tx,
      fact(now, { actor, action: 'key.blocked', subject: subjects.key(spkiHash), reason, details }),
    )
  }
}
