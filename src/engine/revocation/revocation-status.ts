/** When a revocation took effect, surface by surface, and what is still open: read from what was done, not from what was meant. */
import { iso, minuteMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import { parseCrl } from '../../pki/crl-read.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { findOpenCase, listCases } from '../../store/cases.ts'
import { listCrls, type CrlRecord } from '../../store/crls.ts'
import { findDevice } from '../../store/devices.ts'
import { listCertificates } from '../../store/inventory.ts'
import {
  cutResults,
  latestCutOf,
  latestCutUnder,
  sessionWatchers,
  type SessionCut,
} from '../../store/session-cuts.ts'
import { findTaskOf } from '../../store/tasks.ts'
import type { Engine } from '../context.ts'
import { connectorNames, taskKind } from '../sessions/cut.ts'
import { currentCrl } from './crl.ts'
import { publishedAt } from './crl-settings.ts'
import { ocspLifetimeMs } from './ocsp-settings.ts'

/** `open`: it has not happened yet. `none`: there is nothing to be done there. */
export type SurfaceState = 'done' | 'open' | 'failed' | 'none'

/** A type alias, so that it can be printed as JSON as it is. */
export type Surface = {
  readonly surface: string
  readonly state: SurfaceState
  /** When it took effect. */
  readonly at: Instant | null
  readonly detail: string | null
}

export interface RevocationStatus {
  /** `device SN-1`, `certificate issuing/4a…`, `issuer issuing`. */
  readonly subject: string
  /** When it was decided; the newest of several certificates. */
  readonly decidedAt: Instant
  readonly reason: string | null
  /** The open case of the device. */
  readonly caseId: number | null
  readonly surfaces: readonly Surface[]
}

/** @throws Refusal `not-found` when there is no such device or nothing of it was revoked */
export async function deviceRevocationStatus(engine: Engine, deviceId: DeviceId): Promise<RevocationStatus> {
  const { db } = engine.store
  if (!(await findDevice(db, deviceId)))
    throw new Refusal('not-found', `device ${deviceId} is not in the inventory`)
  const { rows } = await listCertificates(db, { filter: { deviceId, status: 'revoked' }, limit: 1_000 })
  const open = await findOpenCase(db, deviceId)
  const last = open ?? (await listCases(db, { filter: { deviceId }, limit: 1_000 })).rows.at(-1) ?? null
  const newest = rows.toSorted((a, b) => (b.revokedAt ?? 0) - (a.revokedAt ?? 0))[0] ?? null
  const decidedAt = newest?.revokedAt ?? last?.openedAt ?? null
  if (decidedAt === null) throw new Refusal('not-found', `nothing of device ${deviceId} was ever revoked`)
  const cut = await latestCutOf(db, deviceId)
  return {
    subject: `device ${deviceId}`,
    decidedAt,
    reason: newest?.reason ?? last?.reason ?? null,
    caseId: open?.id ?? null,
    surfaces: [
      done('enrolment', decidedAt, open === null ? null : `refused until case ${open.id} is closed`),
      ...(newest === null ? [nothing('ocsp', 'no certificate was revoked')] : [ocsp(decidedAt)]),
      ...(await crlSurfaces(engine, rows)),
      ...(await sessionSurfaces(engine, cut)),
    ],
  }
}

/** @throws Refusal `not-found` when it is not revoked */
export async function certificateRevocationStatus(
  engine: Engine,
  certificate: CertificateRecord,
): Promise<RevocationStatus> {
  const { issuerId, serialNumber, revokedAt, reason, deviceId } = certificate
  const name = `certificate ${issuerId}/${serialNumber}`
  if (certificate.status !== 'revoked' || revokedAt === null)
    throw new Refusal('not-found', `${name} is not revoked: it is ${certificate.status}`)
  const { db } = engine.store
  const open = deviceId === null ? null : await findOpenCase(db, deviceId)
  const cut = deviceId === null ? null : await latestCutOf(db, deviceId)
  return {
    subject: name,
    decidedAt: revokedAt,
    reason,
    caseId: open?.id ?? null,
    surfaces: [
      done('enrolment', revokedAt, null),
      ocsp(revokedAt),
      ...(await crlSurfaces(engine, [certificate])),
      ...(await sessionSurfaces(engine, cut)),
    ],
  }
}

/** @throws Refusal `not-found` when there is no such issuer or it is not revoked */
export async function issuerRevocationStatus(engine: Engine, id: IssuerId): Promise<RevocationStatus> {
  const material = await engine.issuers.find(id)
  const { revokedAt = null, revocationReason = null, parentId = null } = material?.record ?? {}
  if (!material || revokedAt === null || parentId === null)
    throw new Refusal('not-found', `there is no issuer ${id} that is revoked`)
  const { record, certificate } = material
  const listed = { issuerId: parentId, crlShard: 0, serialNumber: certificate.serialNumber, revokedAt }
  const cut = await latestCutUnder(engine.store.db, id)
  const campaign = record.reissueCampaign
  return {
    subject: `issuer ${id}`,
    decidedAt: revokedAt,
    reason: revocationReason,
    caseId: null,
    surfaces: [
      done('enrolment', revokedAt, 'in every process within a second'),
      ocsp(revokedAt),
      await crlSurface(engine, { ...listed, kind: 'complete' }),
      ...(await sessionSurfaces(engine, cut, { isOfDevice: false })),
      ...connectorNames(engine).map((name): Surface => {
        const isDone = record.cutAfter === null
        const detail = isDone
          ? 'a task for each device was written'
          : 'tasks for its devices are being written'
        return { surface: name, state: isDone ? 'done' : 'open', at: null, detail }
      }),
      campaign === null
        ? { surface: 're-enrolment', state: 'open', at: null, detail: 'its campaign is not drawn yet' }
        : campaign === ''
          ? nothing('re-enrolment', 'it has no devices')
          : {
              surface: 're-enrolment',
              state: 'open',
              at: null,
              detail: `see: perennial campaign status ${campaign}`,
            },
    ],
  }
}

function done(surface: string, at: Instant | null, detail: string | null): Surface {
  return { surface, state: 'done', at, detail }
}

function nothing(surface: string, detail: string): Surface {
  return { surface, state: 'none', at: null, detail }
}

function ocsp(at: Instant): Surface {
  return done('ocsp', at, `who keeps an answer, until ${iso(at + ocspLifetimeMs)} at the latest`)
}

type Listed = Pick<CertificateRecord, 'issuerId' | 'crlShard' | 'serialNumber' | 'revokedAt'>

async function crlSurfaces(engine: Engine, certificates: readonly CertificateRecord[]): Promise<Surface[]> {
  const now = engine.clock.now()
  const needed = certificates.filter(({ notAfter }) => notAfter + 999 >= now)
  if (needed.length === 0) return [nothing('crl', 'no certificate that has not ended is revoked')]
  const surfaces: Surface[] = []
  for (const certificate of needed) {
    for (const kind of ['shard', 'complete', 'delta'] as const)
      surfaces.push(await crlSurface(engine, { ...certificate, kind }))
  }
  return surfaces
}

/** Looked for in the CRL that is in force, not only in what was published since. */
async function crlSurface(
  engine: Engine,
  { issuerId, crlShard, serialNumber, revokedAt, kind }: Listed & { readonly kind: CrlRecord['kind'] },
): Promise<Surface> {
  const shard = kind === 'shard' ? crlShard : 0
  const surface = `crl ${issuerId} ${kind}${kind === 'shard' ? ` ${shard}` : ''}`
  const published = await currentCrl(engine, { issuerId, kind, shard })
  if (!published) return { surface, state: 'open', at: null, detail: 'none is published yet' }
  const isListed = parseCrl(published.der).find(serialNumber) !== null
  const { number, nextUpdate } = published.record
  if (!isListed) {
    const detail = `CRL ${number} does not list it yet; the next one comes within seconds where \`perennial serve\` runs`
    return { surface, state: 'open', at: null, detail }
  }
  const since = (await listCrls(engine.store.db, issuerId)).filter(
    (crl) => crl.kind === kind && crl.shard === shard && publishedAt(crl) >= secondOf(revokedAt ?? 0),
  )
  const first = since.at(-1) ?? published.record
  const detail = `CRL ${first.number}; who keeps the one before, until it lapses; this one lapses ${iso(nextUpdate)}`
  return done(surface, publishedAt(first), detail)
}

function secondOf(at: Instant): Instant {
  return Math.floor(at / 1_000) * 1_000
}

/** A broker that has not said for so long that it is there is gone, and its sessions with it. */
const goneMs = minuteMs

async function sessionSurfaces(
  engine: Engine,
  cut: SessionCut | null,
  { isOfDevice = true }: { readonly isOfDevice?: boolean } = {},
): Promise<Surface[]> {
  if (cut === null) return [nothing('sessions', 'nobody was told: it was decided before sessions were cut')]
  const { db } = engine.store
  const now = engine.clock.now()
  const results = new Map((await cutResults(db, cut.id)).map((result) => [result.surface, result]))
  const surfaces: Surface[] = []
  for (const { name, cutId, at } of await sessionWatchers(db)) {
    const result = results.get(name)
    if (result) surfaces.push(done(name, result.at, ended(result.sessions)))
    else if (cutId >= cut.id) surfaces.push(done(name, null, 'no session was open'))
    else if (now - at < goneMs)
      surfaces.push({ surface: name, state: 'open', at: null, detail: 'it has not looked yet' })
  }
  if (surfaces.length === 0) surfaces.push(nothing('sessions', 'no broker of ours is running'))
  if (!isOfDevice) return surfaces
  for (const name of connectorNames(engine)) {
    const result = results.get(name)
    surfaces.push(
      result ? done(name, result.at, ended(result.sessions)) : await waiting(engine, name, cut.id),
    )
  }
  return surfaces
}

function ended(sessions: number | null): string | null {
  if (sessions === null) return null
  return sessions === 1 ? '1 session was ended' : `${sessions} sessions were ended`
}

async function waiting(engine: Engine, name: string, cutId: number): Promise<Surface> {
  const task = await findTaskOf(engine.store.db, taskKind(name), String(cutId))
  if (task === null)
    return { surface: name, state: 'none', at: null, detail: 'it was not set up when this was decided' }
  const tried =
    task.attempts === 0 ? 'not tried yet' : `tried ${task.attempts} times: ${task.lastError ?? 'under way'}`
  return { surface: name, state: task.status === 'dead' ? 'failed' : 'open', at: null, detail: tried }
}
