/** Lists by filter: `?filter=`, `?sort=` and the pages that go with them. docs/filters.md has the language. */
import { Type } from 'typebox'
import type { FilteredRequest } from '../engine/inventory/listing.ts'
import type { DeviceScope } from '../engine/operators/permissions.ts'
import { filterLimits } from '../filter/filter.ts'
import type { FilterResource } from '../filter/field.ts'
import { withTerms } from '../filter/print.ts'
import { pageRequest } from './paging.ts'
import { oneOf } from './schemas.ts'

/** Query of a list by filter. @param sorts without the minus */
export function filtering(resource: FilterResource, sorts: readonly string[]) {
  const fields = resource.fields.map(({ name }) => name).join(', ')
  const tags = resource.hasTags ? ', tag.NAME' : ''
  return {
    filter: Type.Optional(
      Type.String({
        maxLength: filterLimits.characters,
        description: `Terms such as \`site=kl expires<30d\`, of ${fields}${tags}.`,
      }),
    ),
    sort: Type.Optional(
      oneOf(
        sorts.flatMap((name) => [name, `-${name}`]),
        { description: 'Order; without it the usual one of the list. A minus turns it round.' },
      ),
    ),
  }
}

export interface ListQuery {
  readonly after?: string
  readonly limit?: number
  readonly filter?: string
  readonly sort?: string
}

/** @param equal parameters that stand for terms: `state` is `state=…` */
export function listRequest(
  query: ListQuery,
  scope: DeviceScope,
  equal: Readonly<Record<string, string | undefined>> = {},
): FilteredRequest {
  const { sort } = query
  return {
    ...pageRequest(query),
    filter: withTerms(query.filter, equal),
    scope,
    ...(sort === undefined ? {} : { sort }),
  }
}
