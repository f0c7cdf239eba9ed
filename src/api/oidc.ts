/**
 * Logging in with the company's OpenID provider: Authorization Code with PKCE (RFC 6749, 7636, OpenID Connect Core 1.0). Who
 * comes back is looked up by issuer and `sub`; nothing else of the provider's word is taken, roles least of all.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import * as openid from 'openid-client'
import { minuteMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { token } from '../base/random.ts'
import type { Engine } from '../engine/context.ts'
import { logInBySubject } from '../engine/operators/session.ts'
import { sessionCookie } from './cookies.ts'
import { sendProblem } from './rest.ts'

export interface OidcSettings {
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string | null
  /** Base URL under which people reach us: the provider knows `…/auth/oidc/callback`. */
  readonly url: string
}

interface Pending {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  readonly expiresAt: Instant
}

const cookieName = 'perennial-oidc'
const path = '/auth/oidc'
/** The time to log in at the provider. */
const pendingMs = 10 * minuteMs
const mostPending = 1_000

export function mountOidc(app: FastifyInstance, engine: Engine, settings: OidcSettings): void {
  const provider = discovered(settings)
  const pending = new Map<string, Pending>()
  const isSecure = settings.url.startsWith('https:')
  const redirectUri = `${settings.url}${path}/callback`

  app.get(`${path}/start`, async (_request, reply) =>
    answered(reply, engine, async () => {
      const config = await provider()
      const now = engine.clock.now()
      const verifier = openid.randomPKCECodeVerifier()
      const one = {
        state: openid.randomState(),
        nonce: openid.randomNonce(),
        verifier,
        expiresAt: now + pendingMs,
      }
      const id = token(engine.random, 16)
      remember(pending, id, one)
      const url = openid.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: 'openid',
        state: one.state,
        nonce: one.nonce,
        code_challenge: await openid.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      })
      // Lax: the provider's page sends the browser back to us.
      const cookie = `${cookieName}=${id}; HttpOnly; SameSite=Lax; Path=${path}; Max-Age=${pendingMs / 1000}${isSecure ? '; Secure' : ''}`
      return reply.header('set-cookie', cookie).header('cache-control', 'no-store').redirect(url.href, 302)
    }),
  )

  app.get(`${path}/callback`, async (request, reply) =>
    answered(reply, engine, async () => {
      const id = pendingOf(request)
      const one = pending.get(id)
      // Once, whatever comes of it.
      pending.delete(id)
      const now = engine.clock.now()
      if (!one || now >= one.expiresAt) throw failed('it was not begun in this browser, or took too long')
      const subject = await subjectOf(await provider(), `${settings.url}${request.url}`, one)
      const opened = await logInBySubject(engine, subject)
      const { expiresAt } = opened
      const cookie = sessionCookie(opened.id, { isSecure, expiresAt, now })
      return reply.header('set-cookie', cookie).header('cache-control', 'no-store').redirect('/', 302)
    }),
  )
}

/** Asked at the first log-in, so that a provider that is away does not keep the platform from starting; and again after a failure. */
function discovered({ issuer, clientId, clientSecret }: OidcSettings): () => Promise<openid.Configuration> {
  const url = new URL(issuer)
  const isLoopback = ['127.0.0.1', 'localhost', '[::1]'].includes(url.hostname)
  const execute = isLoopback ? [openid.allowInsecureRequests] : []
  let found: Promise<openid.Configuration> | null = null
  return async () => {
    found ??= openid.discovery(url, clientId, clientSecret ?? undefined, undefined, { execute, timeout: 10 })
    try {
      return await found
    } catch (cause) {
      found = null
      throw new Refusal('server-unreachable', `the OpenID provider ${url.host} does not answer as one`, {
        cause,
      })
    }
  }
}

/** State, nonce, signature, issuer, audience and PKCE are checked by the library. @returns `issuer|sub` */
async function subjectOf(config: openid.Configuration, url: string, one: Pending): Promise<string> {
  try {
    const tokens = await openid.authorizationCodeGrant(config, new URL(url), {
      pkceCodeVerifier: one.verifier,
      expectedState: one.state,
      expectedNonce: one.nonce,
      idTokenExpected: true,
    })
    const claims = tokens.claims()
    if (claims === undefined) throw failed('the provider sent no id token')
    return `${claims.iss}|${claims.sub}`
  } catch (cause) {
    if (cause instanceof Refusal) throw cause
    throw new Refusal('login-failed', 'the OpenID provider did not say who it is: begin again', { cause })
  }
}

function failed(why: string): Refusal {
  return new Refusal('login-failed', `the log-in did not work: ${why}; begin again`)
}

function remember(pending: Map<string, Pending>, id: string, one: Pending): void {
  pending.set(id, one)
  const [oldest] = pending.keys()
  if (pending.size > mostPending && oldest !== undefined) pending.delete(oldest)
}

function pendingOf({ headers }: FastifyRequest): string {
  const pairs = (headers.cookie ?? '').split(';').map((pair) => pair.trim())
  return pairs.find((pair) => pair.startsWith(`${cookieName}=`))?.slice(cookieName.length + 1) ?? ''
}

async function answered(
  reply: FastifyReply,
  engine: Engine,
  work: () => Promise<FastifyReply>,
): Promise<FastifyReply> {
  try {
    return await work()
  } catch (error) {
    return sendProblem(reply, error, engine)
  }
}
