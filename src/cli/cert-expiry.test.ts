import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../base/clock.ts'
import type { ExpiryBucket } from '../engine/inventory/inventory.ts'
import { histogramLines } from './cert-expiry.ts'

const monday = Date.parse('2026-11-16')

function weeks(...counts: number[]): ExpiryBucket[] {
  return counts.map((count, i) => ({
    from: monday + i * 7 * dayMs,
    to: monday + (i + 1) * 7 * dayMs,
    count,
    parts: {},
  }))
}

const options = { by: 'week', width: 60, dim: (text: string) => text } as const

test('bars are scaled to the highest, and what is there is never drawn as nothing', () => {
  const lines = histogramLines(weeks(1, 100_000, 50_000), options)
  const bars = lines.slice(0, 3).map((line) => line.split('  ').at(-1) ?? '')
  assert.equal(bars[0], '▏')
  assert.equal(bars[1]?.length, 60 - 18 - 7 - 4)
  assert.ok(Math.abs((bars[2]?.length ?? 0) - (bars[1]?.length ?? 0) / 2) <= 1)
  for (const line of lines) assert.ok(line.length <= 60, line)
})

test('counts line up, and the sum and the range are said', () => {
  assert.deepEqual(
    histogramLines(weeks(7, 0, 1_250), options).map((line) => line.replace(/ *[█▉▊▋▌▍▎▏]+$/, '')),
    [
      '2026-11-16 … 11-22      7',
      '2026-11-23 … 11-29      0',
      '2026-11-30 … 12-06  1,250',
      '',
      '1,257 live certificates end from 2026-11-16 to 2026-12-06.',
    ],
  )
})

test('more than two empty buckets in a row are one line', () => {
  const lines = histogramLines(weeks(1, 0, 0, 1, 0, 0, 0, 1), options)
  assert.equal(lines.filter((line) => line.includes('3 weeks without any')).length, 1)
  assert.equal(lines.length, 1 + 2 + 1 + 1 + 1 + 2)
})

test('nothing to show is a sentence', () => {
  assert.deepEqual(histogramLines(weeks(0, 0), options), [
    'No live certificate ends from 2026-11-16 to 2026-11-29.',
  ])
})
