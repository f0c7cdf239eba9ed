/**
 * What devices can ask beside EST, on the same port: `/perennial/v1/…`. A function from request to answer on plain objects,
 * as est.ts is; identity is looked at at each request by the engine.
 */
import { iso } from '../base/clock.ts'
import { Refusal, refusalRules } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import type { Engine } from '../engine/context.ts'
import { noteDeviceClock } from '../engine/alerts/oddities.ts'
import { reportStored } from '../engine/inventory/device-report.ts'
import { identify, type Applicant } from '../engine/issuing/identify.ts'
import { renewalInfo } from '../engine/renewals/renewal-info.ts'
import { confirmUse } from '../engine/renewals/sighting.ts'
import type { PeerCertificate } from './client-cert-header.ts'
import { failureResponse, type EstResponse } from './est-response.ts'
import { textResponse, type HttpRequest, type HttpRequestHead, type HttpResponse } from './http-message.ts'
import { takeReport } from './mqtt-status.ts'
import { logRefusal } from './refusal-log.ts'
import { renewalHeader, renewalInfoResponse, windowJson } from './renewal-info.ts'
import { createSightings, sightingsMaxBytes } from './sightings.ts'
import type { SmsReceipts } from './sms-receipts.ts'

export interface DeviceApiRequest extends HttpRequest {
  readonly peer: PeerCertificate & { readonly address: string }
}

export const deviceApiPrefix = '/perennial/v1/'

const operations = {
  credential: { method: 'GET' },
  'renewal-info': { method: 'GET' },
  report: { method: 'POST' },
  sightings: { method: 'POST' },
} as const

type Operation = keyof typeof operations

export interface DeviceApiOptions {
  /** Bearer token of those who may tell us of sightings; null: nobody may. */
  readonly sightingsToken: string | null
  /** Those who report what became of an SMS; without it nobody can. Served by device-routes.ts. */
  readonly smsReceipts?: SmsReceipts
}

export interface DeviceApi {
  /** What can be refused before the body is read: path, method, bearer token. @returns null when the body is wanted */
  refuseEarly(head: HttpRequestHead): EstResponse | null
  /** Largest body of a request, bytes; null for the limit of the server. */
  maxBodyBytes(path: string): number | null
  /** Never throws: whatever goes wrong is an answer. */
  handle(request: DeviceApiRequest): Promise<EstResponse>
}

export function createDeviceApi(engine: Engine, { sightingsToken }: DeviceApiOptions): DeviceApi {
  const sightings = createSightings(engine, sightingsToken)

  function refuseEarly(head: HttpRequestHead): EstResponse | null {
    const refused = refuseRoute(head)
    if (refused || deviceApiOperation(head.path) !== 'sightings') return refused
    const answer = sightings.refuse(head)
    return answer && { ...answer, result: answer.status === 401 ? 'unauthenticated' : 'not-found' }
  }

  async function answerOf(request: DeviceApiRequest): Promise<HttpResponse> {
    switch (deviceApiOperation(request.path) as Operation) {
      case 'credential':
        return await credential(engine, request)
      case 'renewal-info':
        return await renewalHint(engine, request)
      case 'report':
        return await report(engine, request)
      case 'sightings':
        return await sightings.handle(request)
    }
  }

  return {
    refuseEarly,
    maxBodyBytes: (path) => (deviceApiOperation(path) === 'sightings' ? sightingsMaxBytes : null),
    async handle(request) {
      const early = refuseEarly(request)
      if (early) return early
      try {
        return { ...(await answerOf(request)), result: 'answered' }
      } catch (error) {
        if (!(error instanceof Refusal)) return failureResponse(engine, error)
        logRefusal(engine.log, request, error)
        return refusalResponse(engine, error)
      }
    },
  }
}

/** Name of the operation, for metrics; null when the path names none. */
export function deviceApiOperation(path: string): Operation | null {
  if (!path.startsWith(deviceApiPrefix)) return null
  const name = path.slice(deviceApiPrefix.length)
  return Object.hasOwn(operations, name) ? (name as Operation) : null
}

function refuseRoute({ method, path }: HttpRequestHead): EstResponse | null {
  const operation = deviceApiOperation(path)
  if (operation === null) {
    const text = `no such page: under ${deviceApiPrefix} there are ${Object.keys(operations).join(', ')}`
    return { ...textResponse(404, text), result: 'not-found' }
  }
  const allowed = operations[operation].method
  if (method === allowed || (allowed === 'GET' && method === 'HEAD')) return null
  const allow = allowed === 'GET' ? 'GET, HEAD' : allowed
  return {
    ...textResponse(405, `${operation} takes ${allowed}`, { Allow: allow }),
    result: 'method-not-allowed',
  }
}

/**
 * Whether the certificate of the connection works: a device tries its new one here before it gives up the old one. To be
 * let in is to be seen: it confirms the certificate.
 */
async function credential(engine: Engine, request: DeviceApiRequest): Promise<HttpResponse> {
  const now = engine.clock.now()
  // as strict as any endpoint that relies on the certificate: no grace for expired ones
  const { certificate, device } = await holder(engine, request, 'enroll')
  // the agent tries what it has written and read back: no report of its own is needed for that
  const isStored = request.headers['perennial-report'] === 'stored'
  if (isStored && certificate.status === 'issued') await reportStored(engine, certificate, now)
  await confirmUse(engine, certificate, now)
  const info = await renewalInfo(engine, certificate, { now, device })
  const { suggestedWindow } = info
  const body = {
    deviceId: device.id,
    serialNumber: certificate.serialNumber,
    issuerId: certificate.issuerId,
    // this was its first use at the latest
    status: certificate.status === 'issued' ? 'confirmed' : certificate.status,
    notAfter: iso(certificate.notAfter),
    serverTime: iso(now),
    renewalInfo: suggestedWindow && { suggestedWindow: windowJson(suggestedWindow) },
  }
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json', ...renewalHeader(suggestedWindow) },
    body: `${JSON.stringify(body)}\n`,
  }
}

/**
 * What became of a certificate that the device got: the body is that of a report over MQTT (docs/mqtt.md). The connection may
 * be with the certificate that it is about, which proves its use, or with the one before it.
 */
async function report(engine: Engine, request: DeviceApiRequest): Promise<HttpResponse> {
  const { certificate, device } = await holder(engine, request, 'reenroll')
  const connection = certificate.der && { address: request.peer.address, certificate: certificate.der }
  const state = await takeReport(engine, { deviceId: device.id, payload: request.body, connection })
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
    body: `${JSON.stringify({ state })}\n`,
  }
}

/** The hint for the certificate of the connection, also for one that is late and may still renew. */
async function renewalHint(engine: Engine, request: DeviceApiRequest): Promise<HttpResponse> {
  const now = engine.clock.now()
  const { certificate, device } = await holder(engine, request, 'reenroll')
  const info = await renewalInfo(engine, certificate, { now, device })
  if (info.suggestedWindow === null) {
    throw new Refusal(
      'renewal-not-allowed',
      `certificates of profile ${device.profile} are for life: there is no renewal window`,
    )
  }
  return renewalInfoResponse(info.suggestedWindow, info)
}

type Holder = Extract<Applicant, { kind: 'certificate' }>

/** @throws Refusal unless the connection shows a certificate of ours that is live */
async function holder(
  engine: Engine,
  { peer, headers }: DeviceApiRequest,
  operation: 'enroll' | 'reenroll',
): Promise<Holder> {
  if (peer.certificate === null) {
    throw new Refusal('unauthenticated', 'connect with the device certificate')
  }
  const now = engine.clock.now()
  const connection = {
    address: peer.address,
    certificate: peer.certificate,
    // Not copied: reading the chain costs, and only a factory identity, which is refused, has one.
    get chain() {
      return peer.chain
    },
    basic: null,
  }
  const applicant = await identify(engine, { peer: connection, operation, now })
  if (applicant.kind !== 'certificate') {
    throw new Refusal('certificate-untrusted', 'a factory identity is no operational credential: enrol first')
  }
  engine.sightings.note(applicant, now)
  noteDeviceClock(engine, { deviceId: applicant.device.id, date: headers.date }, now)
  return applicant
}

/**
 * The code stands in a header, because a device decides by it: whether to fall back, to wait or to enrol again. There is
 * no 401: nothing but the certificate of the connection would help.
 */
function refusalResponse(engine: Engine, refusal: Refusal): EstResponse {
  const code = { 'Perennial-Refusal': refusal.code }
  if (refusalRules[refusal.code].http === 401) {
    return { ...textResponse(403, printable(refusal.message), code), result: refusal.code }
  }
  const response = failureResponse(engine, refusal)
  return { ...response, headers: { ...response.headers, ...code } }
}
