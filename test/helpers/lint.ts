/** Certificates to be linted: sound ones of each kind, in which one thing at a time is changed. */
import assert from 'node:assert/strict'
import type { Instant } from '../../src/base/clock.ts'
import type { SerialNumber } from '../../src/base/id.ts'
import { type Certificate, encodeTbsCertificate, noExpiry } from '../../src/pki/certificate.ts'
import { crlAt, encodeDistributionPoints } from '../../src/pki/distribution-point.ts'
import {
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeInfoAccess,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from '../../src/pki/extension-values.ts'
import { type Extension, makeExtension } from '../../src/pki/extensions.ts'
import { generateKeyPair, type KeyAlgorithm, parsePublicKey } from '../../src/pki/key.ts'
import { lintCertificate, type LintContext, type LintFinding, type LintPurpose } from '../../src/pki/lint.ts'
import { parseNameText } from '../../src/pki/name-text.ts'
import type { Name } from '../../src/pki/name.ts'
import { oids } from '../../src/pki/oid.ts'
import { defaultSignatureAlgorithm, type SignatureAlgorithm } from '../../src/pki/signature.ts'
import { makeCertificate, san, testNow } from './certificates.ts'

const { subjectKeyIdentifier, authorityKeyIdentifier, basicConstraints, keyUsage, extendedKeyUsage } = oids
const vidPid = 'matterPid=8000,matterVid=FFF1'

const pathLength = (length: number | null): Extension =>
  makeExtension(basicConstraints, encodeBasicConstraints({ ca: true, pathLength: length }))

export const root = makeCertificate({ subject: 'CN=Root,O=Example', notAfter: noExpiry })
export const issuing = makeCertificate({
  subject: 'CN=Issuing,O=Example',
  issuer: root,
  ca: true,
  extensions: [pathLength(0)],
})
export const paa = makeCertificate({ subject: 'CN=PAA,matterVid=FFF1', extensions: [pathLength(1)] })
export const pai = makeCertificate({
  subject: `CN=PAI,${vidPid}`,
  issuer: paa,
  ca: true,
  extensions: [pathLength(0)],
})

/** What to change in a sound certificate. Absent = as it was. */
export interface Changes {
  readonly subject?: string | Name
  readonly issuer?: Certificate
  readonly issuerName?: Name
  readonly serialNumber?: string
  readonly notBefore?: Instant
  readonly notAfter?: Instant
  readonly keyAlgorithm?: KeyAlgorithm
  readonly spki?: Uint8Array
  readonly signatureAlgorithm?: SignatureAlgorithm
  /** Replaces the extension of that type, or adds it. */
  readonly set?: readonly Extension[]
  /** Object identifiers of extensions to leave out. */
  readonly without?: readonly string[]
  readonly context?: LintContext
}

export type Kind = 'device' | 'server' | 'intermediate' | 'root' | 'matter-dac' | 'pai' | 'paa'

interface Plan {
  readonly purpose: LintPurpose
  readonly issuer: Certificate | null
  readonly subject: string
  readonly extensions: readonly Extension[]
}

const ca = [makeExtension(keyUsage, encodeKeyUsage(['keyCertSign', 'cRLSign']))]
const signs = makeExtension(keyUsage, encodeKeyUsage(['digitalSignature']))
const noCa = makeExtension(basicConstraints, encodeBasicConstraints({ ca: false, pathLength: null }), true)
const uri = (value: string) => ({ kind: 'uri', value }) as const
const pointers = [
  makeExtension(
    oids.authorityInfoAccess,
    encodeInfoAccess([{ method: oids.caIssuers, location: uri('http://a.example/1.cer') }]),
  ),
  makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints([crlAt('http://a.example/1.crl')])),
]
const usages = (...purposes: string[]): Extension =>
  makeExtension(extendedKeyUsage, encodeExtendedKeyUsage(purposes))

const plans: Readonly<Record<Kind, Plan>> = {
  device: {
    purpose: 'device',
    issuer: issuing.certificate,
    subject: 'CN=device-1,O=Example',
    extensions: [noCa, signs, usages(oids.clientAuth), ...pointers, san('uri:urn:perennial:device:1')],
  },
  server: {
    purpose: 'server',
    issuer: issuing.certificate,
    subject: 'CN=est.example',
    extensions: [
      noCa,
      signs,
      usages(oids.serverAuth, oids.cmcRA),
      ...pointers,
      san('dns:est.example', 'ip:10.0.0.1'),
    ],
  },
  intermediate: {
    purpose: 'ca',
    issuer: root.certificate,
    subject: 'CN=Issuing 2,O=Example',
    extensions: [pathLength(0), ...ca, ...pointers],
  },
  root: {
    purpose: 'ca',
    issuer: null,
    subject: 'CN=Root 2,O=Example',
    extensions: [pathLength(null), ...ca],
  },
  'matter-dac': {
    purpose: 'matter-dac',
    issuer: pai.certificate,
    subject: `CN=ACME Lamp,${vidPid}`,
    extensions: [noCa, signs],
  },
  pai: {
    purpose: 'ca',
    issuer: paa.certificate,
    subject: 'CN=PAI 2,matterVid=FFF1',
    extensions: [pathLength(0), ...ca],
  },
  paa: {
    purpose: 'ca',
    issuer: null,
    subject: 'CN=PAA 2,matterVid=FFF1',
    extensions: [pathLength(1), ...ca],
  },
}

/** Findings for a certificate of that kind with the changes. */
export function lint(kind: Kind, changes: Changes = {}): LintFinding[] {
  const plan = plans[kind]
  const issuer = changes.issuer ?? plan.issuer
  return lintCertificate({
    tbs: tbsOf(kind, changes),
    issuer,
    context: changes.context ?? { purpose: plan.purpose },
  })
}

export function tbsOf(kind: Kind, changes: Changes = {}): Uint8Array {
  const plan = plans[kind]
  const issuer = changes.issuer ?? plan.issuer
  const keyAlgorithm = changes.keyAlgorithm ?? 'ec-p256'
  const spki = changes.spki ?? generateKeyPair(keyAlgorithm).spki
  const wanted = changes.subject ?? plan.subject
  const subject = typeof wanted === 'string' ? parseNameText(wanted) : wanted
  const signer = issuer ? parsePublicKey(issuer.spki).algorithm : keyAlgorithm
  return encodeTbsCertificate({
    serialNumber: (changes.serialNumber ?? '4f0102030405060708090a0b0c0d0e0f') as SerialNumber,
    issuer: changes.issuerName ?? issuer?.subject ?? subject,
    subject,
    notBefore: changes.notBefore ?? testNow,
    notAfter: changes.notAfter ?? testNow + 30 * 86_400_000,
    spki,
    extensions: extensionsOf(plan, changes, spki),
    signatureAlgorithm: changes.signatureAlgorithm ?? defaultSignatureAlgorithm(signer),
  })
}

function extensionsOf(
  { issuer: planned, extensions }: Plan,
  changes: Changes,
  spki: Uint8Array,
): Extension[] {
  const issuer = changes.issuer ?? planned
  const identifiers = [makeExtension(subjectKeyIdentifier, encodeSubjectKeyIdentifier(keyIdentifier(spki)))]
  if (issuer) {
    const authority = { keyIdentifier: keyIdentifier(issuer.spki), issuer: null, serialNumber: null }
    identifiers.push(makeExtension(authorityKeyIdentifier, encodeAuthorityKeyIdentifier(authority)))
  }
  const { set = [], without = [] } = changes
  const gone = new Set([...without, ...set.map(({ oid }) => oid)])
  return [...[...extensions, ...identifiers].filter(({ oid }) => !gone.has(oid)), ...set]
}

function keyIdentifier(spki: Uint8Array): Uint8Array {
  return parsePublicKey(spki).keyIdentifier
}

const violated = new Set<string>()

/** Asserts that exactly these rules speak, each with its clause. */
export function violates(rules: string | readonly string[], kind: Kind, changes: Changes): void {
  const findings = lint(kind, changes)
  const expected = typeof rules === 'string' ? [rules] : rules
  assert.deepEqual(findings.map(({ rule }) => rule).sort(), [...expected].sort(), JSON.stringify(findings))
  for (const { rule, clause } of findings) {
    assert.ok(clause.length > 0)
    violated.add(rule)
  }
}

export function passes(kind: Kind, changes: Changes = {}): void {
  assert.deepEqual(lint(kind, changes), [])
}

/** Rules that some test of this process has seen violated. */
export function violatedRules(): ReadonlySet<string> {
  return violated
}
