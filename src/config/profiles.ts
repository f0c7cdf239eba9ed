/** `profiles:` and `connectivity:`: the defaults, and entries of the user that extend or replace them. */
import { formatDuration } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { parseIssuerId } from '../base/id.ts'
import { otherThresholds } from '../engine/alerts/alert-settings.ts'
import { defaultConnectivity, defaultProfiles } from '../engine/issuing/default-profiles.ts'
import type { Connectivity } from '../engine/context.ts'
import {
  formatRung,
  ladderProblem,
  parseRung,
  shippedLadders,
  type Ladder,
} from '../engine/renewals/ladder.ts'
import {
  defineProfile,
  profileDefaults,
  revocationMethods,
  type Profile,
  type ProfileInput,
} from '../engine/issuing/profile.ts'
import { keyAlgorithms } from '../pki/key.ts'
import { checkLeadTimes } from './alerts.ts'
import { calendarEntry, escalationEntry, notifierEntry } from './alerts-section.ts'
import { checkMap, type CheckContext, type Problem } from './check.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { targetsOf, type Target } from './environment.ts'
import { choice, choices, duration, durationOrNone, flag, list, section, text, type Loaded } from './knob.ts'

export const profileEntry = section(
  'A certificate profile. Keys that are left out come from the profile it extends.',
  {
    extends: text({
      description: 'Profile whose values this one starts from: a default one or another of this file.',
      default: '',
    }),
    enabled: flag({ description: 'false: the profile is not offered and not checked.', default: true }),
    description: text({ description: 'What it is for.', maxLength: 200, default: '' }),
    issuer: text({
      description: 'Name of the issuer that signs (`perennial ca list`).',
      pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
      example: 'a name of 1 to 64 of a-z, 0-9 and -',
      default: 'issuing',
    }),
    subject: text({
      description:
        'Template of the subject (RFC 4514), from the device record: {device.id}, {organization}, …',
      maxLength: 400,
      default: profileDefaults.subject,
    }),
    subjectAltNames: list({
      description: 'Templates of the subject alternative names, each kind:value.',
      default: profileDefaults.subjectAltNames,
    }),
    keyAlgorithms: choices({
      description: 'Keys that a device may bring.',
      enum: keyAlgorithms,
      default: profileDefaults.keyAlgorithms,
    }),
    keyUsage: choices({
      description: 'Key usage (RFC 5280 §4.2.1.3). keyEncipherment is written only for RSA keys.',
      enum: ['digitalSignature', 'nonRepudiation', 'keyEncipherment', 'dataEncipherment', 'keyAgreement'],
      default: profileDefaults.keyUsage,
    }),
    extendedKeyUsage: list({
      description: 'Names like clientAuth, serverAuth, or dotted object identifiers. Empty: no extension.',
      default: profileDefaults.extendedKeyUsage,
    }),
    validity: durationOrNone({
      description: 'Longest life of a certificate; below an hour, renewal is a load and not a protection.',
      shortest: '1h',
      longest: '100y',
      default: '2y',
      none: 'unlimited',
    }),
    jitter: duration({
      description:
        'Up to this much, by device, is taken off the end, so that a production batch cannot lapse in one night.',
      shortest: '0',
      longest: '10y',
      default: '0',
    }),
    renewBefore: durationOrNone({
      description: 'The renewal window opens this long before the end.',
      shortest: '1m',
      longest: '10y',
      default: '30d',
      none: 'never',
    }),
    renewExpiredFor: duration({
      description:
        'An expired certificate may still renew for this long. 0: a device that slept too long is visited.',
      shortest: '0',
      longest: '10y',
      default: '0',
    }),
    reissueFor: duration({
      description:
        'When the issuer is revoked, its certificates may still be renewed over EST, and used for nothing else, for this long. 0: the device enrols again with a secret or its factory identity.',
      shortest: '0',
      longest: '365d',
      default: '0',
    }),
    retireAfter: duration({
      description:
        'A replaced certificate goes on working this long after the new one was first used: a device whose storage fails may fall back to it.',
      shortest: '0',
      longest: '365d',
      default: '7d',
    }),
    rekey: choice({
      description: 'Whether each renewal needs a new key.',
      enum: ['required', 'allowed'],
      default: profileDefaults.rekey,
    }),
    backdate: duration({
      description: 'notBefore lies this much in the past, for devices whose clock is behind.',
      shortest: '0',
      longest: '7d',
      default: '5m',
    }),
    approval: choice({
      description: 'manual: a person approves each certificate (`perennial device approve`).',
      enum: ['automatic', 'manual'],
      default: profileDefaults.approval,
    }),
    popLinking: choice({
      description: 'Proof-of-possession linking (RFC 7030 §3.5): verified when present, or required.',
      enum: ['verify', 'require'],
      default: profileDefaults.popLinking,
    }),
    serverKeygen: flag({
      description: 'The server may make the key of the device (RFC 7030 §4.4). For devices that cannot.',
      default: profileDefaults.serverKeygen,
    }),
    connectivity: text({
      description: 'Connectivity profile of its devices, unless the record of the device names one.',
      pattern: '^[a-z0-9][a-z0-9-]{0,63}$',
      example: 'a name of 1 to 64 of a-z, 0-9 and -',
      default: profileDefaults.connectivity,
    }),
    certificatePolicies: list({
      description: 'Object identifiers. Empty: no extension.',
      example: '1.3.6.1.4.1.32473.1',
      items: '^[0-2](\\.(0|[1-9][0-9]*))+$',
      default: profileDefaults.certificatePolicies,
    }),
    purpose: choice({
      description: 'matter-dac: the rules of Matter for device attestation certificates apply.',
      enum: ['device', 'matter-dac'],
      default: profileDefaults.purpose,
    }),
    revocationMethod: choice({
      description:
        'How those who are shown its certificates learn of a revocation: short-lived (they do not, the certificate ends soon), crl, ocsp, crl-ota (bundles when they check in), stapled (the device shows an answer).',
      enum: revocationMethods,
      default: profileDefaults.revocationMethod,
    }),
    revocationKnownWithin: durationOrNone({
      description:
        'By when they must know. `policy check` refuses what cannot hold: a CRL period, an OCSP answer, a check-in or a life that is longer.',
      shortest: '1m',
      longest: '10y',
      default: 'never',
      none: 'never',
    }),
    hold: flag({
      description:
        'Its certificates may be put on hold (certificateHold) and released. Off, because a verifier that has no new CRL goes on refusing, and one that has an old one goes on accepting.',
      default: profileDefaults.hold,
    }),
    crl: flag({
      description:
        'Write a CRL distribution point, about 70 bytes: where verifiers find what is revoked. Off where a certificate ends before a revocation would be seen.',
      default: profileDefaults.crl,
    }),
  },
)

export const connectivityEntry = section('How often devices of a kind are heard from.', {
  checkIn: duration({
    description: 'The longest a healthy device of this kind stays silent. Renewal windows must be longer.',
    shortest: '1m',
    longest: '2y',
    default: '1d',
  }),
  ladder: list({
    description:
      'How such a device is asked to renew, rung by rung: channel (mqtt, twin, ota, webhook, sms, field), wait= for an answer, repeats=, before= the end of the certificate. The last rung is field.',
    example: 'mqtt wait=72h repeats=5',
    default: shippedLadders['always-on'].map(formatRung),
  }),
  alertBefore: list({
    description:
      'Lead times of expiry alerts before the end of a certificate: notice, warning, critical. They fit how often such devices call in.',
    items: '^[1-9][0-9]*[mhdwy]$',
    example: '30d',
    default: otherThresholds.map(formatDuration),
  }),
})

/** As the configuration writes it. */
export function connectivityWritten({
  checkInMs,
  ladder,
  alertBeforeMs = otherThresholds,
}: Connectivity): Loaded<typeof connectivityEntry> {
  return { checkInMs, ladder: ladder.map(formatRung), alertBefore: alertBeforeMs.map(formatDuration) }
}

/** What variables may set: every key of the entries that there are, default or given. */
export function entryTargets(given: Readonly<Record<string, unknown>>): Target[] {
  const namesIn = (value: unknown) => (typeof value === 'object' && value !== null ? Object.keys(value) : [])
  const alerts = [
    ['notifiers', notifierEntry],
    ['calendars', calendarEntry],
    ['escalations', escalationEntry],
  ] as const
  const profiles = new Set([...defaultProfiles.map(({ name }) => name), ...namesIn(given['profiles'])])
  const connectivity = new Set([...defaultConnectivity.keys(), ...namesIn(given['connectivity'])])
  return [
    ...[...profiles].flatMap((name) => targetsOf(profileEntry, ['profiles', name])),
    ...[...connectivity].flatMap((name) => targetsOf(connectivityEntry, ['connectivity', name])),
    ...alerts.flatMap(([map, entry]) => namesIn(given[map]).flatMap((name) => targetsOf(entry, [map, name]))),
  ]
}

const namePattern = /^[a-z0-9][a-z0-9-]{0,63}$/

export function checkConnectivity(given: unknown, context: CheckContext): ReadonlyMap<string, Connectivity> {
  const merged = new Map(defaultConnectivity)
  for (const [name, entry] of checkMap(connectivityEntry, given, ['connectivity'], context)) {
    checkName('connectivity', name, context)
    const known = merged.get(name)
    const checkInMs = entry.checkInMs ?? known?.checkInMs
    const ladder = checkLadder(name, entry.ladder, context) ?? known?.ladder ?? shippedLadders['always-on']
    const leads = checkLeadTimes(name, entry.alertBefore, context) ?? known?.alertBeforeMs
    if (typeof checkInMs === 'number')
      merged.set(name, { checkInMs, ladder, ...(leads === undefined ? {} : { alertBeforeMs: leads }) })
    else addProblem(context, ['connectivity', name], `connectivity.${name} needs checkIn, such as 1d`)
  }
  return merged
}

/** @returns null when none was given, or when it is wrong */
function checkLadder(
  name: string,
  given: readonly string[] | undefined,
  context: CheckContext,
): Ladder | null {
  if (given === undefined) return null
  const path = ['connectivity', name, 'ladder']
  try {
    const ladder = given.map(parseRung)
    const problem = ladderProblem(ladder)
    if (problem === null) return ladder
    addProblem(context, path, `connectivity.${name}.ladder: ${problem}`)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    addProblem(context, path, `connectivity.${name}.ladder: ${error.message}`)
  }
  return null
}

export function checkProfiles(
  given: unknown,
  connectivity: ReadonlyMap<string, Connectivity>,
  context: CheckContext,
): ReadonlyMap<string, Profile> {
  const entries = checkMap(profileEntry, given, ['profiles'], context)
  const defaults = new Map(defaultProfiles.map((profile) => [profile.name, profile]))
  const inputs = new Map<string, ProfileInput>(defaults)
  for (const [name, entry] of entries) {
    checkName('profiles', name, context)
    checkReference(name, entry.connectivity, connectivity, context)
    const input = resolve(name, { entries, defaults, context, visiting: [] })
    if (input && input !== 'cycle' && entry.enabled !== false) inputs.set(name, input)
    else inputs.delete(name)
  }
  return new Map([...inputs].map(([name, input]) => [name, defineProfile(input)]))
}

interface Resolving {
  readonly entries: ReadonlyMap<string, Partial<Loaded<typeof profileEntry>>>
  readonly defaults: ReadonlyMap<string, ProfileInput>
  readonly context: CheckContext
  readonly visiting: readonly string[]
}

/** An entry named like a default one extends that one, unless it names another. */
function resolve(name: string, given: Resolving): ProfileInput | 'cycle' | null {
  const { entries, defaults, context, visiting } = given
  const path = ['profiles', name]
  if (visiting.includes(name)) {
    // told once, by the first of its names
    if (name === [...visiting].sort()[0] && name === visiting[0])
      addProblem(context, path, `profiles.${name} extends itself: ${[...visiting, name].join(' → ')}`)
    return 'cycle'
  }
  const entry = entries.get(name)
  if (!entry) return defaults.get(name) ?? null
  const { extends: parentName, enabled: _enabled, issuer: issuerName, ...values } = entry
  const issuer = issuerName === undefined ? null : parseIssuerId(issuerName)
  const parent =
    typeof parentName === 'string' && parentName !== name
      ? resolve(parentName, { ...given, visiting: [...visiting, name] })
      : (defaults.get(name) ?? null)
  if (parent === 'cycle') return parent
  if (typeof parentName === 'string' && !parent && !entries.has(parentName)) {
    const known = [...defaults.keys(), ...entries.keys()]
    addProblem(context, [...path, 'extends'], `unknown profile ${parentName}${didYouMean(parentName, known)}`)
    return null
  }
  const complete = { ...parent, ...values, ...(issuer === null ? {} : { issuer }), name }
  if (isComplete(complete)) return complete
  const missing = ['issuer', 'validityMs', 'renewBeforeMs'].filter((key) => !(key in complete))
  const keys = missing.map((key) => key.replace(/Ms$/, '')).join(', ')
  addProblem(context, path, `profiles.${name} needs ${keys}, or extends: with the name of another profile`)
  return null
}

function isComplete(values: Partial<ProfileInput> & { name: string }): values is ProfileInput {
  return 'issuer' in values && 'validityMs' in values && 'renewBeforeMs' in values
}

function checkReference(
  name: string,
  wanted: string | undefined,
  known: ReadonlyMap<string, Connectivity>,
  context: CheckContext,
): void {
  if (wanted === undefined || known.has(wanted)) return
  const message = `unknown connectivity profile ${wanted}${didYouMean(wanted, known.keys())}`
  addProblem(context, ['profiles', name, 'connectivity'], message)
}

function checkName(map: string, name: string, context: CheckContext): void {
  if (namePattern.test(name)) return
  const rule = 'a name has 1 to 64 of a-z, 0-9 and -'
  addProblem(context, [map, name], `${map}.${name}: ${rule}`)
}

function addProblem(context: CheckContext, path: readonly string[], message: string): void {
  const problem: Problem = { where: context.where(path), message }
  context.problems.push(problem)
}
