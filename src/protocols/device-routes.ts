/** Which handler a request to the device port belongs to: EST, the device API, or the renewal hints of the EST draft. */
import type { Engine } from '../engine/context.ts'
import { createDeviceApi, deviceApiOperation, deviceApiPrefix, type DeviceApiOptions } from './device-api.ts'
import { handleEst, refuseEarly, type EstRequest } from './est.ts'
import { failureResponse, type EstResponse } from './est-response.ts'
import { textResponse, type HttpRequestHead } from './http-message.ts'
import { answerRenewalInfo } from './renewal-info.ts'
import { smsReceiptMaxBytes, smsReceiptsPrefix, type SmsReceipts } from './sms-receipts.ts'

export interface DeviceRoutes {
  /** Asked before the body is read; null when it is wanted. */
  refuseEarly(head: HttpRequestHead): EstResponse | null
  /** Largest body of a request, bytes; null for the limit of the server. */
  maxBodyBytes(head: HttpRequestHead): number | null
  /** Never throws. */
  handle(request: EstRequest): Promise<EstResponse>
}

export function createDeviceRoutes(
  engine: Engine,
  { smsReceipts, ...options }: Partial<DeviceApiOptions> = {},
): DeviceRoutes {
  const api = createDeviceApi(engine, { sightingsToken: null, ...options })
  const isApi = ({ path }: HttpRequestHead) => path.startsWith(deviceApiPrefix)
  const receiptsFor = ({ path }: HttpRequestHead) =>
    smsReceipts && path.startsWith(smsReceiptsPrefix) ? smsReceipts : null
  return {
    refuseEarly(head) {
      const receipts = receiptsFor(head)
      if (receipts) return refusedReceipt(receipts, head)
      return isApi(head) ? api.refuseEarly(head) : refuseEstEarly(engine, head)
    },
    maxBodyBytes(head) {
      if (receiptsFor(head)) return smsReceiptMaxBytes
      return isApi(head) ? api.maxBodyBytes(head.path) : null
    },
    async handle(request) {
      const receipts = receiptsFor(request)
      if (receipts) return await takeReceipt(engine, receipts, request)
      if (isApi(request)) return await api.handle(request)
      const id = renewalInfoId(request.path)
      return id === null ? await handleEst(engine, request) : await renewalInfo(engine, request, id)
    },
  }
}

function refusedReceipt(receipts: SmsReceipts, head: HttpRequestHead): EstResponse | null {
  const answer = receipts.refuse(head)
  return answer && { ...answer, result: answer.status === 405 ? 'method-not-allowed' : 'not-found' }
}

async function takeReceipt(engine: Engine, receipts: SmsReceipts, request: EstRequest): Promise<EstResponse> {
  try {
    const answer = await receipts.handle(request)
    return { ...answer, result: answer.status === 403 ? 'unauthenticated' : 'answered' }
  } catch (error) {
    return failureResponse(engine, error)
  }
}

function refuseEstEarly(engine: Engine, head: HttpRequestHead): EstResponse | null {
  if (renewalInfoId(head.path) === null) return refuseEarly(engine, head)
  if (head.method === 'GET' || head.method === 'HEAD') return null
  const answer = textResponse(405, 'renewal-info takes GET', { Allow: 'GET, HEAD' })
  return { ...answer, result: 'method-not-allowed' }
}

async function renewalInfo(engine: Engine, request: EstRequest, id: string): Promise<EstResponse> {
  const early = refuseEstEarly(engine, request)
  if (early) return early
  try {
    return { ...(await answerRenewalInfo(engine, id)), result: 'answered' }
  } catch (error) {
    return failureResponse(engine, error)
  }
}

/** Name of what was asked for, for metrics: few values, none of them from a device. The path has passed `refuseEarly`. */
export function deviceOperation(path: string): string {
  if (renewalInfoId(path) !== null) return 'renewal-info'
  if (path.startsWith(smsReceiptsPrefix)) return 'sms-receipts'
  return deviceApiOperation(path) ?? path.slice(path.lastIndexOf('/') + 1)
}

/** draft-ietf-lamps-est-renewal-info-00 §3.1; a label may stand before it as before every operation (RFC 7030 §3.2.2). */
function renewalInfoId(path: string): string | null {
  return /^\/\.well-known\/est\/(?:[a-z0-9-]{1,64}\/)?renewal-info\/([^/]+)$/.exec(path)?.[1] ?? null
}
