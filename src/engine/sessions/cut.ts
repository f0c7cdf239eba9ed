/**
 * Sessions outlive the instant at which a certificate was looked at. Whoever ends a certificate or a device writes a cut in
 * the same transaction: the brokers of ours read it within a second and look at the sessions it is about; other brokers and
 * services are told by tasks, one for each connector, until they have answered.
 */
import type { Instant } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import { parseDeviceId, type DeviceId, type IssuerId } from '../../base/id.ts'
import { findDevice } from '../../store/devices.ts'
import { findSessionCut, insertSessionCut, putCutResult, type CutReason } from '../../store/session-cuts.ts'
import type { Tx } from '../../store/schema.ts'
import type { Engine } from '../context.ts'
import type { Disconnector } from '../ports.ts'
import { enqueue, type TaskHandler } from '../tasks.ts'

export interface Cut {
  readonly deviceId: DeviceId
  readonly why: CutReason
}

/** @param connectors names of those that are configured, also where they run in another process */
export async function cutSessions(
  tx: Tx,
  connectors: readonly string[],
  { deviceId, why }: Cut,
  now: Instant,
): Promise<void> {
  const id = await insertSessionCut(tx, { deviceId, issuerId: null, why, createdAt: now })
  for (const name of connectors) {
    const payload = { cut: id, device: deviceId, why }
    await enqueue(tx, now, { kind: taskKind(name), key: String(id), payload })
  }
}

/** Our own brokers look at every session under the issuer; the devices at other brokers follow one by one (cut-under.ts). */
export async function cutUnderIssuer(tx: Tx, issuerId: IssuerId, now: Instant): Promise<void> {
  await insertSessionCut(tx, { deviceId: null, issuerId, why: 'revoked', createdAt: now })
}

export function taskKind(connector: string): string {
  return `disconnect.${connector}`
}

/** Names of the connectors that are configured. */
export function connectorNames({ settings }: Pick<Engine, 'settings'>): readonly string[] {
  return settings.connectors ?? []
}

/**
 * What a device is by the time that its turn comes decides: tasks may come late and in any order, and the last word about a
 * device is its record.
 */
export function disconnectHandler(connector: Disconnector): TaskHandler {
  return {
    kind: taskKind(connector.name),
    parallel: connector.parallel,
    isForgotten: true,
    maxAttempts: 20,
    async run(engine, payload, signal) {
      const {
        cut: id,
        device,
        why,
      } = payload as {
        readonly cut: number
        readonly device: string
        readonly why: CutReason
      }
      const deviceId = parseDeviceId(device)
      assert(deviceId !== null, 'a cut names a device')
      const record = await findDevice(engine.store.db, deviceId)
      const isBarred = record === null || record.state === 'quarantined' || record.state === 'decommissioned'
      const target = {
        deviceId,
        why,
        cutId: id,
        requestedAt: (await findSessionCut(engine.store.db, id))?.createdAt ?? 0,
      }
      const sessions =
        why === 'released' && !isBarred
          ? await connector.admit(target, signal)
          : await connector.cut({ ...target, isBarred }, signal)
      const at = engine.clock.now()
      await engine.store.transaction((tx) =>
        putCutResult(tx, id, { surface: connector.name, at, sessions: sessions ?? null }),
      )
    },
  }
}
