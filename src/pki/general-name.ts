/** GeneralNames (RFC 5280 §4.2.1.6) and the hardwareModuleName of RFC 4108 §5. The text form is general-name-text.ts. */
import { toHex } from '../base/bytes.ts'
import { isUnsafeText } from '../base/text.ts'
import { Refusal, assertNever } from '../base/errors.ts'
import {
  DerFields,
  type DerNode,
  describe,
  expectKind,
  explicitInner,
  implicitAs,
  malformed,
  readDer,
} from './der.ts'
import { readOctetString, readOid, readString } from './der-values.ts'
import { explicit, ia5String, implicit, octetString, oid, sequence } from './der-writer.ts'
import { formatIp, ipBytes } from './ip.ts'
import { type Name, encodeName, nameKey, parseName } from './name.ts'
import { oids } from './oid.ts'

export type GeneralName =
  | { readonly kind: 'dns'; readonly value: string }
  | { readonly kind: 'uri'; readonly value: string }
  /** RFC 5952 text, or dotted decimal. */
  | { readonly kind: 'ip'; readonly value: string }
  | { readonly kind: 'email'; readonly value: string }
  | { readonly kind: 'directoryName'; readonly name: Name }
  | { readonly kind: 'registeredId'; readonly oid: string }
  | { readonly kind: 'hardwareModuleName'; readonly hwType: string; readonly hwSerialNumber: Uint8Array }
  /** `value` is the DER of what the explicit tag holds. */
  | { readonly kind: 'otherName'; readonly typeId: string; readonly value: Uint8Array }

/**
 * @param node GeneralNames, as SEQUENCE or under an implicit tag: one name or more
 * @throws Refusal `malformed`, or `hostile-name` for control, bidi or format characters. x400Address and ediPartyName,
 *   which nobody uses, are refused; so are host names, addresses and URIs that do not have their own syntax
 */
export function parseGeneralNames(node: DerNode, what: string): readonly GeneralName[] {
  if (!node.constructed || node.children.length === 0) malformed(`${what}: must hold at least one name`)
  return node.children.map((child) => parseGeneralName(child, what))
}

/** A SEQUENCE; for an implicit tag use `implicit(n, encodeGeneralNames(names))`. */
export function encodeGeneralNames(names: readonly GeneralName[]): Uint8Array {
  if (names.length === 0) malformed('GeneralNames: must hold at least one name')
  return sequence(...names.map(encodeGeneralName))
}

export function parseGeneralName(node: DerNode, what: string): GeneralName {
  if (node.class !== 'context') malformed(`${what}: ${describe(node)} is no GeneralName`)
  switch (node.tag) {
    case 0:
      return parseOtherName(node, what)
    case 1:
      return { kind: 'email', value: checkedText('email', ia5Text(node, what), what) }
    case 2:
      return { kind: 'dns', value: checkedText('dns', ia5Text(node, what), what) }
    case 4:
      return { kind: 'directoryName', name: parseName(explicitInner(node, what), what) }
    case 6:
      return { kind: 'uri', value: checkedText('uri', ia5Text(node, what), what) }
    case 7: {
      const value = formatIp(readOctetString(implicitAs(node, 'octetString', what), what))
      return { kind: 'ip', value: value ?? malformed(`${what}: IP address must have 4 or 16 octets`) }
    }
    case 8:
      return { kind: 'registeredId', oid: readOid(implicitAs(node, 'oid', what), what) }
    default:
      malformed(`${what}: ${describe(node)} is not supported`)
  }
}

/** @throws Refusal as `parseGeneralName`: nothing is encoded that we would not accept ourselves */
export function encodeGeneralName(name: GeneralName): Uint8Array {
  switch (name.kind) {
    case 'email':
      return implicit(1, ia5String(checkedText('email', name.value, 'GeneralName')))
    case 'dns':
      return implicit(2, ia5String(checkedText('dns', name.value, 'GeneralName')))
    case 'directoryName':
      return explicit(4, encodeName(name.name))
    case 'uri':
      return implicit(6, ia5String(checkedText('uri', name.value, 'GeneralName')))
    case 'ip':
      return implicit(7, octetString(ipBytes(name.value) ?? malformed('GeneralName: no IP address')))
    case 'registeredId':
      return implicit(8, oid(name.oid))
    case 'hardwareModuleName': {
      checkHardwareSerial(name.hwSerialNumber, 'GeneralName')
      const value = sequence(oid(name.hwType), octetString(name.hwSerialNumber))
      return encodeOtherName(oids.hardwareModuleName, value)
    }
    case 'otherName':
      return encodeOtherName(name.typeId, readDer(name.value).raw)
    default:
      return assertNever(name)
  }
}

/** Same names, whatever their order and number: host names and addresses compared as RFC 5280 §7 says. */
export function equalGeneralNameSets(a: readonly GeneralName[], b: readonly GeneralName[]): boolean {
  const left = new Set(a.map(generalNameKey))
  const right = new Set(b.map(generalNameKey))
  return left.size === right.size && left.isSubsetOf(right)
}

/** A text that is the same for names that are equal by RFC 5280 §7; for sets, not for people. */
export function generalNameKey(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
      return `dns:${name.value.toLowerCase()}`
    case 'uri':
      return `uri:${foldUri(name.value)}`
    case 'email':
      return `email:${foldEmail(name.value)}`
    case 'ip':
      return `ip:${toHex(ipBytes(name.value) ?? new Uint8Array())}`
    case 'directoryName':
      return `directoryName:${nameKey(name.name)}`
    case 'registeredId':
      return `registeredId:${name.oid}`
    case 'hardwareModuleName':
      return `hardwareModuleName:${name.hwType}:${toHex(name.hwSerialNumber)}`
    case 'otherName':
      return `otherName:${name.typeId}:${toHex(name.value)}`
    default:
      return assertNever(name)
  }
}

const maxUriLength = 2048
const maxHardwareSerial = 255

function ia5Text(node: DerNode, what: string): string {
  return readString(implicitAs(node, 'ia5String', what), ['ia5String'], what)
}

function checkedText(kind: 'dns' | 'uri' | 'email', value: string, what: string): string {
  if (isUnsafeText(value))
    throw new Refusal('hostile-name', `${what}: ${kind} name has control or format characters`)
  const isValid = kind === 'dns' ? isDnsName(value) : kind === 'uri' ? isUri(value) : isMailbox(value)
  if (!isValid) malformed(`${what}: not a valid ${kind} name`)
  return value
}

/**
 * Preferred name syntax of RFC 1034 §3.5 as RFC 1123 §2.1 relaxed it, plus the underscore that device networks use and
 * a leading wildcard label. No trailing dot, no empty name.
 */
export function isDnsName(text: string): boolean {
  return text.length <= 253 && dnsName.test(text)
}

const dnsName =
  /^(?:\*\.)?(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*$/

/** An absolute URI (RFC 3986): scheme, colon, at least one character; only characters that a URI may hold. */
export function isUri(text: string): boolean {
  return (
    text.length <= maxUriLength &&
    /^[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+$/.test(text)
  )
}

/** `local@host` (RFC 5280 §4.2.1.6 refers to RFC 2821); quoted local parts are not supported. */
function isMailbox(text: string): boolean {
  const at = text.indexOf('@')
  const local = text.slice(0, at)
  return (
    at > 0 && at <= 64 && /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+$/.test(local) && isDnsName(text.slice(at + 1))
  )
}

function parseOtherName(node: DerNode, what: string): GeneralName {
  const fields = new DerFields(implicitAs(node, 'sequence', what), what)
  const typeId = readOid(fields.take('oid', 'type-id'), what)
  const value = fields.context(0)
  if (value === null) malformed(`${what}: otherName without a value`)
  fields.end()
  const inner = explicitInner(value, what)
  if (typeId === oids.hardwareModuleName) return parseHardwareModuleName(inner, what)
  return { kind: 'otherName', typeId, value: inner.raw }
}

function parseHardwareModuleName(node: DerNode, what: string): GeneralName {
  const fields = new DerFields(expectKind(node, 'sequence', what), what)
  const hwType = readOid(fields.take('oid', 'hwType'), what)
  const hwSerialNumber = readOctetString(fields.take('octetString', 'hwSerialNum'), what)
  fields.end()
  checkHardwareSerial(hwSerialNumber, what)
  return { kind: 'hardwareModuleName', hwType, hwSerialNumber }
}

function checkHardwareSerial(octets: Uint8Array, what: string): void {
  if (octets.length === 0 || octets.length > maxHardwareSerial) {
    malformed(`${what}: hwSerialNum must have 1 to ${maxHardwareSerial} octets`)
  }
}

function encodeOtherName(typeId: string, value: Uint8Array): Uint8Array {
  return implicit(0, sequence(oid(typeId), explicit(0, value)))
}

/** Scheme and host without case, the rest as it stands (RFC 5280 §7.4). */
function foldUri(uri: string): string {
  const match = /^([^:]+:)(\/\/(?:[^@/?#]*@)?)?([^/?#]*)(.*)$/s.exec(uri)
  if (!match) return uri
  const [, scheme = '', slashes = '', host = '', rest = ''] = match
  return scheme.toLowerCase() + slashes + (slashes === '' ? host : host.toLowerCase()) + rest
}

/** The host without case, the local part as it stands (RFC 5280 §7.5). */
function foldEmail(mailbox: string): string {
  const at = mailbox.lastIndexOf('@')
  return mailbox.slice(0, at) + mailbox.slice(at).toLowerCase()
}
