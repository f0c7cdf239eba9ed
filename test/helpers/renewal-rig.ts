/** Renewals without a network: the real engine and jobs, a clock moved by hand, and channels that note what they are given. */
import { hourMs, type Instant } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import type { Engine } from '../../src/engine/context.ts'
import { openDueRenewals } from '../../src/engine/renewals/due-renewals.ts'
import { forgetRetired } from '../../src/engine/inventory/forget.ts'
import type { Job } from '../../src/engine/jobs.ts'
import type { Trigger, TriggerChannel, TriggerKind } from '../../src/engine/ports.ts'
import { renewalsJob } from '../../src/engine/renewals/renewals.ts'
import { retractionHandler } from '../../src/engine/renewals/retraction.ts'
import { retireCertificates } from '../../src/engine/renewals/retire.ts'
import { writeSightings } from '../../src/engine/renewals/sighting.ts'
import { taskJob } from '../../src/engine/tasks.ts'
import { triggerJobs } from '../../src/engine/triggers/trigger-tasks.ts'
import type { RenewalRecord } from '../../src/store/renewal-record.ts'
import { renewalsOfDevice } from '../../src/store/renewal-lists.ts'
import type { TestEngine } from './app.ts'

export interface SentTrigger {
  readonly kind: TriggerKind
  readonly trigger: Trigger
  readonly at: Instant
}

export interface RenewalRig {
  readonly engine: Engine
  /** In the order in which they left. */
  readonly sent: SentTrigger[]
  readonly retracted: DeviceId[]
  /** Called in place of a quiet success; may throw what a channel throws. */
  onSend: (kind: TriggerKind, trigger: Trigger) => void
  /** Every job once, now, until none of them is behind. */
  passes(): Promise<void>
  /** The same once an hour, or in the step given, for so long. */
  passTime(ms: number, stepMs?: number): Promise<void>
  /** The latest renewal of a device. */
  renewal(deviceId: string): Promise<RenewalRecord | null>
}

const signal = new AbortController().signal
const noFence = async (): Promise<void> => {}
/** A pass that is behind comes back at once; a test that needs more turns than this goes in a circle. */
const maxTurns = 1_000

export function renewalRig(
  app: Pick<TestEngine, 'engine' | 'clock'>,
  kinds: readonly TriggerKind[] = ['mqtt', 'sms', 'ota'],
): RenewalRig {
  const sent: SentTrigger[] = []
  const retracted: DeviceId[] = []
  const channels = kinds.map((kind): [TriggerKind, TriggerChannel] => [
    kind,
    {
      kind,
      parallel: 4,
      async send(trigger) {
        rig.onSend(kind, trigger)
        sent.push({ kind, trigger, at: app.clock.now() })
        return { reference: `${kind}-${sent.length}` }
      },
      async retract(deviceId) {
        retracted.push(deviceId)
      },
      close: async () => {},
    },
  ])
  const engine: Engine = { ...app.engine, triggers: new Map(channels) }
  const jobs: readonly Job[] = [
    writeSightings,
    openDueRenewals(hourMs),
    renewalsJob(hourMs),
    ...triggerJobs(hourMs),
    taskJob([retractionHandler], hourMs),
    retireCertificates,
    forgetRetired(),
  ]
  const rig: RenewalRig = {
    engine,
    sent,
    retracted,
    onSend: () => {},
    async passes() {
      for (const job of jobs) {
        for (let turn = 0; turn < maxTurns; turn++) {
          const { isBehind } = await job.run(engine, app.clock.now(), signal, noFence)
          if (isBehind !== true) break
        }
      }
    },
    async passTime(ms, stepMs = hourMs) {
      for (let passed = 0; passed < ms; passed += stepMs) {
        await app.clock.advance(Math.min(stepMs, ms - passed))
        await rig.passes()
      }
    },
    async renewal(deviceId) {
      return (await renewalsOfDevice(engine.store.db, deviceId as DeviceId, 1))[0] ?? null
    },
  }
  return rig
}
