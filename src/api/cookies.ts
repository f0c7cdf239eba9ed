/** The session's cookie. Over https its name says that no other host and no plain connection can have set it (RFC 6265bis §4.1.3.2). */
import type { Instant } from '../base/clock.ts'

const secureName = '__Host-perennial'
/** Of plain http on loopback, where a browser takes no `__Host-` cookie. */
const plainName = 'perennial'

/** @returns the session id, or null; a cookie that is there twice was planted and is not taken */
export function sessionCookieOf(header: string | string[] | undefined): string | null {
  if (typeof header !== 'string') return null
  const cookies = header.split(';').map((pair) => pair.trim())
  for (const name of [secureName, plainName]) {
    const values = cookies.filter((pair) => pair.startsWith(`${name}=`))
    if (values.length > 1) return ''
    if (values[0] !== undefined) return values[0].slice(name.length + 1)
  }
  return null
}

/** Not for scripts, not from other sites. */
export function sessionCookie(
  id: string,
  {
    isSecure,
    expiresAt,
    now,
  }: { readonly isSecure: boolean; readonly expiresAt: Instant; readonly now: Instant },
): string {
  const maxAge = Math.max(0, Math.floor((expiresAt - now) / 1000))
  const name = isSecure ? `${secureName}=${id}; Secure` : `${plainName}=${id}`
  return `${name}; HttpOnly; SameSite=Strict; Path=/; Max-Age=${maxAge}`
}

export function endedCookie(isSecure: boolean): string {
  return sessionCookie('', { isSecure, expiresAt: 0, now: 0 })
}
