/** Whole lists as CSV or JSON Lines, sent as they are read. */
import { Type } from 'typebox'
import { exportFormats, exportList, exportTypes, type ExportKind } from '../../engine/inventory/export.ts'
import type { Permission } from '../../engine/operators/permissions.ts'
import type { FilterResource } from '../../filter/field.ts'
import { certificateResource, deviceResource, factResource, renewalResource } from '../../filter/resources.ts'
import { filtering } from '../listing.ts'
import { route, StreamedAnswer, type Call, type Route, type RouteScope } from '../route.ts'
import { oneOf } from '../schemas.ts'

export const exportRoutes: readonly Route[] = [
  exportRoute('devices', 'exportDevices', { resource: deviceResource, filter: 'state=active' }),
  exportRoute('certificates', 'exportCertificates', { resource: certificateResource, filter: 'expires<90d' }),
  exportRoute('field-list', 'exportFieldList', { resource: renewalResource, filter: 'site=kl' }),
  exportRoute('facts', 'exportFacts', {
    resource: factResource,
    filter: 'action=device.*',
    permission: 'audit:read',
    scope: 'fleet',
  }),
]

interface Exported {
  readonly resource: FilterResource
  /** Of the example. */
  readonly filter: string
  readonly permission?: Permission
  readonly scope?: RouteScope
}

type ExportCall = Call<
  unknown,
  { readonly format?: (typeof exportFormats)[number]; readonly filter?: string }
>

function exportRoute(
  kind: ExportKind,
  operationId: string,
  { resource, filter, permission = 'inventory:read', scope = 'device' }: Exported,
): Route {
  return route({
    method: 'GET',
    path: `/exports/${kind}`,
    operationId,
    summary: `All ${kind === 'field-list' ? 'of the field list' : kind} that fit a filter, as CSV or JSON Lines`,
    description:
      'Streamed. No cell of CSV can become a formula, and no text has control or format characters.',
    permission,
    scope,
    query: {
      format: Type.Optional(oneOf(exportFormats, { description: 'csv without it.' })),
      filter: filtering(resource, ['id']).filter,
    },
    answersStream: ['text/csv', 'application/x-ndjson'],
    examples: [
      { summary: 'CSV, by filter', query: { filter } },
      { summary: 'JSON Lines', query: { format: 'jsonl' } },
    ],
    async handler({ engine, scope: visible, query }: ExportCall) {
      const { format = 'csv', filter: terms } = query
      const request = { kind, format, scope: visible, ...(terms === undefined ? {} : { filter: terms }) }
      const pieces = exportList(engine, request)
      // a filter that cannot be read is refused as a problem, before the answer has begun
      const first = await pieces.next()
      return new StreamedAnswer(exportTypes[format], rest(first, pieces), {
        'content-disposition': `attachment; filename="${kind}.${format}"`,
      })
    },
  })
}

async function* rest(first: IteratorResult<string>, pieces: AsyncGenerator<string>): AsyncGenerator<string> {
  if (first.done === true) return
  yield first.value
  yield* pieces
}
