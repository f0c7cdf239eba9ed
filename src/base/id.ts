/** Branded identifiers, so that a serial number cannot be passed where a device id is meant. */

declare const brand: unique symbol
export type Brand<Value, Name extends string> = Value & { readonly [brand]: Name }

/** Serial number of the hardware: 1 to 64 of `A-Z a-z 0-9 . _ : -`, first one alphanumeric. */
export type DeviceId = Brand<string, 'DeviceId'>
/** Certificate serial number: lower-case hex of its INTEGER value, even length, no leading zero byte. */
export type SerialNumber = Brand<string, 'SerialNumber'>
/** Name of an issuer record, such as `root` or `issuing-1`: 1 to 64 of `a-z 0-9 -`. */
export type IssuerId = Brand<string, 'IssuerId'>
/** Row number of a certificate in the inventory. */
export type CertificateId = Brand<number, 'CertificateId'>

const deviceIdPattern = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$/
const issuerIdPattern = /^[a-z0-9][a-z0-9-]{0,63}$/

export function parseDeviceId(text: string): DeviceId | null {
  return deviceIdPattern.test(text) ? (text as DeviceId) : null
}

export function parseIssuerId(text: string): IssuerId | null {
  return issuerIdPattern.test(text) ? (text as IssuerId) : null
}

/** Accepts upper case, colons and leading zeros, as tools print them; null when it is not a positive hex number. */
export function parseSerialNumber(text: string): SerialNumber | null {
  const digits = text.replaceAll(':', '').toLowerCase().replace(/^0x/, '').replace(/^0+/, '')
  if (!/^[0-9a-f]{1,40}$/.test(digits)) return null
  return (digits.length % 2 === 0 ? digits : `0${digits}`) as SerialNumber
}
