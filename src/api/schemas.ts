/** Schemas that many resources share. */
import { Type, type TObject, type TSchema } from 'typebox'
import { object } from './route.ts'

/** An instant: ISO 8601, UTC. */
export const instant = Type.String({ format: 'date-time', examples: ['2027-03-01T12:00:00Z'] })

export function nullable<Schema extends TSchema>(schema: Schema) {
  return Type.Union([schema, Type.Null()])
}

export function oneOf<const Values extends readonly string[]>(
  values: Values,
  options: { readonly description?: string } = {},
) {
  return Type.Unsafe<Values[number]>({ type: 'string', enum: [...values], ...options })
}

/** Any answer to a list: `next` is the `after` of the next page, null on the last. */
export function pageOf<Item extends TSchema>(item: Item) {
  return object({ items: Type.Array(item), next: nullable(Type.String()) })
}

export const maxLimit = 1_000
export const defaultLimit = 50

/** Query of a list. Add the resource's own parameters beside these. */
export const paging = {
  after: Type.Optional(
    Type.String({ maxLength: 512, description: 'Where the page begins: `next` of the page before.' }),
  ),
  limit: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: maxLimit,
      default: defaultLimit,
      description: 'Items at most.',
    }),
  ),
}

/** Query of whatever shows records: leaves the other fields out of them. */
export const sparse = {
  fields: Type.Optional(
    Type.String({
      maxLength: 1_024,
      description: 'Names of the fields wanted, with commas between; all of them without it.',
    }),
  ),
}

/** Query of a write whose route has `dryRun: true`. */
export const dryRun = {
  dryRun: Type.Optional(Type.Boolean({ description: 'Answers what would be, and changes nothing.' })),
}

/** Query of a list that can be ordered. The first name is the default. */
export function sorting(names: readonly [string, ...string[]]) {
  return {
    sort: Type.Optional(
      oneOf(names, { description: `Order of the items; ${names[0]} without it. A minus turns it round.` }),
    ),
  }
}

export const deviceIdText = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z0-9][A-Za-z0-9._:-]*$',
  description: 'Serial number of the hardware.',
})

export const problem = object(
  {
    type: Type.String({ description: 'Stable: what a program looks at, with `code`.' }),
    title: Type.String(),
    status: Type.Integer(),
    code: Type.String({ description: 'Of docs/refusals.md, or `internal`.' }),
    detail: Type.String({ description: 'What failed, why, and what to do. For people: may change.' }),
    instance: Type.Optional(Type.String({ description: 'Of an error of ours: its id in the log.' })),
    errors: Type.Optional(
      Type.Array(
        object({
          at: Type.String({ description: 'Where: `body.tags.site`, `query.limit`.' }),
          detail: Type.String(),
        }),
      ),
    ),
  },
  { $id: 'Problem' },
) satisfies TObject
