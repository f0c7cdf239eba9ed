/** The filter language, as the bar offers it: the same table that the server reads it with. */
import { operatorsOf, type FilterResource } from '../../../src/filter/field.ts'
import { readFilter } from '../../../src/filter/filter.ts'
import type { FilterWord } from './filter-bar.tsx'

const spans = ['0', '1d', '7d', '14d', '30d', '60d', '90d', '1y']

export function filterWords({ fields, hasTags }: FilterResource): FilterWord[] {
  const words = fields.map(({ name, about, type, isOptional }): FilterWord => {
    const signs = operatorsOf(type)
    const own = type.kind === 'word' ? type.words : type.kind === 'ahead' || type.kind === 'ago' ? spans : []
    const values = isOptional ? [...own, type.kind === 'ago' ? 'never' : 'none'] : own
    return {
      name,
      means: about,
      signs: signs.slice(0, type.kind === 'ahead' || type.kind === 'ago' ? 6 : 2),
      values,
    }
  })
  return hasTags ? [...words, { name: 'tag.', means: 'a tag by its name: tag.line=7', signs: [''] }] : words
}

/** Why the server would refuse it; null when it would not. */
export function problemOfFilter(filter: string, resource: FilterResource): string | null {
  const { problem } = readFilter(filter, resource)
  return problem === null ? null : `At character ${problem.start + 1}: ${problem.message}`
}
