/** `/.well-known/est[/label]/operation` (RFC 7030 §3.2.2) and what each operation takes. */
import { textResponse, type HttpResponse } from './http-message.ts'

export const estOperations = {
  cacerts: { method: 'GET', requestType: null },
  csrattrs: { method: 'GET', requestType: null },
  simpleenroll: { method: 'POST', requestType: 'application/pkcs10' },
  simplereenroll: { method: 'POST', requestType: 'application/pkcs10' },
  serverkeygen: { method: 'POST', requestType: 'application/pkcs10' },
  fullcmc: { method: 'POST', requestType: 'application/pkcs7-mime' },
} as const

export type EstOperation = keyof typeof estOperations

export interface EstRoute {
  readonly operation: EstOperation
  /** Name of a profile, or null for the profile of the device's record. */
  readonly label: string | null
}

const prefix = '/.well-known/est/'

/** @returns the route, or the 404 or 405 to answer */
export function routeEst(method: string, path: string): EstRoute | HttpResponse {
  if (!path.startsWith(prefix)) {
    return textResponse(404, `no such page: EST lives under ${prefix}, for example ${prefix}cacerts`)
  }
  const segments = path.slice(prefix.length).split('/')
  const operation = segments.at(-1) as string
  const label = segments.length === 2 ? (segments[0] as string) : null
  if (!isOperation(operation) || segments.length > 2 || (label !== null && !isLabel(label))) {
    return textResponse(404, `no such EST operation: use one of ${Object.keys(estOperations).join(', ')}`)
  }
  const allowed = estOperations[operation].method
  const isAllowed = method === allowed || (allowed === 'GET' && method === 'HEAD')
  if (!isAllowed) {
    const allow = allowed === 'GET' ? 'GET, HEAD' : allowed
    return textResponse(405, `${operation} takes ${allowed}`, { Allow: allow })
  }
  return { operation, label }
}

function isOperation(text: string): text is EstOperation {
  return Object.hasOwn(estOperations, text)
}

/** A label may not be the name of an operation (RFC 7030 §3.2.2); the rest is the shape of profile names. */
function isLabel(text: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,63}$/.test(text) && !isOperation(text)
}
