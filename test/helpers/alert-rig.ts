/** Alerts without a network: the real engine, its job and its tasks, and notifiers that note what they are given. */
import { minuteMs } from '../../src/base/clock.ts'
import { sealJob } from '../../src/engine/audit/seal.ts'
import type { Engine } from '../../src/engine/context.ts'
import { alertsJob, type AlertJobOptions } from '../../src/engine/alerts/alert-job.ts'
import { currentAlerts, type AlertView } from '../../src/engine/alerts/alert-actions.ts'
import { defaultAlertSettings, type AlertSettings } from '../../src/engine/alerts/alert-settings.ts'
import { notifyHandler } from '../../src/engine/alerts/notify.ts'
import type { Notifier, NotifierMessage } from '../../src/engine/ports.ts'
import { runTasks } from '../../src/engine/tasks.ts'
import type { TestEngine, TestEngineOptions } from './app.ts'

export interface Told {
  readonly notifier: string
  readonly message: NotifierMessage
}

export interface AlertRig extends TestEngine {
  readonly told: Told[]
  /** Called before a message is noted; may throw what a notifier throws. */
  onNotify: (told: Told) => void
  /** Facts are sealed, the job until it is not behind, then the tasks. */
  pass(how?: { readonly isSealed?: boolean }): Promise<void>
  /** The same in steps over so long a time. */
  passTime(ms: number, stepMs: number): Promise<void>
  open(): Promise<AlertView[]>
}

export type StartEngine = (options?: Omit<TestEngineOptions, 'store'>) => Promise<TestEngine>

const signal = new AbortController().signal
const noFence = async (): Promise<void> => {}

/** @param notifiers by name; those of `perAlert` are incident tools */
export async function alertRig(
  start: StartEngine,
  {
    settings,
    notifiers = ['ops'],
    perAlert = [],
    job: jobOptions,
    ...options
  }: Omit<TestEngineOptions, 'store' | 'settings'> & {
    readonly settings?: Partial<AlertSettings>
    readonly notifiers?: readonly string[]
    readonly perAlert?: readonly string[]
    readonly job?: AlertJobOptions
  } = {},
): Promise<AlertRig> {
  const told: Told[] = []
  const made = new Map([...notifiers, ...perAlert].map((name) => [name, recording(name)]))
  function recording(name: string): Notifier {
    return {
      kind: 'recording',
      isPerAlert: perAlert.includes(name),
      async notify(message) {
        rig.onNotify({ notifier: name, message })
        told.push({ notifier: name, message })
        return { reference: null }
      },
      close: async () => {},
    }
  }
  const alerts = { ...defaultAlertSettings, escalations: tellAll(notifiers, perAlert), ...settings }
  const app = await start({ ...options, settings: { alerts } })
  const engine: Engine = { ...app.engine, notifiers: made }
  const job = alertsJob(jobOptions)
  const sealFacts = sealJob(minuteMs)
  const rig: AlertRig = {
    ...app,
    engine,
    told,
    onNotify: () => {},
    async pass({ isSealed = true } = {}) {
      if (isSealed) while ((await sealFacts.run(engine, app.clock.now(), signal, noFence)).isBehind === true);
      for (let turn = 0; turn < 1_000; turn++) {
        const { isBehind } = await job.run(engine, app.clock.now(), signal, noFence)
        if (isBehind !== true) break
      }
      await runTasks(engine, [notifyHandler], app.clock.now(), signal)
    },
    async passTime(ms, stepMs) {
      for (let passed = 0; passed < ms; passed += stepMs) {
        await app.clock.advance(stepMs)
        await rig.pass()
      }
    },
    open: async () => await currentAlerts(engine, app.clock.now()),
  }
  return rig
}

/** Everybody at once, of everything. */
function tellAll(notifiers: readonly string[], perAlert: readonly string[]): AlertSettings['escalations'] {
  const steps = [...notifiers, ...perAlert].map((notifier) => ({ notifier, afterMs: 0 }))
  return [{ name: 'all', rules: [], minimumSeverity: 'notice', steps }]
}
