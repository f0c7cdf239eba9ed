/** The text form of distinguished names (RFC 4514). */
import { fromHex, toHex } from '../base/bytes.ts'
import { malformed, readDer } from './der.ts'
import { readString } from './der-values.ts'
import { utf8String } from './der-writer.ts'
import { type AttributeTypeAndValue, type Name, type Rdn, encodeName } from './name.ts'
import { isOid, oids } from './oid.ts'

/**
 * RFC 4514: last RDN first, `+` inside an RDN. Types without a short name are written as identifier and `#` with the hex
 * of a UTF8String, as §2.4 asks.
 */
export function formatName(name: Name): string {
  return name.map(formatRdn).toReversed().join(',')
}

/**
 * Reads `CN=a,O=b` (RFC 4514 §3): escapes, `#hex`, several attributes with `+`, spaces around the separators. Types are
 * short names in any case, the names in oid.ts, or dotted identifiers. The empty text is the empty name.
 * @throws Refusal `malformed` or `hostile-name`; what is returned can be encoded
 */
export function parseNameText(text: string): Name {
  if (text.length > maxTextLength) malformed(`name: longer than ${maxTextLength} characters`)
  if (text.trim() === '') return []
  const parser = new NameTextParser(text)
  const name = parser.name()
  encodeName(name)
  return name
}

const maxTextLength = 65_536

/** RFC 4514 §3 and the descriptors of RFC 4519 and of common use. */
const shortNames: readonly (readonly [string, string])[] = [
  ['CN', oids.commonName],
  ['SN', oids.surname],
  ['serialNumber', oids.serialNumber],
  ['C', oids.countryName],
  ['L', oids.localityName],
  ['ST', oids.stateOrProvinceName],
  ['STREET', oids.streetAddress],
  ['O', oids.organizationName],
  ['OU', oids.organizationalUnitName],
  ['title', oids.title],
  ['postalCode', oids.postalCode],
  ['name', oids.name],
  ['givenName', oids.givenName],
  ['initials', oids.initials],
  ['generationQualifier', oids.generationQualifier],
  ['dnQualifier', oids.dnQualifier],
  ['pseudonym', oids.pseudonym],
  ['organizationIdentifier', oids.organizationIdentifier],
  ['UID', oids.userId],
  ['DC', oids.domainComponent],
  ['emailAddress', oids.emailAddress],
  ['matterVid', oids.matterVid],
  ['matterPid', oids.matterPid],
]

const otherNames: readonly (readonly [string, string])[] = [
  ['commonName', oids.commonName],
  ['surname', oids.surname],
  ['countryName', oids.countryName],
  ['localityName', oids.localityName],
  ['stateOrProvinceName', oids.stateOrProvinceName],
  ['streetAddress', oids.streetAddress],
  ['organizationName', oids.organizationName],
  ['organizationalUnitName', oids.organizationalUnitName],
  ['userId', oids.userId],
  ['domainComponent', oids.domainComponent],
  ['E', oids.emailAddress],
  ['GN', oids.givenName],
]

const shortNameByType = new Map(shortNames.map(([short, type]) => [type, short]))
const typeByName = new Map([...shortNames, ...otherNames].map(([name, type]) => [name.toLowerCase(), type]))

function formatRdn(rdn: Rdn): string {
  return rdn.map(formatAttribute).join('+')
}

function formatAttribute({ type, value }: AttributeTypeAndValue): string {
  const short = shortNameByType.get(type)
  return short === undefined ? `${type}=#${toHex(utf8String(value))}` : `${short}=${escapeValue(value)}`
}

/** RFC 4514 §2.4. */
function escapeValue(value: string): string {
  return value
    .replace(/["+,;<>\\]/g, '\\$&')
    .replace(/ $/, '\\ ')
    .replace(/^[ #]/, '\\$&')
}

/** One pass over the text, left to right. */
class NameTextParser {
  readonly #text: string
  #offset = 0

  constructor(text: string) {
    this.#text = text
  }

  name(): Name {
    const rdns: Rdn[] = []
    do {
      rdns.push(this.#rdn())
    } while (this.#skip(','))
    if (this.#offset < this.#text.length)
      malformed(`name: unexpected character at position ${this.#offset + 1}`)
    return rdns.toReversed()
  }

  #rdn(): Rdn {
    const attributes: AttributeTypeAndValue[] = []
    do {
      attributes.push({ type: this.#type(), value: this.#value() })
    } while (this.#skip('+'))
    return attributes
  }

  #skip(separator: string): boolean {
    if (this.#text[this.#offset] !== separator) return false
    this.#offset += 1
    return true
  }

  #type(): string {
    const end = this.#text.indexOf('=', this.#offset)
    if (end < 0) malformed(`name: expected TYPE=value at position ${this.#offset + 1}`)
    const label = this.#text.slice(this.#offset, end).trim()
    const type = typeByName.get(label.toLowerCase()) ?? label.replace(/^oid\./i, '')
    if (!isOid(type)) malformed(`name: unknown attribute type at position ${this.#offset + 1}`)
    this.#offset = end + 1
    return type
  }

  #value(): string {
    while (this.#text[this.#offset] === ' ') this.#offset += 1
    return this.#text[this.#offset] === '#' ? this.#hexValue() : this.#stringValue()
  }

  #hexValue(): string {
    const pattern = /#([0-9A-Fa-f]+) *(?=[,+]|$)/y
    pattern.lastIndex = this.#offset
    const match = pattern.exec(this.#text)
    const der = fromHex(match?.[1] ?? '')
    if (!match || der === null || der.length === 0)
      malformed(`name: bad hex value at position ${this.#offset + 1}`)
    this.#offset += match[0].length
    const kinds = ['utf8String', 'printableString', 'ia5String', 'bmpString', 'universalString'] as const
    return readString(readDer(der), kinds, 'name')
  }

  /** Up to an unescaped separator. Octets of consecutive `\xx` escapes are UTF-8. */
  #stringValue(): string {
    const parts: Buffer[] = []
    let keptLength = 0
    let length = 0
    for (;;) {
      const character = this.#character()
      if (character === null) break
      parts.push(character.bytes)
      length += 1
      if (character.isEscaped || character.bytes[0] !== 0x20) keptLength = length
    }
    // Unescaped spaces at the end belong to the separator.
    const bytes = Buffer.concat(parts.slice(0, keptLength))
    const text = bytes.toString('utf8')
    if (!Buffer.from(text, 'utf8').equals(bytes)) malformed('name: escaped octets are not UTF-8')
    return text
  }

  #character(): { bytes: Buffer; isEscaped: boolean } | null {
    const point = this.#text.codePointAt(this.#offset)
    const character = point === undefined ? '' : String.fromCodePoint(point)
    if (character === '' || character === ',' || character === '+') return null
    if (/["<>;\0]/.test(character) || !character.isWellFormed()) {
      malformed(`name: character at position ${this.#offset + 1} must be escaped with a backslash`)
    }
    this.#offset += character.length
    if (character !== '\\') return { bytes: Buffer.from(character), isEscaped: false }
    const hex = /^[0-9A-Fa-f]{2}/.exec(this.#text.slice(this.#offset, this.#offset + 2))
    const escaped = hex?.[0] ?? this.#text[this.#offset] ?? ''
    this.#offset += escaped.length
    if (hex) return { bytes: Buffer.from(escaped, 'hex'), isEscaped: true }
    if (!/^[ "#+,;<=>\\]$/.test(escaped)) malformed(`name: bad escape at position ${this.#offset}`)
    return { bytes: Buffer.from(escaped), isEscaped: true }
  }
}
