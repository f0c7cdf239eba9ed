/** The simulator runs the engine that is shipped; these tests look at what comes out of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../src/base/clock.ts'
import { simulate } from '../../src/sim/simulate.ts'
import { smallScenario } from './small-scenario.ts'

const faults = {
  'contact.missed': 0.1,
  'outage.share': 0.2,
  'outage.window': 20 * dayMs,
  'outage.stuck': 0.5,
  'network.lost': 0.05,
  'network.replyLost': 0.05,
  'network.twice': 0.05,
  'clock.wrong': 0.2,
  'clock.error': 40 * dayMs,
  'flash.powerCut': 0.2,
  'flash.lost': 0.3,
}

test('a healthy fleet is renewed by its campaign, and every device keeps a certificate that works', async () => {
  const { runs, partial } = await simulate({ scenario: await smallScenario(), seed: 'healthy' })
  const [run] = runs
  assert.ok(run)
  assert.equal(partial, null)
  assert.deepEqual(run.invariants.violations, [])
  assert.equal(run.invariants.depth, 'every device')
  assert.equal(run.outcome.renewed, 30)
  assert.equal(run.outcome.renewedByMessage, 30)
  // some have followed the hint that came with the new one since
  assert.ok(run.outcome.certificates >= 30)
  assert.equal(run.outcome.lapsed, 0)
  assert.equal(run.outcome.campaign, 'completed')
  assert.equal(run.series.retired.at(-1), 30)
  for (const list of Object.values(run.series)) assert.equal(list.length, 61, 'the start and 60 days')
})

test('the same seed is the same history, another seed another one', async () => {
  const hash = async (seed: string) => {
    const { runs } = await simulate({ scenario: await smallScenario(faults), seed })
    assert.deepEqual(runs[0]?.invariants.violations, [])
    return runs[0]?.historyHash
  }
  const first = await hash('one')
  assert.equal(await hash('one'), first)
  assert.notEqual(await hash('two'), first)
})

test('the devices in a thread of their own, and their storages in a file, make the same history', async () => {
  const scenario = await smallScenario({ ...faults, 'network.twice': 0.2 })
  const hash = async (place: { readonly fileDevices?: number; readonly threadDevices?: number }) => {
    const { runs } = await simulate({ scenario, seed: 'places', ...place })
    assert.deepEqual(runs[0]?.invariants.violations, [])
    return runs[0]?.historyHash
  }
  const here = await hash({})
  assert.equal(await hash({ threadDevices: 1 }), here)
  assert.equal(await hash({ threadDevices: 1, fileDevices: 1 }), here)
})

test('a run that is stopped says so, and has what was measured until then', async () => {
  const stop = new AbortController()
  const { runs, partial } = await simulate({
    scenario: await smallScenario(),
    seed: 'stopped',
    signal: stop.signal,
    onProgress: ({ step, done }) => {
      if (step === 'running' && done === 100) stop.abort()
    },
  })
  assert.match(partial ?? '', /stopped on virtual day 25 of 60/)
  assert.equal(runs[0]?.days, 25)
  assert.equal(runs[0]?.series.open.length, 26)
})
