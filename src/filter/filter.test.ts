import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { dayMs } from '../base/instant.ts'
import { operatorsOf } from './field.ts'
import { filterLimits, parseFilter, readFilter, type Filter, type Term } from './filter.ts'
import { printFilter } from './print.ts'
import {
  certificateResource,
  deviceResource,
  factResource,
  filterResources,
  renewalResource,
} from './resources.ts'

const plain = (filter: Filter): unknown[] =>
  filter.map(({ field, operator, values }) => [field, operator, ...values])
const text = (value: string, isPrefix = false) => ({ kind: 'text', text: value, isPrefix })

const readable: readonly (readonly [string, unknown[]])[] = [
  ['', []],
  [' \t ', []],
  ['state=active', [['state', '=', text('active')]]],
  ['status=ACTIVE', [['state', '=', text('active')]]],
  ['STATE!=quarantined,decommissioned', [['state', '!=', text('quarantined'), text('decommissioned')]]],
  ['expires<30d', [['expires', '<', { kind: 'duration', ms: 30 * dayMs }]]],
  ['expires<0', [['expires', '<', { kind: 'duration', ms: 0 }]]],
  ['lastSeen>=2026-11-20', [['lastSeen', '>=', { kind: 'day', from: Date.UTC(2026, 10, 20) }]]],
  ['lastSeen<2026-11-20T12:00Z', [['lastSeen', '<', { kind: 'instant', at: Date.UTC(2026, 10, 20, 12) }]]],
  [
    'lastSeen=never site=none',
    [
      ['lastSeen', '=', { kind: 'none' }],
      ['site', '=', { kind: 'none' }],
    ],
  ],
  ['site="none"', [['site', '=', text('none')]]],
  ['site="a b,\\"c\\\\"', [['site', '=', text('a b,"c\\')]]],
  ['batch=run-2*', [['batch', '=', text('run-2', true)]]],
  ['batch="run-2*"', [['batch', '=', text('run-2*')]]],
  ['tag.site=kl', [['tag.site', '=', text('kl')]]],
  ['tag.site!=none', [['tag.site', '!=', { kind: 'none' }]]],
  [
    'SN-00* firmware~2.4',
    [
      ['', '=', text('SN-00', true)],
      ['firmware', '~', text('2.4')],
    ],
  ],
  ['"a=b"', [['', '=', text('a=b', true)]]],
]

for (const [filter, wanted] of readable) {
  test(`reads ${JSON.stringify(filter)}`, () => {
    const terms = parseFilter(filter, deviceResource)
    assert.deepEqual(plain(terms), wanted)
    assert.deepEqual(plain(parseFilter(printFilter(terms), deviceResource)), wanted)
  })
}

const unreadable: readonly (readonly [string, RegExp, number, number])[] = [
  ['stat=active', /no field stat; did you mean state\?/, 0, 4],
  ['colour=red', /no field colour; there are id, state, /, 0, 6],
  ['state=activ', /state is never activ; did you mean active\?/, 6, 11],
  ['state=zzzzz', /it is one of registered, active/, 6, 11],
  ['site=a state<active', /state takes = and !=, not </, 7, 19],
  ['expires~30d', /expires takes =, !=, <, <=, > and >=, not ~/, 0, 11],
  ['expires=30d', /with a duration it takes < and >/, 8, 11],
  ['expires<soon', /takes a duration like 30d/, 8, 12],
  ['expires<2026-02-30', /there is no day 2026-02-30/, 8, 18],
  ['expires<30d,60d', /several values go with = and != only/, 0, 15],
  ['state=none', /each of them has state/, 6, 10],
  ['site=', /a value is missing/, 5, 5],
  ['site=a,', /a value is missing/, 7, 7],
  ['site=a,,b', /a value is missing/, 7, 7],
  ['site="a', /quote is not closed/, 5, 6],
  ['site="a"b', /belongs behind a closing quote/, 8, 9],
  ['*', /a word is missing/, 0, 1],
  ['tag.site<kl', /a tag takes = and !=, not </, 0, 11],
  ['site=a\u202eb', /no control and no format characters/, 0, 8],
  ['site=a\0b', /no control and no format characters/, 0, 8],
  ['x'.repeat(2_001), /at most 2000 characters/, 0, 2_001],
  ['a '.repeat(25), /at most 24 terms/, 0, 50],
  [`site=${'a,'.repeat(64)}a`, /at most 64 values/, 0, 134],
]

for (const [filter, message, start, end] of unreadable) {
  test(`says what is wrong with ${JSON.stringify(filter.slice(0, 40))}, and where`, () => {
    const { problem } = readFilter(filter, deviceResource)
    assert.match(problem?.message ?? '', message)
    assert.deepEqual([problem?.start, problem?.end], [start, end])
    assert.throws(() => parseFilter(filter, deviceResource), { code: 'filter-invalid' })
  })
}

test('what a list does not have is refused by name', () => {
  assert.match(readFilter('tag.a=b', certificateResource).problem?.message ?? '', /certificates have no tags/)
  assert.match(readFilter('serial=xyz', certificateResource).problem?.message ?? '', /hex/)
  assert.match(readFilter('wave=-1', renewalResource).problem?.message ?? '', /whole number/)
  assert.match(readFilter('state=escalated', factResource).problem?.message ?? '', /no field state/)
})

test('any text is read or refused, in a time that its length bounds', () => {
  const piece = fc.constantFrom(
    'site',
    'expires',
    '=',
    '<',
    '"',
    ',',
    ' ',
    '\\',
    'tag.',
    '*',
    '30d',
    '!=',
    '~',
    'é',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.array(piece).map((parts) => parts.join('')),
      ),
      (filter) => {
        for (const resource of filterResources) {
          const { problem } = readFilter(filter, resource)
          if (problem)
            assert.ok(problem.start >= 0 && problem.end >= problem.start && problem.end <= filter.length + 1)
        }
      },
    ),
    { numRuns: 2_000 },
  )
  readFilter('"\\'.repeat(filterLimits.characters / 2), deviceResource)
})

test('each filter that is printed reads back as the same', () => {
  const value = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme-ascii' })
  const term = fc.record({
    field: fc.constantFrom('site', 'batch', 'tag.x'),
    operator: fc.constantFrom('=' as const, '!=' as const),
    values: fc.array(
      value.map((each) => ({ kind: 'text' as const, text: each, isPrefix: false })),
      {
        minLength: 1,
        maxLength: 4,
      },
    ),
  })
  fc.assert(
    fc.property(fc.array(term, { maxLength: 5 }), (terms) => {
      const filter = terms.map((each): Term => ({ ...each, start: 0, end: 0 }))
      assert.deepEqual(plain(parseFilter(printFilter(filter), deviceResource)), plain(filter))
    }),
  )
})

test('each field has a line for people, and its names are nobody else’s', () => {
  for (const { fields } of filterResources) {
    const names = fields
      .flatMap(({ name, aliases = [] }) => [name, ...aliases])
      .map((name) => name.toLowerCase())
    assert.deepEqual(names.toSorted(), [...new Set(names)].toSorted())
    for (const { about, type } of fields) assert.ok(about !== '' && operatorsOf(type).length > 0)
  }
})

test('docs/filters.md names each field', () => {
  const page = readFileSync('docs/filters.md', 'utf8')
  for (const { name, fields } of filterResources) {
    const row = page.split('\n').find((line) => line.startsWith(`| ${name} | \``)) ?? ''
    for (const field of fields) assert.ok(row.includes(`\`${field.name}\``), `${name}: ${field.name}`)
  }
})
