/**
 * Path building (RFC 4158) and validation (RFC 5280 §6.1) at a given instant.
 *
 * Processed: signatures, validity, names, name constraints, basicConstraints, keyUsage, extendedKeyUsage along the whole
 * path. Trust anchors are certificates, and what they say counts as well (RFC 5937): validity, path length, constraints.
 * Not processed, therefore refused when it would matter: certificate policies, which can fail a path only where
 * requireExplicitPolicy is set, and every other critical extension. Revocation is the caller's.
 */
import { concatBytes, equalBytes, sha256Hex } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { Certificate } from './certificate.ts'
import type { KeyUsageName } from './extension-values.ts'
import { type PublicKey, parsePublicKey } from './key.ts'
import { formatName } from './name-text.ts'
import { equalNames } from './name.ts'
import { oidName, oids } from './oid.ts'
import { nameConstraintViolation } from './path-names.ts'
import { verifySignature } from './signature.ts'

export interface PathRequest {
  readonly leaf: Certificate
  /** In any order; more than fit may be given. At most 64. */
  readonly intermediates: readonly Certificate[]
  readonly anchors: readonly Certificate[]
  readonly at: Instant
  /** Extended key usage, object identifier. The leaf must allow it by name, each CA at least not restrict it away. */
  readonly purpose?: string
}

/** CAs above a leaf, the anchor included. */
const maxCas = 8
const maxIntermediates = 64
/** Each pair of certificates is verified once; hostile sets with many CAs of one name end here. */
const maxSignatures = 64
const maxSteps = 1_000

/**
 * @returns the path: leaf first, anchor last. A leaf that is itself an anchor is a path of its own
 * @throws Refusal `path-invalid` with what is wrong with the first path tried, or whose issuer is missing
 */
export function validatePath(request: PathRequest): Certificate[] {
  if (request.intermediates.length > maxIntermediates) {
    throw invalid(`more than ${maxIntermediates} intermediate certificates`)
  }
  const { leaf, anchors } = request
  const trusted = anchors.find((anchor) => equalBytes(anchor.der, leaf.der))
  if (trusted) {
    const problem = pathProblem([leaf], request)
    if (problem) throw invalid(problem)
    return [leaf]
  }
  return new PathSearch(request).find()
}

class PathSearch {
  readonly #request: PathRequest
  readonly #intermediates: readonly Certificate[]
  #steps = maxSteps
  readonly #signatures = new Map<Certificate, Map<Certificate, boolean>>()
  #signatureCount = 0
  #firstProblem: string | null = null

  constructor(request: PathRequest) {
    this.#request = request
    const isAnchor = ({ der }: Certificate): boolean =>
      request.anchors.some((anchor) => equalBytes(anchor.der, der))
    this.#intermediates = request.intermediates.filter((certificate) => !isAnchor(certificate))
  }

  find(): Certificate[] {
    const { leaf } = this.#request
    const path = this.#extend([leaf])
    if (path) return path
    throw invalid(this.#firstProblem ?? `no certificate of ${formatName(leaf.issuer)} is known`)
  }

  /** Depth first, anchors before intermediates. */
  #extend(path: Certificate[]): Certificate[] | null {
    const last = path.at(-1) as Certificate
    for (const anchor of this.#issuersOf(last, this.#request.anchors)) {
      const whole = [...path, anchor]
      const problem = this.#linkProblem(last, anchor) ?? pathProblem(whole, this.#request)
      if (problem === null) return whole
      this.#note(problem)
    }
    for (const issuer of this.#issuersOf(last, this.#intermediates)) {
      if (path.some((certificate) => isSameHolder(certificate, issuer))) continue
      const problem = this.#linkProblem(last, issuer)
      if (problem !== null) {
        this.#note(problem)
        continue
      }
      if (path.length >= maxCas) {
        this.#note(`the path is longer than ${maxCas} CA certificates`)
        continue
      }
      const found = this.#extend([...path, issuer])
      if (found) return found
      if (this.#firstProblem === null) {
        this.#note(`no certificate of ${formatName(issuer.issuer)} is known`)
      }
    }
    return null
  }

  *#issuersOf(subject: Certificate, among: readonly Certificate[]): Generator<Certificate> {
    for (const candidate of among) {
      if (!mayHaveIssued(candidate, subject)) continue
      if (this.#steps-- <= 0) throw invalid('too many possible paths')
      yield candidate
    }
  }

  #linkProblem(subject: Certificate, issuer: Certificate): string | null {
    const known = this.#signatures.get(subject) ?? new Map<Certificate, boolean>()
    this.#signatures.set(subject, known)
    let isGood = known.get(issuer)
    if (isGood === undefined) {
      if (this.#signatureCount++ >= maxSignatures) throw invalid('too many possible issuers')
      isGood = isSignedBy(subject, issuer)
      known.set(issuer, isGood)
    }
    return isGood ? null : `the signature of ${describe(subject)} is not by ${describe(issuer)}`
  }

  #note(problem: string): void {
    this.#firstProblem ??= problem
  }
}

/** Names match, and key identifiers do not contradict (§4.2.1.1): so the right one of several CAs of one name is found. */
function mayHaveIssued(issuer: Certificate, subject: Certificate): boolean {
  if (!equalBytes(subject.issuerDer, issuer.subjectDer) && !equalNames(subject.issuer, issuer.subject))
    return false
  const authority = subject.extensions.authorityKeyIdentifier
  if (!authority) return true
  const own = issuer.extensions.subjectKeyIdentifier
  if (authority.keyIdentifier && own && !equalBytes(authority.keyIdentifier, own)) return false
  return authority.serialNumber === null || authority.serialNumber === issuer.serialNumber
}

/** One CA holder may not appear twice in a path (RFC 4158 §2.4.2), or circles of cross certificates would not end. */
function isSameHolder(a: Certificate, b: Certificate): boolean {
  return equalBytes(a.spki, b.spki) && equalBytes(a.subjectDer, b.subjectDer)
}

/** Anchors live long: their key objects are made once. */
const keys = new WeakMap<Certificate, PublicKey>()

function keyOf(certificate: Certificate): PublicKey {
  const known = keys.get(certificate)
  if (known) return known
  const key = parsePublicKey(certificate.spki)
  keys.set(certificate, key)
  return key
}

/**
 * Signatures that were good, by what was signed, the signature and the issuer's key: a device looks at the same chain several
 * times in one renewal, and a check costs 60 µs. Bounded; what was not good is not remembered.
 */
const verified = new Set<string>()
const mostVerified = 512

function isSignedBy(subject: Certificate, issuer: Certificate): boolean {
  const { signatureAlgorithm, tbs, signature } = subject
  const id = `${signatureAlgorithm} ${sha256Hex(concatBytes(issuer.spki, tbs, signature))}`
  if (verified.has(id)) return true
  try {
    const isGood = verifySignature({
      key: keyOf(issuer),
      algorithm: signatureAlgorithm,
      data: tbs,
      signature,
    })
    if (isGood && verified.size >= mostVerified) verified.clear()
    if (isGood) verified.add(id)
    return isGood
  } catch (error) {
    if (error instanceof Refusal) return false // a CA key that we do not support or that is no key
    throw error
  }
}

/** Everything but signatures and name chaining. @returns what is wrong, or null */
function pathProblem(path: readonly Certificate[], request: PathRequest): string | null {
  for (const [index, certificate] of path.entries()) {
    const below = path.slice(0, index)
    const problem =
      validityProblem(certificate, request.at) ??
      criticalProblem(certificate) ??
      (index === 0
        ? leafProblem(certificate, request.purpose)
        : (caProblem(certificate, index === path.length - 1) ??
          limitProblem(certificate, below, request.purpose)))
    if (problem) return `${describe(certificate)}: ${problem}`
  }
  return null
}

/** §6.1.3 a 2. Both ends belong to the validity, and the last second as a whole. */
function validityProblem({ notBefore, notAfter }: Certificate, at: Instant): string | null {
  if (at < notBefore) return `not valid before ${iso(notBefore)}`
  return at > notAfter + 999 ? `expired on ${iso(notAfter)}` : null
}

/** Critical extensions that are processed here, or that bind the user of the certificate rather than its verifier. */
const processed: ReadonlySet<string> = new Set([
  oids.basicConstraints,
  oids.keyUsage,
  oids.extendedKeyUsage,
  oids.subjectAltName,
  oids.nameConstraints,
  // Without requireExplicitPolicy these never make a path invalid (§6.1.5 g).
  oids.certificatePolicies,
  oids.policyMappings,
  oids.policyConstraints,
  oids.inhibitAnyPolicy,
])

/** §6.1.4 o, §6.1.5 f. */
function criticalProblem({ extensions }: Certificate): string | null {
  const unknown = extensions.list.find(({ oid, critical }) => critical && !processed.has(oid))
  if (unknown) return `critical extension ${oidName(unknown.oid)} is not supported`
  const explicitPolicy = extensions.policyConstraints?.requireExplicitPolicy ?? null
  return explicitPolicy === null ? null : 'requireExplicitPolicy is not supported'
}

/** §6.1.4 k and n. */
function caProblem(
  { version, issuerDer, subjectDer, extensions }: Certificate,
  isAnchor: boolean,
): string | null {
  const { basicConstraints, keyUsage } = extensions
  // Version 1 has no extensions: a self-signed one is a CA where the operator trusts it as such.
  const isOldAnchor = isAnchor && version === 1 && equalBytes(issuerDer, subjectDer)
  if (!basicConstraints?.ca && !isOldAnchor) return 'not a CA certificate'
  return keyUsage && !keyUsage.includes('keyCertSign')
    ? 'its key usage does not allow signing certificates'
    : null
}

/** §6.1.4 g, l and m: what a CA limits for the certificates below it. `below` starts with the leaf. */
function limitProblem(
  ca: Certificate,
  below: readonly Certificate[],
  purpose: string | undefined,
): string | null {
  const { basicConstraints, extendedKeyUsage, nameConstraints } = ca.extensions
  const limit = basicConstraints?.pathLength ?? null
  const intermediates = below.slice(1).filter((certificate) => !isSelfIssued(certificate)).length
  if (limit !== null && intermediates > limit)
    return `its path length allows ${limit} CAs below, there are ${intermediates}`
  // anyExtendedKeyUsage in a CA restricts nothing (§4.2.1.12); OpenSSL refuses it for TLS purposes, GnuTLS does not.
  const restricts = extendedKeyUsage && !extendedKeyUsage.includes(oids.anyExtendedKeyUsage)
  if (purpose !== undefined && restricts && !extendedKeyUsage.includes(purpose)) {
    return `it may not issue for ${oidName(purpose)}`
  }
  if (!nameConstraints) return null
  for (const [index, certificate] of below.entries()) {
    if (index > 0 && isSelfIssued(certificate)) continue
    const violation = nameConstraintViolation(nameConstraints, certificate, index === 0)
    if (violation) return violation
  }
  return null
}

/** §6.1: a CA that certifies itself, as in key rollover. */
function isSelfIssued({ subjectDer, issuerDer, subject, issuer }: Certificate): boolean {
  return equalBytes(subjectDer, issuerDer) || equalNames(subject, issuer)
}

const anyOf: ReadonlyMap<string, readonly KeyUsageName[]> = new Map([
  [oids.clientAuth, ['digitalSignature', 'keyAgreement']],
  [oids.serverAuth, ['digitalSignature', 'keyEncipherment', 'keyAgreement']],
  [oids.codeSigning, ['digitalSignature']],
  [oids.OCSPSigning, ['digitalSignature', 'nonRepudiation']],
  [oids.timeStamping, ['digitalSignature', 'nonRepudiation']],
])

/** §4.2.1.12: the purpose must agree with both usages. A leaf that allows any purpose does not name ours. */
function leafProblem({ extensions }: Certificate, purpose: string | undefined): string | null {
  if (purpose === undefined) return null
  const { keyUsage, extendedKeyUsage } = extensions
  if (extendedKeyUsage && !extendedKeyUsage.includes(purpose)) return `not for ${oidName(purpose)}`
  const wanted = anyOf.get(purpose)
  const isUsable = !keyUsage || !wanted || wanted.some((usage) => keyUsage.includes(usage))
  return isUsable ? null : `its key usage does not allow ${oidName(purpose)}`
}

function describe({ subject, serialNumber }: Certificate): string {
  return subject.length > 0 ? formatName(subject) : `certificate ${serialNumber}`
}

function invalid(reason: string): Refusal {
  return new Refusal('path-invalid', reason)
}
