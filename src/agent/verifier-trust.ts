/** What a verifier in the field believes: CAs that lead to its pinned roots, and CRLs that are theirs and only get newer. */
import { equalBytes, fromBase64 } from '../base/bytes.ts'
import { iso, minuteMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseIssuerId } from '../base/id.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { parseCrl, verifyCrl, type Crl } from '../pki/crl-read.ts'
import { parsePublicKey } from '../pki/key.ts'
import { formatName } from '../pki/name-text.ts'
import { validatePath } from '../pki/path.ts'

export interface ListedCa {
  readonly id: string
  readonly certificate: Certificate
}

const maxCas = 64
const toleranceMs = 5 * minuteMs

/** What `/verifier.json` says, as far as it can be read. @throws Refusal `malformed` */
export function parseVerifierList(bytes: Uint8Array): ListedCa[] {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'))
  } catch {
    throw new Refusal('malformed', 'the list of CAs is not JSON')
  }
  const issuers = typeof value === 'object' && value !== null && 'issuers' in value ? value.issuers : null
  if (!Array.isArray(issuers) || issuers.length > maxCas) {
    throw new Refusal('malformed', `the list of CAs has no issuers, or more than ${maxCas}`)
  }
  return issuers.map((issuer: unknown) => {
    const { id, certificate } = (issuer ?? {}) as Record<string, unknown>
    const der = typeof certificate === 'string' ? fromBase64(certificate) : null
    if (typeof id !== 'string' || parseIssuerId(id) === null || der === null) {
      throw new Refusal('malformed', 'the list of CAs has an entry that is none')
    }
    return { id, certificate: parseCertificate(der) }
  })
}

/** @throws Refusal `path-invalid` for what is no CA, is not valid now, or does not lead to a pinned root */
export function requireTrustedCa(
  certificate: Certificate,
  anchors: readonly Certificate[],
  now: Instant,
): void {
  if (certificate.extensions.basicConstraints?.ca !== true) {
    throw new Refusal('path-invalid', `${formatName(certificate.subject)} is no CA`)
  }
  validatePath({ leaf: certificate, intermediates: [], anchors, at: now })
}

export interface CrlToCheck {
  readonly der: Uint8Array
  readonly ca: Certificate
  /** The one that is in use; null when there is none. */
  readonly known: Crl | null
  readonly now: Instant
}

/**
 * A complete CRL of this CA, in force now, and not older than the one in use.
 * @throws Refusal `malformed`, `bad-signature`, or `server-answer-invalid` with what is wrong
 */
export function checkCrl({ der, ca, known, now }: CrlToCheck): Crl & { readonly nextUpdate: Instant } {
  const crl = parseCrl(der)
  const name = formatName(ca.subject)
  const refuse = (why: string): never => {
    throw new Refusal('server-answer-invalid', `the CRL of ${name} is not used: ${why}`)
  }
  if (!equalBytes(crl.issuerDer, ca.subjectDer)) refuse('it is of another CA')
  if (!verifyCrl(crl, parsePublicKey(ca.spki))) {
    throw new Refusal('bad-signature', `the CRL of ${name} is not signed by its key`)
  }
  const { nextUpdate, thisUpdate, crlNumber } = crl
  if (crl.baseCrlNumber !== null) refuse('it is a delta CRL')
  if (crl.issuingDistributionPoint !== null) refuse('it is for a part of the certificates')
  if (nextUpdate === null || crlNumber === null) return refuse('it has no end or no number')
  if (nextUpdate <= now) refuse(`it lapsed at ${iso(nextUpdate)}`)
  if (thisUpdate > now + toleranceMs) refuse(`it is of the future: ${iso(thisUpdate)}`)
  const before = known?.crlNumber ?? null
  if (before !== null && crlNumber < before)
    refuse(`its number is ${crlNumber}, the one in use has ${before}`)
  if (before === crlNumber && known && !equalBytes(known.der, crl.der)) {
    refuse(`there are two with the number ${crlNumber}`)
  }
  return { ...crl, nextUpdate }
}
