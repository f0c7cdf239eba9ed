import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import { ladderGaps } from './ladder-gaps.ts'
import { shippedLadders } from './ladder.ts'
import type { TriggerKind } from '../ports.ts'

const connectivity = new Map(
  (['always-on', 'daily', 'air-gapped'] as const).map((name) => [
    name as string,
    { checkInMs: dayMs, ladder: shippedLadders[name] },
  ]),
)

function gaps(...kinds: TriggerKind[]): string[] {
  return ladderGaps(connectivity, new Set(kinds)).map(
    ({ connectivity: name, rung, channel, isLast }) =>
      `${name} ${rung} ${channel}${isLast ? ', nothing left' : ''}`,
  )
}

test('a ladder whose channels are all there has no gap, and one of the field list alone never has', () => {
  assert.deepEqual(gaps('mqtt', 'sms', 'field'), [])
  assert.deepEqual(gaps('mqtt', 'sms'), [])
})

test('names each rung that is passed over', () => {
  assert.deepEqual(gaps('mqtt'), ['always-on 3 sms', 'daily 2 sms'])
})

test('says when nothing is left that asks', () => {
  assert.deepEqual(gaps('webhook'), [
    'always-on 1 mqtt, nothing left',
    'always-on 2 mqtt, nothing left',
    'always-on 3 sms, nothing left',
    'daily 1 mqtt, nothing left',
    'daily 2 sms, nothing left',
  ])
})
