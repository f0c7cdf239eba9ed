/** The step of one renewal as tables of cases: what stands on the left happens at the instant in the middle. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { dayMs, hourMs, type Instant } from '../../base/clock.ts'
import { parseRung, shippedLadders, type Ladder } from './ladder.ts'
import { triggerKinds, type TriggerKind } from '../ports.ts'
import {
  issuedState,
  resolveRenewal,
  stepRenewal,
  type RenewalState,
  type StepContext,
} from './renewal-step.ts'

const start: Instant = Date.UTC(2026, 0, 1)
const end = start + 90 * dayMs
const all = new Set(triggerKinds)

const planned: RenewalState = {
  status: 'planned',
  climb: 0,
  rung: 0,
  attempt: 0,
  nextAt: start,
  notAfter: end,
  triggeredAt: null,
  endedAt: null,
  reason: null,
}

function ladderOf(...rungs: string[]): Ladder {
  return rungs.map(parseRung)
}

const contextOf = (ladder: Ladder, change: Partial<StepContext> = {}): StepContext => ({
  ladder,
  channels: all,
  obstacle: null,
  ...change,
})

/** Every look at a renewal until nothing is to come within the time: `day: what was done`. */
function history(state: RenewalState, context: StepContext, days = 120): string[] {
  const lines: string[] = []
  let current = state
  for (let looks = 0; looks < 1_000; looks++) {
    const at = current.nextAt
    if (at === null || at > start + days * dayMs || current.status === 'escalated') break
    const { state: next, effects } = stepRenewal(current, at, context)
    assert.ok(next.nextAt === null || next.nextAt > at, 'a step never asks for the same instant again')
    for (const effect of effects) {
      const day = Math.round(((at - start) / dayMs) * 100) / 100
      lines.push(
        `${day}: ${effect.kind === 'send' ? `${effect.channel} ${effect.rung}.${effect.attempt}` : `${effect.kind} ${effect.reason}`}`,
      )
    }
    current = next
  }
  return lines
}

describe('ladders, when the device answers nothing', () => {
  const cases: readonly (readonly [name: string, ladder: Ladder, history: readonly string[]])[] = [
    [
      'a rung waits, repeats, and then the next is climbed at once',
      ladderOf('mqtt wait=1d repeats=2', 'sms wait=2d', 'field'),
      ['0: mqtt 0.1', '1: mqtt 0.2', '2: sms 1.1', '4: escalate ladder-exhausted'],
    ],
    [
      'a rung with an instant is not climbed before it',
      ladderOf('mqtt wait=1d repeats=2', 'sms wait=5d before=60d', 'field before=30d'),
      ['0: mqtt 0.1', '1: mqtt 0.2', '30: sms 1.1', '60: escalate ladder-exhausted'],
    ],
    [
      'at its instant a rung is climbed, whatever is left below',
      ladderOf('mqtt wait=20d repeats=9', 'sms wait=30d repeats=9 before=60d', 'field before=45d'),
      ['0: mqtt 0.1', '20: mqtt 0.2', '30: sms 1.1', '45: escalate ladder-exhausted'],
    ],
    [
      'rungs whose instants have all passed are passed over',
      ladderOf('mqtt wait=1d', 'sms wait=1d before=120d', 'field before=100d'),
      ['0: escalate ladder-exhausted'],
    ],
    [
      'without instants the end of the certificate is the last one',
      ladderOf('mqtt wait=40d repeats=9', 'field'),
      ['0: mqtt 0.1', '40: mqtt 0.2', '80: mqtt 0.3', '90: escalate expired'],
    ],
    [
      'air-gapped: people at once, inside their time',
      shippedLadders['air-gapped'],
      ['0: escalate ladder-exhausted'],
    ],
    [
      'deep-sleep-72h',
      shippedLadders['deep-sleep-72h'],
      [
        '0: mqtt 0.1',
        '4: mqtt 0.2',
        '8: mqtt 0.3',
        '12: mqtt 0.4',
        '16: mqtt 0.5',
        '20: sms 1.1',
        '24: sms 1.2',
        '28: sms 1.3',
        '30: escalate ladder-exhausted',
      ],
    ],
  ]
  for (const [name, ladder, expected] of cases) {
    test(name, () => assert.deepEqual(history(planned, contextOf(ladder)), expected))
  }

  test('a list of people that is the first rung waits for its instant', () => {
    const late = { ...planned, notAfter: start + 365 * dayMs }
    assert.deepEqual(history(late, contextOf(shippedLadders['air-gapped']), 400), [
      '185: escalate ladder-exhausted',
    ])
  })

  test('each shipped ladder ends on the list before the certificate ends', () => {
    for (const [name, ladder] of Object.entries(shippedLadders)) {
      const last = history(planned, contextOf(ladder)).at(-1) ?? ''
      assert.match(last, /escalate ladder-exhausted$/, name)
      assert.ok(Number.parseFloat(last) < 90, name)
    }
  })
})

describe('channels', () => {
  const ladder = ladderOf('mqtt wait=1d repeats=3', 'ota wait=1d', 'sms wait=1d', 'field before=10d')
  const cases: readonly (readonly [string, readonly TriggerKind[], readonly string[]])[] = [
    [
      'a rung whose channel is missing is passed over',
      ['ota', 'sms'],
      ['0: ota 1.1', '1: sms 2.1', '80: escalate ladder-exhausted'],
    ],
    ['with none at all, people hear of it at their time', [], ['80: escalate ladder-exhausted']],
  ]
  for (const [name, channels, expected] of cases) {
    test(name, () => {
      assert.deepEqual(history(planned, contextOf(ladder, { channels: new Set(channels) })), expected)
    })
  }
})

describe('nothing happens', () => {
  const context = contextOf(ladderOf('mqtt wait=1d', 'field'))
  const unmoved: readonly (readonly [string, RenewalState, Instant])[] = [
    ['one millisecond too early', planned, start - 1],
    [
      'when the clock went back by years',
      { ...planned, status: 'triggered', rung: 0, attempt: 1, nextAt: start + dayMs },
      start - 3_650 * dayMs,
    ],
    ['to one that no campaign has let in', { ...planned, nextAt: null }, end],
    ['to one that waits for its retirement', { ...planned, status: 'confirmed', nextAt: null }, end],
  ]
  for (const [name, state, now] of unmoved) {
    test(name, () => assert.deepEqual(stepRenewal(state, now, context), { state, effects: [] }))
  }
  for (const status of ['confirmed', 'retired', 'abandoned'] as const) {
    test(`to one that is ${status}, whatever its next instant says`, () => {
      const { state, effects } = stepRenewal({ ...planned, status }, end, {
        ...context,
        obstacle: 'device-quarantined',
      })
      assert.deepEqual([state, effects], [{ ...planned, status, nextAt: null }, []])
    })
  }
})

test('the same step twice asks once: the second one is too early', () => {
  const context = contextOf(shippedLadders.daily)
  const first = stepRenewal(planned, start, context)
  assert.equal(first.effects.length, 1)
  assert.equal(first.state.status, 'triggered')
  assert.equal(first.state.triggeredAt, start)
  assert.deepEqual(stepRenewal(first.state, start, context), { state: first.state, effects: [] })
})

test('a pass that comes late asks once, not once for each time that it missed', () => {
  const asked = stepRenewal(planned, start, contextOf(shippedLadders['deep-sleep-72h'])).state
  const { state, effects } = stepRenewal(
    asked,
    start + 25 * dayMs,
    contextOf(shippedLadders['deep-sleep-72h']),
  )
  assert.deepEqual(effects, [{ kind: 'send', channel: 'mqtt', rung: 0, attempt: 2 }])
  assert.equal(state.nextAt, start + 29 * dayMs)
})

describe('obstacles', () => {
  for (const status of ['planned', 'triggered', 'issued', 'escalated'] as const) {
    test(`a device out of service ends a renewal that is ${status}`, () => {
      const context = contextOf(shippedLadders.daily, { obstacle: 'device-decommissioned' })
      const { state, effects } = stepRenewal({ ...planned, status }, start, context)
      assert.equal(state.status, 'abandoned')
      assert.equal(state.endedAt, start)
      assert.deepEqual(effects, [{ kind: 'abandon', reason: 'device-decommissioned' }])
    })
  }
})

describe('the end of the certificate', () => {
  const ladder = ladderOf('mqtt wait=1d repeats=500', 'field')
  const context = contextOf(ladder)
  const asked = { ...planned, status: 'triggered', attempt: 1, nextAt: start, triggeredAt: start } as const

  test('is inclusive: one second later it is over', () => {
    const before = stepRenewal({ ...asked, nextAt: end }, end + 999, context)
    assert.equal(before.effects[0]?.kind, 'send')
    assert.deepEqual(stepRenewal({ ...asked, nextAt: end }, end + 1_000, context).effects, [
      { kind: 'escalate', reason: 'expired' },
    ])
  })

  test('changes the reason of one that is on the list already', () => {
    const listed = { ...asked, status: 'escalated', reason: 'ladder-exhausted' } as const
    assert.equal(stepRenewal(listed, end - 1, context).state.reason, 'ladder-exhausted')
    const { state, effects } = stepRenewal(listed, end + 1_000, context)
    assert.deepEqual([state.reason, effects], ['expired', []])
  })

  test('does not send a device back to the list that a person has dealt with', () => {
    const resolved = resolveRenewal({ ...asked, status: 'escalated', reason: 'expired' }, end + dayMs)
    assert.equal(stepRenewal(resolved, end + dayMs, context).effects[0]?.kind, 'send')
  })
})

describe('resolved by a person', () => {
  const ladder = ladderOf('mqtt wait=1d repeats=2', 'sms wait=2d before=70d', 'field before=60d')

  test('the whole ladder is climbed again, although its instants have passed', () => {
    const listed = { ...planned, status: 'escalated', rung: 2, attempt: 1, triggeredAt: start } as const
    const resolved = resolveRenewal(listed, start + 50 * dayMs)
    assert.deepEqual([resolved.climb, resolved.triggeredAt], [1, null])
    assert.deepEqual(history(resolved, contextOf(ladder)), [
      '50: mqtt 0.1',
      '51: mqtt 0.2',
      '52: sms 1.1',
      '54: escalate ladder-exhausted',
    ])
  })
})

describe('a certificate that is issued and not used', () => {
  const ladder = ladderOf('mqtt wait=1d repeats=2', 'sms wait=2d', 'field before=60d')
  const context = contextOf(ladder)
  const patience = { ladder, patienceMs: 3 * dayMs }
  const asked = { ...planned, status: 'triggered', attempt: 1, triggeredAt: start } as const

  test('is waited for as long as such a device may be silent, then the ladder goes on', () => {
    const issued = issuedState({ ...asked, nextAt: start + hourMs }, start, patience)
    assert.deepEqual(history(issued, context), ['3: mqtt 0.2', '4: sms 1.1', '30: escalate never-used'])
  })

  test('that came from the list has its time, and then is on the list again', () => {
    const listed = { ...asked, status: 'escalated', rung: 2, attempt: 1, reason: 'expired' } as const
    const issued = issuedState({ ...listed, notAfter: start - dayMs }, start, patience)
    assert.equal(issued.status, 'issued')
    assert.deepEqual(history(issued, context), ['3: escalate never-used'])
  })

  test('keeps its reason on the list after the old certificate has ended', () => {
    const listed = { ...asked, status: 'escalated', reason: 'never-used' } as const
    assert.equal(stepRenewal(listed, end + dayMs, context).state.reason, 'never-used')
  })
})
