/**
 * Enrolment over Secure Transport: RFC 7030, clarified by RFC 8951 (base64, white space) and RFC 9908 (csrattrs).
 * A pure function from request to answer; sockets and limits are tls-server.ts.
 */
import { fromBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { Engine } from '../engine/context.ts'
import { noteDeviceClock } from '../engine/alerts/oddities.ts'
import { enroll, type EnrollRequest } from '../engine/issuing/enroll.ts'
import { caCertificates } from '../engine/issuing/issuer.ts'
import type { SuggestedWindow } from '../engine/renewals/renewal-hint.ts'
import { newCertificateWindow, renewalInfo } from '../engine/renewals/renewal-info.ts'
import { noteSighting } from '../engine/renewals/sighting.ts'
import { parseBasicCredentials } from './basic-credentials.ts'
import type { PeerCertificate } from './client-cert-header.ts'
import { profileCsrAttributes, noCsrAttributes } from './csr-attributes.ts'
import {
  base64Response,
  certsOnlyResponse,
  failureResponse,
  pendingResponse,
  type EstResponse,
} from './est-response.ts'
import { type EstRoute, estOperations, routeEst } from './est-route.ts'
import { type HttpRequest, type HttpRequestHead, mediaType, textResponse } from './http-message.ts'
import { logRefusal } from './refusal-log.ts'
import { renewalHeader } from './renewal-info.ts'
import { answerServerKeygen, type KeyPackageSigner } from './server-keygen.ts'

export interface EstRequest extends HttpRequest {
  /** What TLS, or a pinned proxy, says of the client. */
  readonly peer: PeerCertificate & { readonly address: string }
  /** RFC 5929 tls-unique; null in TLS 1.3 and behind a proxy. */
  readonly tlsUnique: Uint8Array | null
  /** With which server-generated keys are signed before they are encrypted. */
  readonly keyPackageSigner?: KeyPackageSigner
}

/** Never throws: whatever goes wrong is an answer. */
export async function handleEst(engine: Engine, request: EstRequest): Promise<EstResponse> {
  const early = refuseEarly(engine, request)
  if (early) return early
  try {
    return await answer(engine, routeEst(request.method, request.path) as EstRoute, request)
  } catch (error) {
    if (error instanceof Refusal) logRefusal(engine.log, request, error)
    return failureResponse(engine, error)
  }
}

/**
 * What can be refused before the body is read: path, method, label, media type.
 * @returns null when the body is wanted
 */
export function refuseEarly(engine: Engine, head: HttpRequestHead): EstResponse | null {
  const route = routeEst(head.method, head.path)
  if ('status' in route)
    return { ...route, result: route.status === 405 ? 'method-not-allowed' : 'not-found' }
  if (route.label !== null && !engine.settings.profiles.has(route.label)) {
    const text = 'no such EST label: a label is the name of a profile, or leave it out'
    return { ...textResponse(404, text), result: 'profile-unknown' }
  }
  if (route.operation === 'fullcmc') {
    return { ...textResponse(501, 'fullcmc is not implemented: use simpleenroll'), result: 'not-implemented' }
  }
  const wanted = estOperations[route.operation].requestType
  if (wanted !== null && mediaType(head.headers['content-type']) !== wanted) {
    return { ...textResponse(415, `send the request as ${wanted}`), result: 'unsupported-media-type' }
  }
  return null
}

async function answer(engine: Engine, route: EstRoute, request: EstRequest): Promise<EstResponse> {
  switch (route.operation) {
    case 'cacerts':
      return hinted(
        certsOnlyResponse(await caCertificates(engine, route.label), 'answered'),
        await noteUse(engine, request),
      )
    case 'csrattrs':
      return hinted(csrattrs(engine, route), await noteUse(engine, request))
    case 'simpleenroll':
    case 'simplereenroll': {
      const outcome = await enroll(engine, enrollRequest(route, request))
      if (outcome.kind === 'pending') return pendingResponse(outcome.retryAfterMs)
      const response = certsOnlyResponse([outcome.certificate], outcome.repeated ? 'repeated' : 'issued')
      const { record } = outcome
      const { deviceId } = record
      if (deviceId !== null)
        noteDeviceClock(engine, { deviceId, date: request.headers.date }, engine.clock.now())
      const onSent = () => engine.sightings.noteDelivered(record, engine.clock.now())
      return { ...hinted(response, newCertificateWindow(engine, record)), onSent }
    }
    case 'serverkeygen':
      return answerServerKeygen(engine, enrollRequest(route, request), request.keyPackageSigner ?? null)
    case 'fullcmc':
      throw new Refusal('not-implemented', 'fullcmc is not implemented')
  }
}

function enrollRequest(route: EstRoute, request: EstRequest): EnrollRequest {
  const { peer } = request
  const csr = fromBase64(Buffer.from(request.body).toString('latin1'))
  if (csr === null || csr.length === 0) {
    throw new Refusal(
      'malformed',
      'the body must be the base64 of a DER certificate request, without PEM lines',
    )
  }
  return {
    operation: route.operation === 'simplereenroll' ? 'reenroll' : 'enroll',
    csr,
    profile: route.label,
    protocol: 'est',
    peer: {
      address: peer.address,
      certificate: peer.certificate,
      // Not copied: reading the chain costs, and only factory identities need it.
      get chain() {
        return peer.chain
      },
      basic: parseBasicCredentials(request.headers.authorization),
    },
    tlsUnique: request.tlsUnique,
  }
}

/**
 * Without a label the client gets the attributes of no particular profile: an empty list, which more clients understand
 * than the 204 that RFC 7030 §4.5.2 also allows. Which profile a device has is not told to whoever asks.
 */
function csrattrs(engine: Engine, route: EstRoute): EstResponse {
  const profile = route.label === null ? undefined : engine.settings.profiles.get(route.label)
  const der = profile ? profileCsrAttributes(profile, engine.settings.organization) : noCsrAttributes
  return base64Response('application/csrattrs', der, 'answered')
}

/**
 * The first authenticated use of a certificate proves that the device has it, whatever the request was for.
 * @returns when the certificate should be renewed, for the header; null when it is not ours or for life
 */
async function noteUse(engine: Engine, request: EstRequest): Promise<SuggestedWindow | null> {
  const { certificate } = request.peer
  if (certificate === null) return null
  try {
    const record = await noteSighting(engine, certificate)
    return record && (await renewalInfo(engine, record, { now: engine.clock.now() })).suggestedWindow
  } catch (error) {
    engine.log.warn({ err: error }, 'a sighting was lost; the next request of the device makes up for it')
    return null
  }
}

function hinted(response: EstResponse, window: SuggestedWindow | null): EstResponse {
  return window === null
    ? response
    : { ...response, headers: { ...response.headers, ...renewalHeader(window) } }
}
