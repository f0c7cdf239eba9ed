/** Who sends a request to the REST API: a token, the session of a browser, or the client certificate of a machine. */
import { sha256Hex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Engine } from '../engine/context.ts'
import { tokenIdentity } from '../engine/operators/api-token.ts'
import {
  certificateIdentity,
  isCsrfToken,
  sessionIdentity,
  type Identity,
} from '../engine/operators/session.ts'
import { sessionCookieOf } from './cookies.ts'

export type Caller = Identity

/** What of a request says who sends it. */
export interface Credentials {
  readonly method: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** DER of the client certificate, when the connection has one. */
  readonly certificate: Uint8Array | null
}

/**
 * A token before a session before a certificate: one that is wrong is refused, and not passed over for the next.
 * @throws Refusal `unauthenticated`, `cross-site`
 */
export async function callerOf(engine: Engine, credentials: Credentials): Promise<Caller> {
  const { method, headers, certificate } = credentials
  const authorization = text(headers['authorization'])
  if (authorization !== null)
    return known(await tokenIdentity(engine, bearerOf(authorization)), 'the API token')
  const sessionId = sessionCookieOf(headers['cookie'])
  if (sessionId !== null) {
    const caller = known(await sessionIdentity(engine, sessionId), 'the session')
    if (!isSafe(method)) requireCsrfToken(sessionId, text(headers['x-csrf-token']))
    return caller
  }
  if (certificate !== null) {
    return known(await certificateIdentity(engine, sha256Hex(certificate)), 'the client certificate')
  }
  throw new Refusal('unauthenticated', 'log in, or send an API token: Authorization: Bearer prn_…')
}

/**
 * A browser says where a request comes from. Anything but our own pages is refused, before anything is looked at.
 * @param ownUrl base URL under which people reach us, when it is configured
 * @throws Refusal `cross-site`
 */
export function requireSameSite({ method, headers }: Credentials, ownUrl: string | null): void {
  if (isSafe(method)) return
  const site = text(headers['sec-fetch-site'])
  const origin = text(headers['origin'])
  const isForeign =
    (site !== null && site !== 'same-origin' && site !== 'none') ||
    (origin !== null && !isOwn(origin, text(headers['host']), ownUrl))
  if (isForeign) throw new Refusal('cross-site', 'a page of another site sent this request')
}

function isOwn(origin: string, host: string | null, ownUrl: string | null): boolean {
  if (ownUrl !== null && origin === ownUrl) return true
  return host !== null && (origin === `http://${host}` || origin === `https://${host}`)
}

function requireCsrfToken(sessionId: string, given: string | null): void {
  if (given !== null && isCsrfToken(sessionId, given)) return
  throw new Refusal('cross-site', 'a write of a browser needs X-CSRF-Token: GET /api/v1/session says which')
}

function bearerOf(authorization: string): string {
  const [, token = ''] = /^bearer +([!-~]+)$/i.exec(authorization) ?? []
  return token
}

function known(caller: Caller | null, what: string): Caller {
  if (caller) return caller
  throw new Refusal('unauthenticated', `${what} is not one of ours, or has ended`)
}

function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS'
}

function text(header: string | string[] | undefined): string | null {
  return typeof header === 'string' ? header : null
}
