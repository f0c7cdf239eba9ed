/** The one way to the server: JSON over /api/v1, problem documents, the CSRF token, ETags. */
import { later } from '../base/clock.ts'

export class Problem extends Error {
  readonly status: number
  readonly code: string
  readonly errors: readonly { readonly at: string; readonly detail: string }[]

  constructor(
    status: number,
    body: Partial<Record<'code' | 'detail' | 'title', string>> & { errors?: unknown },
  ) {
    super(body.detail ?? body.title ?? `the server answered ${status}`)
    this.status = status
    this.code = body.code ?? 'unknown'
    this.errors = Array.isArray(body.errors) ? (body.errors as Problem['errors']) : []
  }
}

/** The server did not answer at all. */
export class Away extends Error {
  constructor() {
    super('the server does not answer; this page asks again by itself')
  }
}

export type Query = Readonly<Record<string, string | number | boolean | null | undefined>>

export function apiPath(path: string, query: Query = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined && value !== null && value !== '') search.set(name, String(value))
  }
  const text = search.toString()
  return `/api/v1${path}${text === '' ? '' : `?${text}`}`
}

/** Told by the session; sent with each write. */
let csrfToken: string | null = null
export function rememberCsrfToken(token: string | null): void {
  csrfToken = token
}

type Listener = () => void
const signedOutListeners = new Set<Listener>()
/** Called when the server no longer knows who we are. */
export function onSignedOut(listener: Listener): () => void {
  signedOutListeners.add(listener)
  return () => signedOutListeners.delete(listener)
}

let proveAgain: (() => Promise<boolean>) | null = null
/** Asks the person for password and code; true when they were right. */
export function onProofNeeded(prove: () => Promise<boolean>): void {
  proveAgain = prove
}

export async function get<Value>(path: string, query: Query = {}, signal?: AbortSignal): Promise<Value> {
  return (await call<Value>('GET', apiPath(path, query), signal ? { signal } : {})).value
}

export interface Sending {
  readonly query?: Query
  readonly body?: unknown
  readonly ifMatch?: string
  /** Log-in itself: a 401 is an answer and no end of the session. */
  readonly isLogIn?: boolean
}

export async function send<Value = unknown>(
  method: 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  { query = {}, body, ifMatch, isLogIn }: Sending = {},
): Promise<Value> {
  const headers: Record<string, string> = {}
  if (ifMatch !== undefined) headers['if-match'] = ifMatch
  // a repeat after a lost answer does nothing twice
  if (method === 'POST') headers['idempotency-key'] = crypto.randomUUID()
  const write = async (): Promise<Value> => {
    const sent = { body, headers: { ...headers }, isLogIn: isLogIn === true }
    return (await call<Value>(method, apiPath(path, query), sent)).value
  }
  try {
    return await write()
  } catch (error) {
    const needsProof = error instanceof Problem && error.code === 'step-up-required'
    if (needsProof && proveAgain && (await proveAgain())) return await write()
    throw error
  }
}

/** An answer that is text and no JSON. */
export async function getText(path: string): Promise<string> {
  return (await call<string>('GET', apiPath(path), { isText: true })).value
}

/** With the version that an edit must name. */
export async function getWithTag<Value>(path: string): Promise<{ value: Value; etag: string | null }> {
  return await call<Value>('GET', apiPath(path))
}

interface Calling {
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly signal?: AbortSignal
  readonly isLogIn?: boolean
  readonly isText?: boolean
}

async function call<Value>(
  method: string,
  url: string,
  { body, headers = {}, signal, isLogIn, isText }: Calling = {},
): Promise<{ value: Value; etag: string | null }> {
  const isWrite = method !== 'GET'
  const answer = await fetch(url, {
    method,
    credentials: 'same-origin',
    cache: 'no-store',
    headers: {
      accept: isText ? '*/*' : 'application/json',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(isWrite && csrfToken !== null ? { 'x-csrf-token': csrfToken } : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error
    throw new Away()
  })
  const text = await answer.text()
  const value = isText && answer.ok ? text : text === '' ? null : parsed(text)
  if (answer.ok) return { value: value as Value, etag: answer.headers.get('etag') }
  if (answer.status === 401 && isLogIn !== true) for (const listener of signedOutListeners) listener()
  throw new Problem(answer.status, (value ?? {}) as Record<string, string>)
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

/** What the browser saves as a file. */
export function download(name: string, text: string, type = 'text/csv'): void {
  const url = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }))
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
  later(10_000, () => URL.revokeObjectURL(url))
}
