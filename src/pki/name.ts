/** Distinguished names (RFC 5280 §4.1.2.4, X.501, X.520): DER, comparison and checks. The text form is name-text.ts. */
import { isUnsafeText } from '../base/text.ts'
import { Refusal } from '../base/errors.ts'
import { type DerNode, DerFields, expectKind, malformed } from './der.ts'
import { type StringKind, readOid, readString } from './der-values.ts'
import {
  ia5String,
  isIa5String,
  isPrintableString,
  oid,
  printableString,
  sequence,
  setOf,
  utf8String,
} from './der-writer.ts'
import { oidName, oids } from './oid.ts'

/** In the order of the encoding: most general first, as a rule. */
export type Name = readonly Rdn[]
/** One attribute, or several of unlike types. */
export type Rdn = readonly AttributeTypeAndValue[]

export interface AttributeTypeAndValue {
  /** Dotted object identifier. */
  readonly type: string
  /** The text; its ASN.1 string type is not kept. */
  readonly value: string
}

/**
 * @throws Refusal `hostile-name` for control, bidi or format characters and for values over their upper bound;
 *   `malformed` for anything else that RFC 5280 does not allow: empty RDNs and values, one type twice in an RDN, other
 *   string types than the attribute has, TeletexString, values that are no text
 */
export function parseName(node: DerNode, what = 'Name'): Name {
  const rdns = expectKind(node, 'sequence', what).children
  if (rdns.length > maxRdns) malformed(`${what}: more than ${maxRdns} RDNs`)
  return rdns.map((rdn) => parseRdn(rdn, what))
}

/** @param node a SET of attributes, as in a name or a relative distribution point */
export function parseRdn(node: DerNode, what: string): Rdn {
  const attributes = expectKind(node, 'set', what).children.map((attribute) =>
    parseAttribute(attribute, what),
  )
  checkRdn(attributes, what)
  return attributes
}

/** @throws Refusal like `parseName`: nothing is encoded that we would not accept ourselves */
export function encodeName(name: Name): Uint8Array {
  return sequence(...name.map(encodeRdn))
}

export function encodeRdn(rdn: Rdn): Uint8Array {
  checkRdn(rdn, 'Name')
  return setOf(...rdn.map(encodeAttribute))
}

/**
 * RFC 5280 §7.1: same RDNs in the same order; case, kind of string and amount of white space do not matter. Values
 * outside ASCII are compared after NFKC, as the LDAP profile of stringprep (RFC 4518) does.
 */
export function equalNames(a: Name, b: Name): boolean {
  return a.length === b.length && nameStartsWith(a, b)
}

/** True when the first RDNs of `name` equal those of `prefix`: a directoryName subtree (RFC 5280 §4.2.1.10). */
export function nameStartsWith(name: Name, prefix: Name): boolean {
  return prefix.every((rdn, index) => {
    const other = name[index]
    return other !== undefined && equalRdns(other, rdn)
  })
}

/** Like `equalNames`, but the order of the RDNs does not matter. */
export function sameRdnSet(a: Name, b: Name): boolean {
  if (a.length !== b.length) return false
  const left = a.map(rdnKey).sort()
  const right = b.map(rdnKey).sort()
  return left.every((key, index) => key === right[index])
}

/** A text that is equal for names that `equalNames` finds equal; for maps, not for people. */
export function nameKey(name: Name): string {
  return name.map(rdnKey).join('\n')
}

interface AttributeRule {
  /** Accepted when reading; the first one is written. */
  readonly strings: readonly StringKind[]
  /** Characters: RFC 5280 Appendix A, X.520 Annex C, RFC 4519. */
  readonly max: number
  readonly min: number
}

const directoryStrings: readonly StringKind[] = [
  'utf8String',
  'printableString',
  'bmpString',
  'universalString',
]
const printableOnly: readonly StringKind[] = ['printableString']
const ia5Only: readonly StringKind[] = ['ia5String']

function directory(max: number): AttributeRule {
  return { strings: directoryStrings, min: 1, max }
}

const rules: ReadonlyMap<string, AttributeRule> = new Map([
  [oids.commonName, directory(64)],
  [oids.surname, directory(32_768)],
  [oids.serialNumber, { strings: printableOnly, min: 1, max: 64 }],
  [oids.countryName, { strings: printableOnly, min: 2, max: 2 }],
  [oids.localityName, directory(128)],
  [oids.stateOrProvinceName, directory(128)],
  [oids.streetAddress, directory(128)],
  [oids.organizationName, directory(64)],
  [oids.organizationalUnitName, directory(64)],
  [oids.title, directory(64)],
  [oids.postalCode, directory(40)],
  [oids.name, directory(32_768)],
  [oids.givenName, directory(32_768)],
  [oids.initials, directory(32_768)],
  [oids.generationQualifier, directory(32_768)],
  [oids.dnQualifier, { strings: printableOnly, min: 1, max: 64 }],
  [oids.pseudonym, directory(128)],
  [oids.organizationIdentifier, directory(256)],
  [oids.userId, directory(256)],
  [oids.domainComponent, { strings: ia5Only, min: 1, max: 63 }],
  [oids.emailAddress, { strings: ia5Only, min: 1, max: 255 }],
  [oids.matterVid, directory(4)],
  [oids.matterPid, directory(4)],
])

/** For types that we do not know: any text, of a length that no list or log has trouble with. */
const otherRule: AttributeRule = {
  strings: [...directoryStrings, 'ia5String', 'numericString', 'visibleString'],
  min: 1,
  max: 256,
}

const maxRdns = 64
const maxAttributesPerRdn = 16

function parseAttribute(node: DerNode, what: string): AttributeTypeAndValue {
  const fields = new DerFields(node, what)
  const type = readOid(fields.take('oid', 'type'), what)
  const rule = rules.get(type) ?? otherRule
  const value = readString(fields.any('value'), rule.strings, what)
  fields.end()
  checkValue(type, value, rule, what)
  return { type, value }
}

function encodeAttribute({ type, value }: AttributeTypeAndValue): Uint8Array {
  return sequence(oid(type), encodeText(type, value))
}

/** An attribute's value alone, in the string type that its type asks for. @throws Refusal like `parseName` */
export function encodeText(type: string, value: string): Uint8Array {
  const rule = rules.get(type) ?? otherRule
  checkValue(type, value, rule, 'Name')
  const [kind] = rule.strings
  if (kind === 'printableString') {
    if (!isPrintableString(value))
      malformed(`${oidName(type)}: only letters, digits and '()+,-./:=? are allowed`)
    return printableString(value)
  }
  if (kind === 'ia5String') {
    if (!isIa5String(value)) malformed(`${oidName(type)}: only ASCII is allowed`)
    return ia5String(value)
  }
  return utf8String(value)
}

function checkValue(type: string, value: string, rule: AttributeRule, what: string): void {
  const isPlain = plainText.test(value)
  if (!isPlain && isUnsafeText(value)) {
    throw new Refusal('hostile-name', `${what}: ${oidName(type)} has control, bidi or format characters`)
  }
  const length = isPlain ? value.length : countCharacters(value)
  if (length > rule.max) {
    throw new Refusal('hostile-name', `${what}: ${oidName(type)} is longer than ${rule.max} characters`)
  }
  if (length < rule.min) malformed(`${what}: ${oidName(type)} is shorter than ${rule.min} characters`)
}

const plainText = /^[\x20-\x7e]*$/

function countCharacters(text: string): number {
  let count = 0
  for (const _character of text) count += 1
  return count
}

function checkRdn(attributes: Rdn, what: string): void {
  if (attributes.length === 1) return
  if (attributes.length === 0) malformed(`${what}: empty RDN`)
  if (attributes.length > maxAttributesPerRdn) malformed(`${what}: too many attributes in one RDN`)
  const types = new Set(attributes.map(({ type }) => type))
  if (types.size !== attributes.length) malformed(`${what}: one attribute type twice in an RDN`)
}

function equalRdns(a: Rdn, b: Rdn): boolean {
  const [first] = a
  const [other] = b
  if (a.length === 1 && b.length === 1 && first?.type === other?.type && first?.value === other?.value)
    return true
  return rdnKey(a) === rdnKey(b)
}

/** No folded value holds a control character, so TAB separates safely. */
function rdnKey(rdn: Rdn): string {
  if (rdn.length === 1 && rdn[0]) return `${rdn[0].type}=${foldValue(rdn[0].value)}`
  return rdn
    .map(({ type, value }) => `${type}=${foldValue(value)}`)
    .sort()
    .join('\t')
}

function foldValue(value: string): string {
  // Upper before lower, so that ß and ss or the three sigmas meet, as in full case folding.
  const folded = plainText.test(value) ? value : value.normalize('NFKC').toUpperCase()
  return folded.toLowerCase().trim().replace(/\s+/g, ' ')
}
