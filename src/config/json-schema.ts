/** The schema of perennial.yaml as JSON Schema, for editors and for the documentation. */
import { calendarEntry, escalationEntry, notifierEntry } from './alerts-section.ts'
import { isDuration } from './check.ts'
import type { Knob, Section } from './knob.ts'
import { connectivityEntry, profileEntry } from './profiles.ts'
import { schema } from './schema.ts'
import { siteEntry } from './sites.ts'

export interface JsonSchema {
  readonly [keyword: string]: unknown
}

export function jsonSchema(): JsonSchema {
  const map = (entry: Section) => ({ type: ['object', 'null'], additionalProperties: sectionSchema(entry) })
  const { properties, ...root } = sectionSchema(schema)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'perennial.yaml',
    ...root,
    properties: {
      ...(properties as object),
      connectivity: map(connectivityEntry),
      profiles: map(profileEntry),
      sites: map(siteEntry),
      notifiers: map(notifierEntry),
      calendars: map(calendarEntry),
      escalations: map(escalationEntry),
    },
  }
}

/** A section that says nothing (`est:` alone) is null in YAML. */
export function sectionSchema(section: Section): JsonSchema {
  return {
    type: ['object', 'null'],
    description: section.description,
    properties: Object.fromEntries(
      Object.entries(section.properties).map(([key, part]) => [
        key,
        'properties' in part ? sectionSchema(part) : knobSchema(part),
      ]),
    ),
    additionalProperties: false,
  }
}

function knobSchema(knob: Knob): JsonSchema {
  const { description } = knob
  if (isDuration(knob)) {
    // The range is not JSON Schema's to say; `config check` says it.
    const pattern = `^(0|[1-9][0-9]*[smhdwy]${knob.none === undefined ? '' : `|${knob.none}`})$`
    const range = `From ${knob.shortest} to ${knob.longest}.`
    return {
      anyOf: [{ type: 'string', pattern }, { const: 0 }],
      default: knob.default,
      description: `${description} ${range}`,
    }
  }
  switch (knob.type) {
    case 'integer': {
      const { minimum, maximum } = knob
      return { type: 'integer', minimum, maximum, default: knob.default, description }
    }
    case 'boolean':
      return { type: 'boolean', default: knob.default, description }
    case 'array':
      return { type: 'array', items: knob.items, default: knob.default, description }
    case 'string': {
      const { unit: _unit, secret: _secret, example: _example, ...rest } = knob
      return knob.default === null ? { ...rest, type: ['string', 'null'] } : rest
    }
  }
}
