/**
 * Rules over profiles and issuers, before any device asks: checked at start and by `perennial policy check`. What a
 * single request must satisfy is policy.ts.
 */
import { dayMs, iso, type Instant } from '../../base/clock.ts'
import { formatDuration } from '../../base/duration.ts'
import { assertNever } from '../../base/errors.ts'
import { noExpiry } from '../../pki/certificate.ts'
import { isOid, oidFromName } from '../../pki/oid.ts'
import type { IssuerRecord } from '../../store/issuers.ts'
import type { Connectivity } from '../context.ts'
import { defaultCrlSettings, type CrlSettings } from '../revocation/crl-settings.ts'
import { ocspLifetimeMs } from '../revocation/ocsp-settings.ts'
import { minValidityMs, type Profile } from './profile.ts'
import { templateProblems } from './profile-template.ts'

export interface PolicyFinding {
  /** Stable name of the rule. */
  readonly rule: string
  /** Null when the finding is about an issuer. */
  readonly profile: string | null
  readonly issuer: string | null
  /** `error`: the installation must not start like this. */
  readonly severity: 'error' | 'warning'
  /** What is wrong, why it matters, and what to do. */
  readonly message: string
}

export interface PolicyRulesInput {
  readonly profiles: ReadonlyMap<string, Profile>
  readonly connectivity: ReadonlyMap<string, Connectivity>
  readonly issuers: readonly IssuerRecord[]
  /** Absent: the defaults. */
  readonly crl?: CrlSettings
  readonly now: Instant
}

/** Every finding, profiles first, in the order of the rules. Empty when all is well. */
export function checkPolicyRules(input: PolicyRulesInput): PolicyFinding[] {
  const issuers = new Map(input.issuers.map((issuer) => [issuer.id as string, issuer]))
  const findings: PolicyFinding[] = []
  for (const profile of input.profiles.values()) {
    const subject: ProfileSubject = {
      profile,
      issuer: issuers.get(profile.issuer) ?? null,
      connectivity: input.connectivity.get(profile.connectivity) ?? null,
      crl: input.crl ?? defaultCrlSettings,
      now: input.now,
    }
    for (const { rule, check } of profileRules) {
      for (const { severity, message } of check(subject)) {
        findings.push({ rule, profile: profile.name, issuer: null, severity, message })
      }
    }
  }
  for (const issuer of input.issuers) {
    const parent = issuer.parentId === null ? null : (issuers.get(issuer.parentId) ?? null)
    for (const { rule, check } of issuerRules) {
      for (const { severity, message } of check({ issuer, parent, now: input.now })) {
        findings.push({ rule, profile: null, issuer: issuer.id, severity, message })
      }
    }
  }
  return findings
}

type Complaint = Pick<PolicyFinding, 'severity' | 'message'>

interface ProfileSubject {
  readonly profile: Profile
  readonly issuer: IssuerRecord | null
  readonly connectivity: Connectivity | null
  readonly crl: CrlSettings
  readonly now: Instant
}

interface Rule<Subject> {
  readonly rule: string
  readonly check: (subject: Subject) => Complaint[]
}

const profileRules: readonly Rule<ProfileSubject>[] = [
  { rule: 'profile-well-formed', check: profileWellFormed },
  { rule: 'issuer-exists', check: issuerExists },
  { rule: 'issuer-fits-purpose', check: issuerFitsPurpose },
  { rule: 'leaf-never-outlives-issuer', check: leafNeverOutlivesIssuer },
  { rule: 'issuer-outlives-renewal', check: issuerOutlivesRenewal },
  { rule: 'window-longer-than-check-in', check: windowLongerThanCheckIn },
  { rule: 'window-shorter-than-life', check: windowShorterThanLife },
  { rule: 'approval-fits-key-generation', check: approvalFitsKeyGeneration },
  { rule: 'matter-dac-shape', check: matterDacShape },
  { rule: 'revocation-can-be-seen', check: revocationCanBeSeen },
  { rule: 'revocation-known-in-time', check: revocationKnownInTime },
]

interface IssuerSubject {
  readonly issuer: IssuerRecord
  readonly parent: IssuerRecord | null
  readonly now: Instant
}

const issuerRules: readonly Rule<IssuerSubject>[] = [
  { rule: 'root-lifetime', check: rootLifetime },
  { rule: 'intermediate-lifetime', check: intermediateLifetime },
  { rule: 'issuer-never-outlives-parent', check: issuerNeverOutlivesParent },
]

const yearMs = 365 * dayMs
/** 20 and 10 calendar years hold up to five and three leap days. */
const leapDaysMs = 5 * dayMs

function profileWellFormed({ profile }: ProfileSubject): Complaint[] {
  const complaints = templateProblems(profile).map(error)
  if (profile.keyAlgorithms.length === 0)
    complaints.push(error('keyAlgorithms is empty: no device can enrol'))
  if (profile.keyUsage.length === 0)
    complaints.push(error('keyUsage is empty: RFC 5280 §4.2.1.3 wants one bit'))
  for (const usage of ['keyCertSign', 'cRLSign'] as const) {
    if (profile.keyUsage.includes(usage))
      complaints.push(error(`keyUsage ${usage} belongs to a CA, not to a device`))
  }
  for (const usage of profile.extendedKeyUsage) {
    if (!isOid(usage) && oidFromName(usage) === null) {
      complaints.push(error(`extendedKeyUsage "${usage}" is neither a known name nor an object identifier`))
    }
  }
  for (const policy of profile.certificatePolicies) {
    if (!isOid(policy)) complaints.push(error(`certificatePolicies "${policy}" is not an object identifier`))
  }
  if (profile.validityMs !== null && profile.validityMs < minValidityMs) {
    complaints.push(
      error(`validity ${formatDuration(profile.validityMs)} is below ${formatDuration(minValidityMs)}`),
    )
  }
  if (profile.subject.trim() === '' && profile.subjectAltNames.length === 0) {
    complaints.push(error('neither a subject nor a SubjectAltName: the certificate would name nobody'))
  }
  return complaints
}

/** The PAI that a Matter manufacturer still has to make is a warning, because the default profiles name one. */
function issuerExists({ profile, issuer }: ProfileSubject): Complaint[] {
  const isMatter = profile.purpose === 'matter-dac'
  if (issuer === null) {
    return isMatter
      ? [
          warning(
            `there is no PAI "${profile.issuer}" yet, so enrolment with this profile is refused: ` +
              'make one with `perennial ca create paa` and `perennial ca create pai --vendor-id …`',
          ),
        ]
      : [error(`issuer "${profile.issuer}" does not exist: create it, or name another one`)]
  }
  if (issuer.certificate === null) {
    return [error(`issuer "${profile.issuer}" was never completed: repeat its \`perennial ca create\``)]
  }
  // the platform must start: CRLs and OCSP answers are wanted now more than ever
  if (issuer.status === 'revoked') {
    return [
      warning(
        `issuer "${issuer.id}" is revoked, so enrolment with this profile is refused: make a successor with \`perennial ca create intermediate …\` and name it`,
      ),
    ]
  }
  if (issuer.status !== 'active')
    return [error(`issuer "${profile.issuer}" is ${issuer.status}: name another one`)]
  return []
}

function issuerFitsPurpose({ profile, issuer }: ProfileSubject): Complaint[] {
  if (issuer === null) return []
  const wanted = profile.purpose === 'matter-dac' ? 'pai' : 'intermediate'
  if (issuer.kind === wanted) return []
  if (
    profile.purpose === 'matter-dac' ||
    issuer.kind === 'external' ||
    issuer.kind === 'paa' ||
    issuer.kind === 'pai'
  ) {
    return [
      error(`issuer "${issuer.id}" is of kind ${issuer.kind}; this profile needs one of kind ${wanted}`),
    ]
  }
  return [warning(`issuer "${issuer.id}" is a root: device certificates belong under an intermediate`)]
}

function leafNeverOutlivesIssuer({ profile, issuer, now }: ProfileSubject): Complaint[] {
  if (issuer === null) return []
  if (profile.validityMs === null) {
    return issuer.notAfter >= noExpiry
      ? []
      : [error(`certificates without end need an issuer without end; ${endOf(issuer)}`)]
  }
  if (profile.validityMs > issuer.notAfter - issuer.notBefore) {
    return [
      error(
        `validity ${formatDuration(profile.validityMs)} is longer than the whole life of its issuer; ${endOf(issuer)}`,
      ),
    ]
  }
  if (now + profile.validityMs <= issuer.notAfter) return []
  if (profile.renewBeforeMs === null) {
    return [
      error(
        `a certificate issued now would outlive its issuer and is refused; ${endOf(issuer)}: make a new issuer`,
      ),
    ]
  }
  const isTooLate = issuer.notAfter - now <= profile.renewBeforeMs
  const effect = isTooLate ? 'enrolment is refused' : 'new certificates are cut short to end with it'
  return [
    (isTooLate ? error : warning)(
      `${endOf(issuer)}, so ${effect}: make a new issuer and move the profile to it`,
    ),
  ]
}

function issuerOutlivesRenewal({ profile, issuer }: ProfileSubject): Complaint[] {
  if (issuer === null || profile.validityMs === null || profile.renewBeforeMs === null) return []
  const needed = profile.validityMs + profile.renewBeforeMs
  const life = issuer.notAfter - issuer.notBefore
  if (life >= needed) return []
  return [
    error(
      `issuer "${issuer.id}" lives ${formatDuration(Math.floor(life / dayMs) * dayMs)}; it must live at least ` +
        `${formatDuration(needed)}: the longest certificate it signs and the renewal window`,
    ),
  ]
}

function windowLongerThanCheckIn({ profile, connectivity }: ProfileSubject): Complaint[] {
  if (connectivity === null) {
    return [
      error(`connectivity "${profile.connectivity}" is not defined: name one of the connectivity profiles`),
    ]
  }
  if (profile.renewBeforeMs === null || profile.renewBeforeMs >= connectivity.checkInMs) return []
  return [
    error(
      `the renewal window of ${formatDuration(profile.renewBeforeMs)} is shorter than the check-in interval of ` +
        `${formatDuration(connectivity.checkInMs)} (${profile.connectivity}): a healthy device can miss it`,
    ),
  ]
}

function windowShorterThanLife({ profile }: ProfileSubject): Complaint[] {
  if (profile.renewBeforeMs === null || profile.validityMs === null) return []
  const shortest = profile.validityMs - profile.jitterMs
  if (shortest > profile.renewBeforeMs) return []
  return [
    error(
      `validity less jitter is ${formatDuration(Math.max(0, shortest))} and the renewal window is ` +
        `${formatDuration(profile.renewBeforeMs)}: certificates would be due for renewal when they are new`,
    ),
  ]
}

function approvalFitsKeyGeneration({ profile }: ProfileSubject): Complaint[] {
  if (!profile.serverKeygen || profile.approval === 'automatic') return []
  return [
    error(
      'serverKeygen makes a new key at each request, so nothing is left to approve: switch one of them off',
    ),
  ]
}

function matterDacShape({ profile }: ProfileSubject): Complaint[] {
  if (profile.purpose !== 'matter-dac') return []
  const complaints: Complaint[] = []
  if (profile.keyAlgorithms.some((algorithm) => algorithm !== 'ec-p256')) {
    complaints.push(error('a Matter DAC has a P-256 key: keyAlgorithms must be ec-p256 alone'))
  }
  if (profile.keyUsage.length !== 1 || profile.keyUsage[0] !== 'digitalSignature') {
    complaints.push(error('a Matter DAC has keyUsage digitalSignature alone'))
  }
  if (!/matterVid=/i.test(profile.subject) || !/matterPid=/i.test(profile.subject)) {
    complaints.push(error('the subject of a Matter DAC has matterVid and matterPid'))
  }
  if (profile.renewBeforeMs !== null)
    complaints.push(error('Matter DACs are not renewed: renewBefore must be null'))
  return complaints
}

/** What ends within a month is not worth a CRL; Matter's verifiers ask the ledger. */
function revocationCanBeSeen({ profile }: ProfileSubject): Complaint[] {
  const { crl, validityMs, purpose } = profile
  if (crl || purpose === 'matter-dac' || (validityMs !== null && validityMs <= 31 * dayMs)) return []
  return [warning('crl is off: a verifier that reads CRLs is not told where to find what is revoked')]
}

/** What the method can keep, against what the profile promises. */
function revocationKnownInTime({ profile, connectivity, crl }: ProfileSubject): Complaint[] {
  const { revocationMethod: method, revocationKnownWithinMs: promisedMs, validityMs, purpose } = profile
  if (purpose === 'matter-dac') return []
  const complaints: Complaint[] = []
  if ((method === 'crl' || method === 'crl-ota') && !profile.crl && promisedMs !== null)
    complaints.push(error(`revocationMethod ${method} needs crl: true, or nobody is told where the CRL is`))
  if (promisedMs === null) return complaints
  const promised = formatDuration(promisedMs)
  const late = (what: string, ms: number | null) => {
    if (ms !== null && ms <= promisedMs) return
    const long = ms === null ? 'for ever' : `for ${formatDuration(ms)}`
    complaints.push(
      error(`a revocation must be known within ${promised} (revocationKnownWithin), but ${what} ${long}`),
    )
  }
  switch (method) {
    case 'short-lived':
      late('a certificate lives', validityMs)
      break
    case 'crl':
      late('a CRL stands until the next (crl.period)', crl.periodMs)
      break
    case 'crl-ota':
      late('a CRL stands until the next (crl.period)', crl.periodMs)
      late(`a healthy device stays silent (${profile.connectivity})`, connectivity?.checkInMs ?? 0)
      break
    case 'ocsp':
    case 'stapled':
      late('an OCSP answer is kept', ocspLifetimeMs)
      break
    default:
      return assertNever(method)
  }
  const keptMs = crl.lifetimeMs
  if ((method === 'crl' || method === 'crl-ota') && crl.periodMs <= promisedMs && keptMs > promisedMs) {
    complaints.push(
      warning(
        `a verifier may keep a CRL for ${formatDuration(keptMs)} (crl.lifetime): have it fetch each ${promised}, or it learns of a revocation later than within that time`,
      ),
    )
  }
  return complaints
}

function rootLifetime({ issuer }: IssuerSubject): Complaint[] {
  if (issuer.kind !== 'root' || issuer.notAfter - issuer.notBefore >= 20 * yearMs) return []
  return [
    warning(
      `root "${issuer.id}" lives less than 20 years: every device must learn its successor before it ends`,
    ),
  ]
}

function intermediateLifetime({ issuer }: IssuerSubject): Complaint[] {
  const life = issuer.notAfter - issuer.notBefore
  if (issuer.kind !== 'intermediate' || (life >= 5 * yearMs && life <= 10 * yearMs + leapDaysMs)) return []
  return [
    warning(
      `intermediate "${issuer.id}" lives ${formatDuration(Math.floor(life / dayMs) * dayMs)}: 5 to 10 years are usual`,
    ),
  ]
}

function issuerNeverOutlivesParent({ issuer, parent }: IssuerSubject): Complaint[] {
  if (parent === null || issuer.notAfter <= parent.notAfter) return []
  return [error(`issuer "${issuer.id}" outlives its own issuer "${parent.id}": ${endOf(parent)}`)]
}

function endOf(issuer: IssuerRecord): string {
  return `issuer "${issuer.id}" ends on ${iso(issuer.notAfter).slice(0, 10)}`
}

function error(message: string): Complaint {
  return { severity: 'error', message }
}

function warning(message: string): Complaint {
  return { severity: 'warning', message }
}
