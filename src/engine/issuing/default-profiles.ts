/** The profiles that a new installation has. Each may be changed or removed in perennial.yaml. */
import { dayMs, hourMs } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import { defaultThresholds, otherThresholds } from '../alerts/alert-settings.ts'
import type { Connectivity } from '../context.ts'
import { shippedLadders } from '../renewals/ladder.ts'
import type { ProfileInput } from './profile.ts'

/** The issuing CA that `init` makes; every default profile but `matter-dac` is signed by it. */
export const defaultIssuerId = 'issuing' as IssuerId
export const defaultRootId = 'root' as IssuerId
/** What `matter-dac` names. It is not made by `init`: a PAI belongs under the manufacturer's own PAA and vendor id. */
export const matterPaiId = 'matter-pai' as IssuerId

const yearMs = 365 * dayMs

/** How often a device of each kind can be expected to come by. A renewal window must be longer than this. */
export const defaultConnectivity: ReadonlyMap<string, Connectivity> = new Map([
  ['always-on', connectivity('always-on', dayMs)],
  ['daily', connectivity('daily', 2 * dayMs)],
  ['weekly', connectivity('weekly', 7 * dayMs)],
  ['deep-sleep-72h', connectivity('deep-sleep-72h', 3 * dayMs)],
  ['air-gapped', connectivity('air-gapped', 365 * dayMs)],
])

function connectivity(name: keyof typeof shippedLadders, checkInMs: number): Connectivity {
  return {
    checkInMs,
    ladder: shippedLadders[name],
    alertBeforeMs: defaultThresholds.get(name) ?? otherThresholds,
  }
}

export const defaultProfiles: readonly ProfileInput[] = [
  {
    name: 'consumer',
    description: 'Household devices behind a home router, sometimes unplugged for days',
    issuer: defaultIssuerId,
    validityMs: 2 * yearMs,
    renewBeforeMs: 30 * dayMs,
    jitterMs: 30 * dayMs,
    connectivity: 'weekly',
  },
  {
    name: 'industrial',
    description: 'Machines in plants: maintenance windows are rare, so the renewal window is long',
    issuer: defaultIssuerId,
    validityMs: 3 * yearMs,
    renewBeforeMs: 90 * dayMs,
    jitterMs: 30 * dayMs,
    connectivity: 'weekly',
  },
  {
    name: 'meter',
    description: 'Metering devices on narrow-band links that sleep for weeks',
    issuer: defaultIssuerId,
    validityMs: 3 * yearMs,
    renewBeforeMs: 180 * dayMs,
    jitterMs: 60 * dayMs,
    connectivity: 'deep-sleep-72h',
  },
  {
    name: 'gateway',
    description: 'Gateways and edge servers, always connected',
    issuer: defaultIssuerId,
    validityMs: yearMs,
    renewBeforeMs: 30 * dayMs,
    jitterMs: 14 * dayMs,
    connectivity: 'always-on',
  },
  {
    name: 'matter-dac',
    description: 'Matter device attestation certificate: 20 years, never renewed, signed by a PAI of its own',
    issuer: matterPaiId,
    // Matter core specification, chapter 6: both identifiers in the subject, P-256 only, at most 600 bytes, no SAN
    subject: 'CN={device.id},matterVid={matter.vid},matterPid={matter.pid}',
    subjectAltNames: [],
    keyAlgorithms: ['ec-p256'],
    extendedKeyUsage: [],
    validityMs: 20 * yearMs,
    renewBeforeMs: null,
    purpose: 'matter-dac',
    crl: false,
    connectivity: 'air-gapped',
  },
  {
    name: 'short-lived',
    description: 'Always-connected devices whose certificate lapses before a revocation would matter',
    issuer: defaultIssuerId,
    validityMs: 7 * dayMs,
    renewBeforeMs: 4 * dayMs,
    jitterMs: 12 * hourMs,
    revocationMethod: 'short-lived',
    crl: false,
    connectivity: 'always-on',
  },
]
