/** The text form of general names, for profiles, the inventory and people: `uri:urn:x`, `dns:a.b`, `ip:1.2.3.4`. */
import { fromHex, toHex } from '../base/bytes.ts'
import { assertNever } from '../base/errors.ts'
import { malformed, readDer } from './der.ts'
import { ipBytes, formatIp } from './ip.ts'
import { type GeneralName, encodeGeneralName } from './general-name.ts'
import { formatName, parseNameText } from './name-text.ts'
import { isOid } from './oid.ts'

/**
 * `dns:`, `uri:`, `ip:`, `email:` and the value; `dir:` and an RFC 4514 name; `rid:` and an identifier; `hw:TYPE:HEX` for
 * a hardwareModuleName; `other:TYPE:HEX` with the DER of the value.
 */
export function formatGeneralName(name: GeneralName): string {
  switch (name.kind) {
    case 'dns':
    case 'uri':
    case 'ip':
    case 'email':
      return `${name.kind}:${name.value}`
    case 'directoryName':
      return `dir:${formatName(name.name)}`
    case 'registeredId':
      return `rid:${name.oid}`
    case 'hardwareModuleName':
      return `hw:${name.hwType}:${toHex(name.hwSerialNumber)}`
    case 'otherName':
      return `other:${name.typeId}:${toHex(name.value)}`
    default:
      return assertNever(name)
  }
}

/**
 * Inverse of `formatGeneralName`.
 * @throws Refusal `malformed` or `hostile-name`; what is returned can be encoded
 */
export function parseGeneralNameText(text: string): GeneralName {
  const colon = text.indexOf(':')
  const name = fromText(text.slice(0, Math.max(colon, 0)), text.slice(colon + 1))
  encodeGeneralName(name)
  return name
}

function fromText(kind: string, value: string): GeneralName {
  switch (kind) {
    case 'dns':
    case 'uri':
    case 'email':
      return { kind, value }
    case 'ip': {
      const bytes = ipBytes(value)
      const canonical = bytes === null ? null : formatIp(bytes)
      return { kind, value: canonical ?? malformed('general name: not an IP address') }
    }
    case 'dir':
      return { kind: 'directoryName', name: parseNameText(value) }
    case 'rid':
      return { kind: 'registeredId', oid: checkedOid(value) }
    case 'hw': {
      const { type, bytes } = typeAndHex(value)
      return { kind: 'hardwareModuleName', hwType: type, hwSerialNumber: bytes }
    }
    case 'other': {
      const { type, bytes } = typeAndHex(value)
      return { kind: 'otherName', typeId: type, value: readDer(bytes).raw }
    }
    default:
      malformed('general name: must begin with dns:, uri:, ip:, email:, dir:, rid:, hw: or other:')
  }
}

function typeAndHex(value: string): { type: string; bytes: Uint8Array } {
  const colon = value.indexOf(':')
  const bytes = fromHex(value.slice(colon + 1))
  if (colon < 0 || bytes === null || bytes.length === 0) malformed('general name: expected TYPE:HEX')
  return { type: checkedOid(value.slice(0, colon)), bytes: new Uint8Array(bytes) }
}

function checkedOid(text: string): string {
  return isOid(text) ? text : malformed('general name: not an object identifier')
}
