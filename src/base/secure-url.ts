/**
 * What a message is worth is decided by its way: without TLS anyone on it reads and changes it. Loopback is no way.
 * @returns what is wrong with the URL, without repeating it, or null
 */
export function secureUrlProblem(text: string, isInsecureAllowed: boolean): string | null {
  const url = URL.parse(text)
  if (!url || !['https:', 'http:'].includes(url.protocol)) return 'it is not an http or https URL'
  if (url.username !== '' || url.password !== '') return 'it has a password in it: give that by its own key'
  if (url.protocol === 'https:' || isInsecureAllowed || isLoopbackHost(url.hostname)) return null
  return 'it is plain http to another machine: use https'
}

/** @param hostname as `URL` has it: IPv6 in brackets */
export function isLoopbackHost(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}
