/** Which handler a request to the device port belongs to: EST, the device API, or the renewal hints of the EST draft. */
import type { Engine } from '../engine/context.ts'
import { deviceApiOperation, deviceApiPrefix, handleDeviceApi, refuseDeviceApiEarly } from './device-api.ts'
import { handleEst, refuseEarly, type EstRequest } from './est.ts'
import { failureResponse, type EstResponse } from './est-response.ts'
import { textResponse, type HttpRequestHead } from './http-message.ts'
import { answerRenewalInfo } from './renewal-info.ts'

/** Asked before the body is read; null when it is wanted. */
export function refuseDeviceEarly(engine: Engine, head: HttpRequestHead): EstResponse | null {
  if (head.path.startsWith(deviceApiPrefix)) return refuseDeviceApiEarly(head)
  if (renewalInfoId(head.path) === null) return refuseEarly(engine, head)
  if (head.method === 'GET' || head.method === 'HEAD') return null
  const answer = textResponse(405, 'renewal-info takes GET', { Allow: 'GET, HEAD' })
  return { ...answer, result: 'method-not-allowed' }
}

/** Never throws. */
export async function handleDevice(engine: Engine, request: EstRequest): Promise<EstResponse> {
  const { path } = request
  if (path.startsWith(deviceApiPrefix)) return await handleDeviceApi(engine, request)
  const id = renewalInfoId(path)
  if (id === null) return await handleEst(engine, request)
  const early = refuseDeviceEarly(engine, request)
  if (early) return early
  try {
    return { ...(await answerRenewalInfo(engine, id)), result: 'answered' }
  } catch (error) {
    return failureResponse(engine, error)
  }
}

/** Name of what was asked for, for metrics: few values, none of them from a device. The path has passed `refuseDeviceEarly`. */
export function deviceOperation(path: string): string {
  if (renewalInfoId(path) !== null) return 'renewal-info'
  return deviceApiOperation(path) ?? path.slice(path.lastIndexOf('/') + 1)
}

/** draft-ietf-lamps-est-renewal-info-00 §3.1; a label may stand before it as before every operation (RFC 7030 §3.2.2). */
function renewalInfoId(path: string): string | null {
  return /^\/\.well-known\/est\/(?:[a-z0-9-]{1,64}\/)?renewal-info\/([^/]+)$/.exec(path)?.[1] ?? null
}
