/** One request of the API: fetch and nothing else, so that it runs in a browser and in Node. */

export interface CallOptions {
  readonly signal?: AbortSignal
  /** Told of the ETag of the answer, which an edit names. */
  readonly onEtag?: (etag: string | null) => void
}

export interface Operation {
  readonly method: string
  /** `/devices/{id}`. */
  readonly path: string
  /** Names of the members of the input that go into the query. */
  readonly query?: readonly string[]
  /** Of a body that is no JSON. */
  readonly bodyType?: string
  readonly isStream?: boolean
}

/** Answers are typed by the operation; the server checks them against the same schema. */
export type Caller = <Value>(
  operation: Operation,
  input: object | undefined,
  options: CallOptions | undefined,
) => Promise<Value>

export interface ClientOptions {
  /** `https://host:8090`; empty in a page of the server's own. */
  readonly url: string
  /** An API token; without it the cookies of the page say who asks. */
  readonly token?: string
  /** Of the session of a page; sent with each write. */
  readonly csrfToken?: () => string | null
  /** A key that no other request has: with it, a repeat after a lost answer does nothing twice. */
  readonly newKey?: () => string
  /** Default: that of the platform. */
  readonly fetch?: typeof fetch
}

/** What the server said instead of an answer: a problem document (RFC 9457). */
export class ApiProblem extends Error {
  readonly status: number
  /** Stable: docs/refusals.md has each of them. */
  readonly code: string
  readonly errors: readonly { readonly at: string; readonly detail: string }[]
  /** When the same request may succeed, from now, ms. */
  readonly retryAfterMs: number | null

  constructor(status: number, body: Readonly<Record<string, unknown>>, retryAfterMs: number | null) {
    super(typeof body['detail'] === 'string' ? body['detail'] : `the server answered ${status}`)
    this.name = 'ApiProblem'
    this.status = status
    this.code = typeof body['code'] === 'string' ? body['code'] : 'unknown'
    this.errors = Array.isArray(body['errors']) ? (body['errors'] as ApiProblem['errors']) : []
    this.retryAfterMs = retryAfterMs
  }
}

export function createCaller(client: ClientOptions): Caller {
  const send = client.fetch ?? fetch
  return async <Value>(
    operation: Operation,
    input: object | undefined,
    options: CallOptions = {},
  ): Promise<Value> => {
    const { url, init } = requestOf(client, operation, (input ?? {}) as Readonly<Record<string, unknown>>)
    const answer = await send(url, options.signal ? { ...init, signal: options.signal } : init)
    if (!answer.ok) throw await problemOf(answer)
    options.onEtag?.(answer.headers.get('etag'))
    if (operation.isStream === true) return answer as Value
    return (answer.status === 204 ? null : await answer.json()) as Value
  }
}

function requestOf(
  client: ClientOptions,
  { method, path, query = [], bodyType }: Operation,
  input: Readonly<Record<string, unknown>>,
): { readonly url: string; readonly init: RequestInit } {
  const search = new URLSearchParams()
  for (const name of query) {
    const value = input[name]
    if (value !== undefined && value !== null) search.set(name, String(value))
  }
  const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(input[name])))
  const text = search.toString()
  const { body } = input
  const headers: Record<string, string> = { accept: 'application/json' }
  if (client.token !== undefined) headers['authorization'] = `Bearer ${client.token}`
  if (typeof input['ifMatch'] === 'string') headers['if-match'] = input['ifMatch']
  if (method !== 'GET') {
    const csrf = client.csrfToken?.() ?? null
    if (csrf !== null) headers['x-csrf-token'] = csrf
  }
  if (method === 'POST' && client.newKey) headers['idempotency-key'] = client.newKey()
  if (body !== undefined) headers['content-type'] = bodyType ?? 'application/json'
  return {
    url: `${client.url}/api/v1${filled}${text === '' ? '' : `?${text}`}`,
    init: {
      method,
      headers,
      ...(client.token === undefined ? { credentials: 'same-origin' } : {}),
      ...(body === undefined
        ? {}
        : {
            body: (bodyType === undefined ? JSON.stringify(body) : body) as NonNullable<RequestInit['body']>,
          }),
    },
  }
}

async function problemOf(answer: Response): Promise<ApiProblem> {
  const text = await answer.text()
  const seconds = Number(answer.headers.get('retry-after') ?? NaN)
  return new ApiProblem(answer.status, parsed(text), Number.isNaN(seconds) ? null : seconds * 1000)
}

function parsed(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
