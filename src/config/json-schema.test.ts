import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Check } from 'typebox/value'
import { checkSection, isDuration, type CheckContext } from './check.ts'
import { jsonSchema, sectionSchema } from './json-schema.ts'
import type { Knob, Section } from './knob.ts'
import { parseDuration } from '../base/duration.ts'
import { profileEntry } from './profiles.ts'
import { schema } from './schema.ts'

function accepts(section: Section, value: unknown): boolean {
  const context: CheckContext = { problems: [], where: () => '', accepted: () => undefined }
  checkSection(section, value, [], context)
  return context.problems.length === 0
}

/** Right values, wrong ones of the right type, and values of other types. */
function valuesFor(knob: Knob): fc.Arbitrary<unknown> {
  const any = fc.oneof(fc.constantFrom(null, true, '', '5m', [], [1], {}, 1.5, -1), fc.integer(), fc.string())
  if (isDuration(knob)) {
    const inside = fc.constantFrom(knob.shortest, knob.longest, knob.default)
    // the range of durations is ours alone: JSON Schema is not asked about durations outside it
    const isOutside = (value: unknown) =>
      (value === 0 || typeof value === 'string') && parseDuration(String(value)) !== null
    return fc.oneof(
      inside,
      any.filter((value) => !isOutside(value)),
    )
  }
  switch (knob.type) {
    case 'integer':
      return fc.oneof(fc.integer({ min: knob.minimum - 1, max: knob.maximum + 1 }), any)
    case 'boolean':
      return fc.oneof(fc.boolean(), any)
    case 'array':
      return fc.oneof(
        fc.array(fc.oneof(fc.constantFrom(...(knob.items.enum ?? ['a.b', 'a b'])), fc.string())),
        any,
      )
    case 'string':
      return 'enum' in knob ? fc.oneof(fc.constantFrom(...knob.enum), any) : any
  }
}

function objectsFor(section: Section): fc.Arbitrary<unknown> {
  const entries = Object.entries(section.properties).map(([key, part]): [string, fc.Arbitrary<unknown>] => [
    key,
    'properties' in part ? objectsFor(part) : valuesFor(part),
  ])
  const known = fc.record(Object.fromEntries(entries), { requiredKeys: [] })
  const withStranger = known.map((object) => ({ ...object, stranger: 1 }))
  return fc.oneof({ weight: 20, arbitrary: known }, withStranger, fc.constantFrom(null, [], 'text'))
}

for (const [name, section] of [
  ['the settings', schema],
  ['a profile', profileEntry],
] as const) {
  test(`our check of ${name} and TypeBox's agree, key by key`, () => {
    for (const [key, part] of Object.entries(section.properties)) {
      const one: Section = { ...section, properties: { [key]: part } }
      const compiled = sectionSchema(one)
      fc.assert(
        fc.property(objectsFor(one), (value) => accepts(one, value) === Check(compiled, value)),
        { numRuns: 150 },
      )
    }
  })
}

test('the JSON Schema accepts a whole configuration and refuses an unknown profile key', () => {
  const good = {
    est: null,
    profiles: { own: { extends: 'meter', validity: '1y' } },
    connectivity: { x: { checkIn: '1d' } },
  }
  assert.equal(Check(jsonSchema(), good), true)
  assert.equal(Check(jsonSchema(), { profiles: { own: { extnds: 'meter' } } }), false)
})
