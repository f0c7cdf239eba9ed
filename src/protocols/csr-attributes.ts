/**
 * What a client should put into its CSR: CsrAttrs of RFC 7030 §4.5.2 as RFC 9908 §3 reads it, in both forms. Old clients
 * take the list; clients that know templates (RFC 9908 §3.4) use only the template.
 */
import { readDer } from '../pki/der.ts'
import {
  bitString,
  implicit,
  integer,
  nullValue,
  oid,
  sequence,
  setOf,
  unsignedInteger,
} from '../pki/der-writer.ts'
import { encodeExtendedKeyUsage, encodeKeyUsage } from '../pki/extension-values.ts'
import { encodeExtensions, type Extension, makeExtension } from '../pki/extensions.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import { type AttributeTypeAndValue, encodeRdn } from '../pki/name.ts'
import { parseNameText } from '../pki/name-text.ts'
import { oidFromName, oids } from '../pki/oid.ts'
import type { Profile } from '../engine/profile.ts'

/** The answer for a client of which we know no profile: no requirements. */
export const noCsrAttributes: Uint8Array = sequence()

/**
 * CsrAttrs, DER. Depends on the profile only: nothing of any device is told to whoever asks.
 * The key is the first of the profile's algorithms, for RFC 9908 §3.2 allows one.
 */
export function encodeCsrAttributes(profile: Profile, organization: string): Uint8Array {
  const key = profile.keyAlgorithms[0]
  const extensions = wantedExtensions(profile)
  const items: Uint8Array[] = []
  if (key) items.push(keyAttribute(key))
  if (extensions.length > 0) items.push(extensionRequest(extensions))
  if (profile.popLinking === 'require') {
    // A template cannot ask for a challengePassword, and its readers ignore everything else: so there is none.
    return sequence(oid(oids.challengePassword), ...items)
  }
  return sequence(...items, template(profile, organization, key ?? null, extensions))
}

interface KeyForm {
  readonly algorithm: string
  /** Parameters of the list form's attribute; null = the bare identifier. */
  readonly listValue: Uint8Array | null
  /** Parameters of the AlgorithmIdentifier; null = absent. */
  readonly parameters: Uint8Array | null
  /** RSA: the size that the placeholder key of the template has. */
  readonly modulusBits: number | null
}

function ecForm(curve: string): KeyForm {
  return { algorithm: oids.ecPublicKey, listValue: oid(curve), parameters: oid(curve), modulusBits: null }
}

function rsaForm(bits: number): KeyForm {
  return {
    algorithm: oids.rsaEncryption,
    listValue: integer(bits),
    parameters: nullValue(),
    modulusBits: bits,
  }
}

function bareForm(algorithm: string): KeyForm {
  return { algorithm, listValue: null, parameters: null, modulusBits: null }
}

const keyForms: Readonly<Record<KeyAlgorithm, KeyForm>> = {
  'ec-p256': ecForm(oids.prime256v1),
  'ec-p384': ecForm(oids.secp384r1),
  'ec-p521': ecForm(oids.secp521r1),
  'rsa-2048': rsaForm(2048),
  'rsa-3072': rsaForm(3072),
  'rsa-4096': rsaForm(4096),
  ed25519: bareForm(oids.ed25519),
  'ml-dsa-44': bareForm(oids.mlDsa44),
  'ml-dsa-65': bareForm(oids.mlDsa65),
  'ml-dsa-87': bareForm(oids.mlDsa87),
}

function keyAttribute(key: KeyAlgorithm): Uint8Array {
  const { algorithm, listValue } = keyForms[key]
  // `values SET SIZE (1..MAX)`: without a value it is an identifier, not an attribute.
  return listValue === null ? oid(algorithm) : sequence(oid(algorithm), setOf(listValue))
}

function wantedExtensions(profile: Profile): Extension[] {
  const extensions: Extension[] = []
  if (profile.keyUsage.length > 0) {
    extensions.push(makeExtension(oids.keyUsage, encodeKeyUsage(profile.keyUsage)))
  }
  const usages = profile.extendedKeyUsage.map(oidFromName).filter((usage) => usage !== null)
  if (usages.length > 0) {
    extensions.push(makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage(usages)))
  }
  return extensions
}

/** One attribute with one value, which is Extensions (RFC 9908 §3.2). */
function extensionRequest(extensions: readonly Extension[]): Uint8Array {
  return sequence(oid(oids.extensionRequest), setOf(encodeExtensions(extensions)))
}

/** CertificationRequestInfoTemplate; tags are implicit (RFC 9908 appendix A). */
function template(
  profile: Profile,
  organization: string,
  key: KeyAlgorithm | null,
  extensions: readonly Extension[],
): Uint8Array {
  const attributes = extensions.length > 0 ? [extensionRequest(extensions)] : []
  const info = sequence(
    integer(0),
    nameTemplate(profile.subject, organization),
    ...(key === null ? [] : [implicit(0, keyTemplate(key))]),
    implicit(1, setOf(...attributes)),
  )
  return sequence(oid(oids.certificationRequestInfoTemplate), setOf(info))
}

/** The constant attributes of the subject with their values; those that come from the record without: "fill in". */
function nameTemplate(subject: string, organization: string): Uint8Array {
  const rdns = parseNameText(subject).map((rdn) =>
    setOf(...rdn.map((attribute) => attributeTemplate(attribute, organization))),
  )
  return sequence(...rdns)
}

function attributeTemplate({ type, value }: AttributeTypeAndValue, organization: string): Uint8Array {
  const known = value === '{organization}' ? organization : value
  if (known.includes('{')) return sequence(oid(type))
  const [attribute] = readDer(encodeRdn([{ type, value: known }])).children
  return attribute?.raw ?? sequence(oid(type))
}

function keyTemplate(key: KeyAlgorithm): Uint8Array {
  const { algorithm, parameters, modulusBits } = keyForms[key]
  const identifier = parameters === null ? sequence(oid(algorithm)) : sequence(oid(algorithm), parameters)
  if (modulusBits === null) return sequence(identifier)
  // The only way to ask for an RSA size: a placeholder of that length, which is nobody's key (RFC 9908 §3.4).
  const modulus = new Uint8Array(modulusBits / 8).fill(0xff)
  return sequence(identifier, bitString(sequence(unsignedInteger(modulus), integer(65_537))))
}
