/**
 * The process that is killed in the middle of a tick: it steps the renewals that are due and sends their triggers, until it
 * reaches a point for the n-th time and kills itself there with SIGKILL.
 *
 *     node tick-victim.ts DIRECTORY POINT N MINUTES
 *
 * MINUTES: how late it is by the clock of this run. Each trigger that its channel has taken goes to standard output before
 * the channel answers, as a broker would know of it.
 */
import { writeSync } from 'node:fs'
import { hourMs, minuteMs, systemClock, type Clock } from '../../src/base/clock.ts'
import type { Engine } from '../../src/engine/context.ts'
import { parseRung } from '../../src/engine/renewals/ladder.ts'
import type { FaultInjector, TriggerChannel } from '../../src/engine/ports.ts'
import { renewalsJob } from '../../src/engine/renewals/renewals.ts'
import { triggerJobs } from '../../src/engine/triggers/trigger-tasks.ts'
import { openVictim } from './victim.ts'

/** When the renewals of the test are due: inside the window of the victim's profile. */
export const dueAfterMs = 13 * hourMs

const connectivity = new Map([
  ['always-on', { checkInMs: hourMs, ladder: ['mqtt wait=1m repeats=1000', 'field'].map(parseRung) }],
])

export async function openTickEngine(
  directory: string,
  { minutes, taken, faults }: { minutes: number; taken: (key: string) => void; faults?: FaultInjector },
): Promise<Engine> {
  const clock: Clock = {
    now: () => systemClock.now() + dueAfterMs + minutes * minuteMs,
    sleep: systemClock.sleep,
  }
  const channel: TriggerChannel = {
    kind: 'mqtt',
    parallel: 4,
    async send({ idempotencyKey }) {
      taken(idempotencyKey)
      return { reference: null }
    },
    close: async () => {},
  }
  const engine = await openVictim(directory, faults)
  const settings = {
    ...engine.settings,
    connectivity,
    renewal: { ...engine.settings.renewal, maximumPerMinute: 100_000 },
  }
  return { ...engine, clock, settings, triggers: new Map([['mqtt', channel]]) }
}

/** What the jobs role does in one interval, until nothing is left of it. */
export async function tick(engine: Engine): Promise<void> {
  const signal = new AbortController().signal
  for (const job of [renewalsJob(minuteMs), ...triggerJobs(minuteMs)]) {
    for (let turn = 0; turn < 100; turn++) {
      const { isBehind } = await job.run(engine, engine.clock.now(), signal, async () => {})
      if (isBehind !== true) break
    }
  }
}

async function main([directory = '', point = '', hits = '', minutes = '']: readonly string[]): Promise<void> {
  let seen = 0
  const engine = await openTickEngine(directory, {
    minutes: Number(minutes),
    taken: (key) => void writeSync(1, `${key}\n`),
    faults: {
      async at(reached) {
        if (reached === point && ++seen === Number(hits)) process.kill(process.pid, 'SIGKILL')
      },
    },
  })
  await tick(engine)
  await engine.store.close()
}

if (import.meta.main) await main(process.argv.slice(2))
