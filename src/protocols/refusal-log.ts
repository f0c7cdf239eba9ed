/** One log line for each refused request, so that an operator can tell which device is refused, and why. */
import type { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { printable } from '../base/text.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { formatName } from '../pki/name-text.ts'
import { parseBasicCredentials } from './basic-credentials.ts'
import type { PeerCertificate } from './client-cert-header.ts'
import type { HttpRequestHead } from './http-message.ts'

export interface RefusedRequest extends HttpRequestHead {
  readonly peer: Pick<PeerCertificate, 'certificate'> & { readonly address: string }
}

/** Longest text of a client's that a line carries. */
const maxText = 200

/**
 * At level info; a request without credentials at debug, because some clients send one first to be asked for them
 * (RFC 7030 §3.2.3). What clients sent is made printable and cut; the secret is never in it.
 */
export function logRefusal(log: Log, request: RefusedRequest, refusal: Refusal): void {
  const level = refusal.code === 'unauthenticated' ? 'debug' : 'info'
  if (!log.isLevelEnabled(level)) return
  log[level](
    {
      code: refusal.code,
      reason: short(refusal.message),
      path: short(request.path),
      address: request.peer.address,
      ...credentialsOf(request),
    },
    'a request was refused',
  )
}

function credentialsOf({ peer, headers }: RefusedRequest): Record<string, string> {
  if (peer.certificate !== null) return certificateNames(peer.certificate)
  try {
    const username = parseBasicCredentials(headers.authorization)?.username
    return username === undefined ? {} : { username: short(username) }
  } catch {
    // malformed credentials are what was refused, and the reason says so
    return {}
  }
}

function certificateNames(der: Uint8Array): Record<string, string> {
  try {
    const { serialNumber, subject } = parseCertificate(der)
    return { certificateSerialNumber: serialNumber, certificateSubject: short(formatName(subject)) }
  } catch {
    // a certificate that we cannot read is what was refused, and the reason says so
    return {}
  }
}

function short(text: string): string {
  const line = printable(text)
  return line.length <= maxText ? line : `${line.slice(0, maxText - 1)}…`
}
