/** The attributes of a certification request that Perennial understands; others are listed and ignored. */
import { isUnsafeText } from '../base/text.ts'
import { DerFields, type DerNode, expectKind, malformed } from './der.ts'
import { readOctetString, readOid, readString } from './der-values.ts'
import { type ParsedExtensions, parseExtensions } from './extensions.ts'
import { type GeneralName, parseGeneralNames } from './general-name.ts'
import { type Name, parseName } from './name.ts'
import { oidName, oids } from './oid.ts'

export interface CsrAttributes {
  /** Every attribute type present, in the order of the request. */
  readonly attributeTypes: readonly string[]
  /** RFC 2985 §5.4.1; in EST the channel binding of RFC 7030 §3.5. A secret: never logged. */
  readonly challengePassword: string | null
  /** RFC 2985 §5.4.2. */
  readonly extensionRequest: ParsedExtensions | null
  /** RFC 6402 §2.8: the names wanted instead of those being renewed. */
  readonly changeSubjectName: ChangeSubjectName | null
  /** RFC 8551 §2.5.2; RFC 7030 §4.4.1: the algorithms a server-generated key may be encrypted with. */
  readonly smimeCapabilities: readonly SmimeCapability[] | null
  /** RFC 7030 §4.4.1.1: names a symmetric key that both sides have. */
  readonly decryptKeyIdentifier: Uint8Array | null
  /** RFC 7030 §4.4.1.2: names an asymmetric key of the client. */
  readonly asymmetricDecryptKeyIdentifier: Uint8Array | null
}

/** At least one of the two is given. */
export interface ChangeSubjectName {
  readonly subject: Name | null
  readonly subjectAltName: readonly GeneralName[] | null
}

export interface SmimeCapability {
  /** Object identifier. */
  readonly capability: string
  /** DER of the parameters; null = absent. */
  readonly parameters: Uint8Array | null
}

export const maxChallengePassword = 255

/**
 * @param node `[0] IMPLICIT SET OF Attribute`. Its order is not checked: strongSwan 5.9.8 writes extensionRequest before
 *   challengePassword, which DER would sort the other way round, and OpenSSL accepts either. Nothing hangs on it: the
 *   signature covers the bytes as they are, and a type may occur only once
 * @throws Refusal `malformed`, `hostile-name`
 */
export function parseRequestAttributes(node: DerNode): CsrAttributes {
  if (!node.constructed) malformed('CertificationRequestInfo: attributes must be a SET')
  const values = new Map<string, DerNode>()
  for (const child of node.children) {
    const { type, value } = parseAttribute(child)
    if (values.has(type)) malformed(`CSR attribute ${oidName(type)} occurs twice`)
    values.set(type, value)
  }
  const read = <Value>(type: string, reader: (value: DerNode, what: string) => Value): Value | null => {
    const value = values.get(type)
    return value === undefined ? null : reader(value, oidName(type))
  }
  return {
    attributeTypes: [...values.keys()],
    challengePassword: read(oids.challengePassword, parseChallengePassword),
    extensionRequest: read(oids.extensionRequest, parseExtensions),
    changeSubjectName: read(oids.changeSubjectName, parseChangeSubjectName),
    smimeCapabilities: read(oids.smimeCapabilities, parseSmimeCapabilities),
    decryptKeyIdentifier: read(oids.decryptKeyIdentifier, parseKeyIdentifier),
    asymmetricDecryptKeyIdentifier: read(oids.asymmetricDecryptKeyIdentifier, parseKeyIdentifier),
  }
}

/** Attributes that we read have a single value each; of others the first is looked at by nobody. */
function parseAttribute(node: DerNode): { type: string; value: DerNode } {
  const fields = new DerFields(node, 'CSR attribute')
  const type = readOid(fields.take('oid', 'type'), 'CSR attribute')
  const values = fields.take('set', 'values').children
  fields.end()
  const [value] = values
  if (value === undefined) malformed(`CSR attribute ${oidName(type)} has no value`)
  if (values.length > 1 && singleValued.has(type))
    malformed(`CSR attribute ${oidName(type)} has several values`)
  return { type, value }
}

const singleValued: ReadonlySet<string> = new Set([
  oids.challengePassword,
  oids.extensionRequest,
  oids.changeSubjectName,
  oids.smimeCapabilities,
  oids.decryptKeyIdentifier,
  oids.asymmetricDecryptKeyIdentifier,
])

function parseChallengePassword(node: DerNode, what: string): string {
  const password = readString(node, ['printableString', 'utf8String', 'bmpString', 'universalString'], what)
  const length = Array.from(password).length
  if (length < 1 || length > maxChallengePassword)
    malformed(`${what}: must have 1 to ${maxChallengePassword} characters`)
  if (isUnsafeText(password)) malformed(`${what}: has control or format characters`)
  return password
}

/** Both fields are SEQUENCEs without a tag of their own: a Name holds SETs, GeneralNames hold context tags. */
function parseChangeSubjectName(node: DerNode, what: string): ChangeSubjectName {
  const fields = expectKind(node, 'sequence', what).children
  const [first, second] = fields
  if (first === undefined || fields.length > 2)
    malformed(`${what}: must hold a subject, a subjectAlt or both`)
  if (second !== undefined) {
    return { subject: parseName(first, what), subjectAltName: parseAlternativeNames(second, what) }
  }
  if (first.children[0]?.class === 'context') {
    return { subject: null, subjectAltName: parseAlternativeNames(first, what) }
  }
  return { subject: parseName(first, what), subjectAltName: null }
}

function parseAlternativeNames(node: DerNode, what: string): readonly GeneralName[] {
  return parseGeneralNames(expectKind(node, 'sequence', what), what)
}

function parseSmimeCapabilities(node: DerNode, what: string): readonly SmimeCapability[] {
  return expectKind(node, 'sequence', what).children.map((child) => {
    const fields = expectKind(child, 'sequence', what).children
    const [capability, parameters] = fields
    if (capability === undefined || fields.length > 2) malformed(`${what}: malformed capability`)
    return { capability: readOid(capability, what), parameters: parameters?.raw ?? null }
  })
}

function parseKeyIdentifier(node: DerNode, what: string): Uint8Array {
  const identifier = readOctetString(node, what)
  if (identifier.length === 0 || identifier.length > 255) malformed(`${what}: must have 1 to 255 octets`)
  return identifier
}
