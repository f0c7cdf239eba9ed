/**
 * The status of certificates without a link: what a signed bundle brought. It knows what it does not know: after its end, for
 * CAs that it does not hold, and where a delta does not follow what is there, the answer is `unknown`, which is a no.
 */
import { equalBytes, sha256 } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { CompactSet } from '../pki/compact-set.ts'
import { parseCrl, verifyCrl, type Crl } from '../pki/crl-read.ts'
import { parsePublicKey } from '../pki/key.ts'
import { decodePem } from '../pki/pem.ts'
import { openStatusBundle, type StatusExpectation } from '../pki/status-bundle.ts'

export interface OfflineAnswer {
  readonly status: 'good' | 'revoked' | 'unknown'
  /** Why, for people. */
  readonly why: string
}

interface KnownCa {
  readonly certificate: Certificate
  crl: Crl | null
  delta: Crl | null
  set: CompactSet | null
}

export class OfflineStatus {
  readonly version: number
  readonly expiresAt: Instant
  readonly #cas: readonly KnownCa[]

  private constructor(version: number, expiresAt: Instant, cas: readonly KnownCa[]) {
    this.version = version
    this.expiresAt = expiresAt
    this.#cas = cas
  }

  /** CAs to trust. */
  get certificates(): readonly Certificate[] {
    return this.#cas.map(({ certificate }) => certificate)
  }

  /**
   * Takes a bundle. One of deltas follows what `before` holds.
   * @throws Refusal as `openStatusBundle`; `bundle-refused` for a gap: a delta whose base is newer than what is there;
   *   `bad-signature` for a CRL that its CA has not signed
   */
  static take(
    file: Uint8Array,
    expected: Omit<StatusExpectation, 'lastVersion'>,
    before: OfflineStatus | null = null,
  ): OfflineStatus {
    const { certificates, parts, version, expiresAt } = openStatusBundle(file, {
      ...expected,
      lastVersion: before?.version ?? null,
    })
    const heldBefore = before === null ? [] : before.#cas
    const cas = certificates
      .flatMap((pem) => decodePem(pem))
      .map(({ der }): KnownCa => {
        const certificate = parseCertificate(der)
        const known = heldBefore.find((ca) => equalBytes(ca.certificate.der, der))
        return { certificate, crl: known?.crl ?? null, delta: null, set: null }
      })
    for (const { kind, bytes } of parts) {
      if (kind === 'set') takeSet(cas, CompactSet.decode(bytes))
      else takeCrl(cas, parseCrl(bytes))
    }
    return new OfflineStatus(version, expiresAt, cas)
  }

  /** About a certificate that was verified, and is valid now. */
  check(certificate: Certificate, now: Instant): OfflineAnswer {
    if (now >= this.expiresAt) return unknown(`the bundle lapsed at ${iso(this.expiresAt)}`)
    const ca = this.#cas.find((each) => equalBytes(each.certificate.subjectDer, certificate.issuerDer))
    if (!ca) return unknown('the bundle does not know its CA')
    const { serialNumber, notBefore } = certificate
    if (ca.set) {
      if (now >= ca.set.expiresAt) return unknown(`the set lapsed at ${iso(ca.set.expiresAt)}`)
      const status = ca.set.check(serialNumber, notBefore)
      return { status, why: `compact set ${ca.set.number} of ${iso(ca.set.builtAt)}` }
    }
    const newest = ca.delta ?? ca.crl
    if (!ca.crl || !newest) return unknown('the bundle has no CRL of its CA')
    if (newest.nextUpdate === null || now >= newest.nextUpdate) return unknown('its CRL has lapsed')
    const entry = ca.delta?.find(serialNumber) ?? ca.crl.find(serialNumber)
    const why = `CRL ${newest.crlNumber}`
    return { status: entry && entry.reason !== 'removeFromCRL' ? 'revoked' : 'good', why }
  }
}

function takeSet(cas: readonly KnownCa[], set: CompactSet): void {
  const ca = cas.find(({ certificate }) => equalBytes(sha256(certificate.spki), set.issuerKeyHash))
  if (!ca) throw new Refusal('malformed', 'status bundle: a set of a CA that is not in it')
  ca.set = set
}

function takeCrl(cas: readonly KnownCa[], crl: Crl): void {
  const ca = cas.find(({ certificate }) => equalBytes(certificate.subjectDer, crl.issuerDer))
  if (!ca) throw new Refusal('malformed', 'status bundle: a CRL of a CA that is not in it')
  if (!verifyCrl(crl, parsePublicKey(ca.certificate.spki))) {
    throw new Refusal('bad-signature', 'status bundle: a CRL that its CA has not signed')
  }
  if (crl.baseCrlNumber === null) {
    if (crl.issuingDistributionPoint !== null)
      throw new Refusal('malformed', 'status bundle: a part of a CRL')
    ca.crl = crl
    return
  }
  const held = ca.crl?.crlNumber ?? null
  if (held === null || held < crl.baseCrlNumber) {
    throw new Refusal(
      'bundle-refused',
      `there is a gap: the delta follows CRL ${crl.baseCrlNumber}, here is ${held ?? 'none'}; take a complete bundle`,
    )
  }
  ca.delta = crl
}

function unknown(why: string): OfflineAnswer {
  return { status: 'unknown', why }
}
