import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvalidArgumentError } from 'commander'
import {
  durationOption,
  everyPage,
  instantOption,
  serialArgument,
  tagOption,
  wholeNumber,
} from './options.ts'

test('instants are days or carry their offset: a local time would mean another instant elsewhere', () => {
  assert.equal(instantOption('2026-11-20'), Date.UTC(2026, 10, 20))
  assert.equal(instantOption('2026-11-20T12:00:00Z'), Date.UTC(2026, 10, 20, 12))
  assert.equal(instantOption('2026-11-20T12:00+01:00'), Date.UTC(2026, 10, 20, 11))
  for (const text of ['2026-11-20T12:00:00', '20.11.2026', '2026-13-01', 'tomorrow', '']) {
    assert.throws(() => instantOption(text), InvalidArgumentError, text)
  }
})

test('whole numbers are within their range', () => {
  const parse = wholeNumber(1, 64)
  assert.deepEqual([parse('1'), parse('64')], [1, 64])
  for (const text of ['0', '65', '1.5', '-1', '1e1', '', ' 1'])
    assert.throws(() => parse(text), InvalidArgumentError)
})

test('serial numbers are taken as tools print them', () => {
  assert.equal(serialArgument('0A:1B'), '0a1b')
  assert.equal(serialArgument('0x0a1b'), '0a1b')
  assert.throws(() => serialArgument('xyz'), InvalidArgumentError)
})

test('durations and tags', () => {
  assert.equal(durationOption('90d'), 90 * 86_400_000)
  assert.throws(() => durationOption('90'), InvalidArgumentError)
  assert.deepEqual(tagOption('a=b=c'), ['a', 'b=c'])
  assert.throws(() => tagOption('a b=c'), InvalidArgumentError)
})

test('pages are read as their rows are asked for, and not behind the limit', async () => {
  const asked: string[] = []
  const read = async ({ after, limit }: { after?: string | null; limit: number }) => {
    asked.push(`${after ?? 'start'} ${limit}`)
    const from = Number(after ?? 0)
    return { rows: Array.from({ length: limit }, (_, i) => from + i), next: String(from + limit) }
  }
  const taken: number[] = []
  for await (const row of everyPage(read, 3)) {
    if (taken.length === 3) break
    taken.push(row)
  }
  assert.deepEqual(taken, [0, 1, 2])
  assert.deepEqual(asked, ['start 4'])
})
