import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseScenario } from '../../src/sim/scenario.ts'
import { checkMemory } from '../../src/sim/simulate.ts'
import { Refusal } from '../../src/base/errors.ts'
import { smallScenario } from './small-scenario.ts'

const text = `title: a fleet
story: some devices
parameters:
  devices: { value: 10, from: story }
  outage.share: { value: 7%, from: assumption, why: it has to be something }
ladder: { value: ['mqtt wait=1d', 'field before=5d'], from: story }
`

test('reads numbers with where they are from', async () => {
  const { values, sources } = await parseScenario(text, 'fleet')
  assert.equal(values.devices, 10)
  assert.equal(values['outage.share'], 0.07)
  assert.deepEqual(sources['outage.share'], { source: 'assumption', why: 'it has to be something' })
  assert.equal(sources.days.source, 'default')
})

test('what the command line says counts, and is known to come from there', async () => {
  const { values, sources } = await parseScenario(text, 'fleet', { devices: 3 })
  assert.equal(values.devices, 3)
  assert.equal(sources.devices.source, 'command line')
})

async function refuses(work: Promise<unknown>, reason: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof Refusal, String(error))
    assert.equal(error.code, 'invalid-input')
    assert.match(error.message, reason)
    return true
  })
}

const bad: readonly (readonly [string, string, RegExp])[] = [
  ['an unknown key', text.replace('outage.share', 'outage.shares'), /line 5: .*did you mean outage.share\?/],
  ['an unknown part', `${text}events_: []\n`, /line 7: .*did you mean events\?/],
  [
    'a share above one',
    text.replace('7%', '107%'),
    /line 5: outage.share must be from 0 % to 99 %, not 107 %/,
  ],
  ['a share that is a word', text.replace('7%', 'much'), /line 5: outage.share must be a share/],
  ['an assumption without a reason', text.replace(', why: it has to be something', ''), /line 5: .*say why/],
  [
    'a number from nowhere',
    text.replace(', from: story }\n  outage', ' }\n  outage'),
    /line 4: .*story or assumption/,
  ],
  ['a ladder without people', text.replace(", 'field before=5d'", ''), /line 6: the last rung must be field/],
  ['an unknown action', `${text}events: [{ day: 1, do: pasue }]\n`, /line 7: .*did you mean pause\?/],
  [
    'a day after the end',
    `${text}events: [{ day: 181, do: pause }]\n`,
    /line 7: the day of pause must be from 0 to 180/,
  ],
  ['what is not YAML', `${text}  - [`, /line \d+: /],
]
for (const [what, scenario, reason] of bad) {
  test(`refuses ${what}, with its line`, async () => {
    await refuses(parseScenario(scenario, 'fleet'), reason)
  })
}

test('refuses shares of one whole that are more than it', async () => {
  const more = text.replace(
    '  outage.share',
    `  outage.stuck: { value: 70%, from: assumption, why: so }
  outage.dead: { value: 40%, from: assumption, why: so }
  outage.share`,
  )
  await refuses(parseScenario(more, 'fleet'), /line 6: .*come to 110 %/)
})

test('refuses more devices than memory allows, and says how many there may be', async () => {
  const scenario = await smallScenario({ devices: 2_200_000 })
  assert.doesNotThrow(() => checkMemory(scenario, 8 * 2 ** 30))
  assert.throws(() => checkMemory(scenario, 2 ** 30), /take --devices \d+ or fewer/)
})
