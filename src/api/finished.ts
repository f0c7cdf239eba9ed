/** What a handler gave, as it will be sent. */
import { safeJson } from '../base/safe-json.ts'
import { etagOf } from './etag.ts'
import { Answer, StreamedAnswer, type Route } from './route.ts'
import { sparseAnswer } from './sparse.ts'

interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
}

export type FinishedText = Head & { readonly body: string | null; readonly etag: string | null }
export type FinishedStream = Head & Pick<StreamedAnswer, 'contentType' | 'chunks'>
export type Finished = FinishedText | FinishedStream

export function answerOf(route: Route, result: unknown, fields: readonly string[] | null): Finished {
  if (result instanceof StreamedAnswer) {
    const { contentType, chunks, headers } = result
    return { status: route.status ?? 200, headers, contentType, chunks }
  }
  const headers = result instanceof Answer ? result.headers : {}
  const value: unknown = result instanceof Answer ? result.value : result
  const status = route.status ?? (route.response === null ? 204 : 200)
  if (status === 204) return { status, headers, body: null, etag: null }
  return {
    status,
    headers,
    body: safeJson(sparseAnswer(value, fields)),
    // Of the whole record, whichever fields were asked for: it is what an edit must match.
    etag: route.method === 'GET' ? etagOf(value) : null,
  }
}
