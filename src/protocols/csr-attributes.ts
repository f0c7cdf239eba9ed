/**
 * What a client of a profile should put into its CSR (RFC 7030 §4.5.2, RFC 9908 §3), in both forms: old clients take the
 * list, clients that know templates use only the template.
 */
import type { Profile } from '../engine/issuing/profile.ts'
import { encodeCsrAttributes, type RequestedKey } from '../pki/csr-attributes.ts'
import { encodeExtendedKeyUsage, encodeKeyUsage } from '../pki/extension-values.ts'
import { type Extension, makeExtension } from '../pki/extensions.ts'
import type { KeyAlgorithm } from '../pki/key.ts'
import { parseNameText } from '../pki/name-text.ts'
import { oidFromName, oids } from '../pki/oid.ts'

/** The answer for a client of which we know no profile: no requirements. */
export const noCsrAttributes: Uint8Array = encodeCsrAttributes({})

/**
 * CsrAttrs, DER. Depends on the profile only: nothing of any device is told to whoever asks.
 * The key is the first of the profile's algorithms, because RFC 9908 §3.2 allows one.
 */
export function profileCsrAttributes(profile: Profile, organization: string): Uint8Array {
  const [algorithm] = profile.keyAlgorithms
  const key = algorithm ? { key: requestedKeys[algorithm] } : {}
  const extensions = wantedExtensions(profile)
  if (profile.popLinking === 'require') {
    // A template cannot ask for a challengePassword, and its readers ignore everything else: so there is none.
    return encodeCsrAttributes({ identifiers: [oids.challengePassword], ...key, extensions })
  }
  const subject = subjectTemplate(profile.subject, organization)
  return encodeCsrAttributes({ ...key, extensions, template: { subject, ...key, extensions } })
}

const requestedKeys: Readonly<Record<KeyAlgorithm, RequestedKey>> = {
  'ec-p256': { kind: 'ec', curve: oids.prime256v1 },
  'ec-p384': { kind: 'ec', curve: oids.secp384r1 },
  'ec-p521': { kind: 'ec', curve: oids.secp521r1 },
  'rsa-2048': { kind: 'rsa', bits: 2048 },
  'rsa-3072': { kind: 'rsa', bits: 3072 },
  'rsa-4096': { kind: 'rsa', bits: 4096 },
  ed25519: { kind: 'other', algorithm: oids.ed25519 },
  'ml-dsa-44': { kind: 'other', algorithm: oids.mlDsa44 },
  'ml-dsa-65': { kind: 'other', algorithm: oids.mlDsa65 },
  'ml-dsa-87': { kind: 'other', algorithm: oids.mlDsa87 },
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

/** The constant attributes of the subject with their values; those that come from the record without: "fill in". */
function subjectTemplate(subject: string, organization: string): { type: string; value: string | null }[] {
  return parseNameText(subject)
    .flat()
    .map(({ type, value }) => {
      const known = value === '{organization}' ? organization : value
      return { type, value: known.includes('{') ? null : known }
    })
}
