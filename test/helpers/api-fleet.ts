/**
 * The fleet on which the examples of the API's routes are executed. A resource adds what its examples name. Everything of
 * the site `elsewhere` has `canary` in its name: no answer to a caller whose scope is `kl` may carry the word.
 */
import type { Engine } from '../../src/engine/context.ts'
import { enrolDevice, registerDevice } from './app.ts'

export async function apiFleet(engine: Engine): Promise<void> {
  await enrolDevice(engine, 'meter-1', {
    site: 'kl',
    cohort: 'pilot',
    batch: '2026-w40',
    tags: { floor: '3' },
  })
  await enrolDevice(engine, 'meter-2', { site: 'kl', cohort: 'pilot' })
  await registerDevice(engine, 'meter-3', { site: 'kl' })
  await enrolDevice(engine, 'canary-1', {
    site: 'elsewhere',
    cohort: 'canary-cohort',
    batch: 'canary-batch',
    tags: { canary: 'yes' },
  })
  await registerDevice(engine, 'canary-2', { site: 'elsewhere' })
}
