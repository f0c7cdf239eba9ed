/** What a list can be filtered by: typed fields, one table of them for each resource. */

export type FieldType =
  /** Exact, or the beginning of it: `batch=run-2*`. */
  | { readonly kind: 'text' }
  /** One of a closed list. */
  | { readonly kind: 'word'; readonly words: readonly string[] }
  /** Hex digits, with or without colons. */
  | { readonly kind: 'serial' }
  | { readonly kind: 'number' }
  /** An instant that lies ahead: `<30d` is within thirty days from now. */
  | { readonly kind: 'ahead' }
  /** An instant that lies behind: `>30d` is more than thirty days ago. */
  | { readonly kind: 'ago' }

export interface Field {
  readonly name: string
  /** Other names that people give it. */
  readonly aliases?: readonly string[]
  readonly type: FieldType
  /** True when a row may have none: `site=none`. */
  readonly isOptional: boolean
  /** One line for help texts and pages. */
  readonly about: string
}

export interface FilterResource {
  /** As it stands in messages: `devices`. */
  readonly name: string
  readonly fields: readonly Field[]
  /** True: `tag.NAME=value` reads the tags of the device. */
  readonly hasTags: boolean
  /** What a word without a field means; null when there is no such thing. */
  readonly freeText: string | null
}

/** Operators of a type, in the order in which they are offered. */
export function operatorsOf({ kind }: FieldType): readonly Operator[] {
  if (kind === 'text') return ['=', '!=', '~']
  if (kind === 'word') return ['=', '!=']
  if (kind === 'serial') return ['=']
  return ['=', '!=', '<', '<=', '>', '>=']
}

export const operators = ['!=', '<=', '>=', '=', '<', '>', '~'] as const
export type Operator = (typeof operators)[number]

/** The field of this name or alias, whatever its case. */
export function findField({ fields }: FilterResource, name: string): Field | null {
  const wanted = name.toLowerCase()
  return (
    fields.find((field) =>
      [field.name, ...(field.aliases ?? [])].some((each) => each.toLowerCase() === wanted),
    ) ?? null
  )
}
