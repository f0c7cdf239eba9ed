/**
 * The fleet on which the examples of the API's routes are executed. A resource adds what its examples name. Everything of
 * the site `elsewhere` has `canary` in its name: no answer to a caller whose scope is `kl` may carry the word.
 */
import { dayMs, VirtualClock } from '../../src/base/clock.ts'
import type { Engine } from '../../src/engine/context.ts'
import { enrolDevice, registerDevice } from './app.ts'
import { putRenewal } from './renewals.ts'

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
  await putRenewal(engine, hidden, { status: 'escalated', reason: 'ladder-exhausted', site: 'elsewhere' })
}
