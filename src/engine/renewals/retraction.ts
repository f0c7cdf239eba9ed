/** When a renewal is over, triggers that still stand somewhere, such as retained messages, are taken back. */
import type { Instant } from '../../base/clock.ts'
import { assert } from '../../base/errors.ts'
import { parseDeviceId } from '../../base/id.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import { findOpenRenewal } from '../../store/renewals.ts'
import type { Tx } from '../../store/schema.ts'
import type { Engine } from '../context.ts'
import { enqueue, type TaskHandler } from '../tasks.ts'

const kind = 'trigger.retract'

/** Nothing to do for a device that was never asked. */
export async function enqueueRetraction(
  tx: Tx,
  now: Instant,
  { deviceId, slot, triggeredAt }: RenewalRecord,
): Promise<void> {
  if (triggeredAt === null) return
  await enqueue(tx, now, { kind, key: `${deviceId}.${slot}`, payload: { deviceId, slot } })
}

/** Of every channel that leaves something standing. A device that was asked anew meanwhile keeps what it was told. */
export const retractionHandler: TaskHandler = {
  kind,
  parallel: 64,
  isForgotten: true,
  async run(engine: Engine, payload: unknown, signal: AbortSignal): Promise<void> {
    const { deviceId, slot } = payload as { readonly deviceId: string; readonly slot: string }
    const id = parseDeviceId(deviceId)
    assert(id !== null, 'a retraction names a device')
    const open = await findOpenRenewal(engine.store.db, id, slot)
    if (open !== null && open.status !== 'confirmed' && open.triggeredAt !== null) return
    for (const channel of engine.triggers.values()) await channel.retract?.(id, signal)
  },
}
