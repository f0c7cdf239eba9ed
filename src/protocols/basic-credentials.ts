/** HTTP Basic credentials (RFC 7617), the carrier of one-time enrolment secrets (RFC 7030 §3.2.3). */
import { fromBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'

export interface BasicCredentials {
  readonly username: string
  readonly password: string
}

/**
 * @param authorization value of the Authorization header
 * @returns null when there is none
 * @throws Refusal `unauthenticated` for another scheme, `secret-invalid` for a broken value
 */
export function parseBasicCredentials(authorization: string | undefined): BasicCredentials | null {
  if (authorization === undefined) return null
  const match = /^([A-Za-z]+) +(\S+) *$/.exec(authorization)
  if (match?.[1]?.toLowerCase() !== 'basic') {
    throw new Refusal('unauthenticated', 'the Authorization header must use the scheme Basic')
  }
  const bytes = fromBase64(match[2] as string)
  const text = bytes === null ? null : decodeUtf8(bytes)
  const colon = text?.indexOf(':') ?? -1
  if (text === null || colon < 1) {
    throw new Refusal('secret-invalid', 'the Basic credentials must be base64 of device-id:secret')
  }
  return { username: text.slice(0, colon), password: text.slice(colon + 1) }
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}
