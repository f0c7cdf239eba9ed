/** What a new issuer will look like, and whether that is allowed: before any key is made. */
import { dayMs, minuteMs, secondMs, type Instant } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { IssuerId } from '../../base/id.ts'
import { noExpiry } from '../../pki/certificate.ts'
import type { KeyAlgorithm } from '../../pki/key.ts'
import type { Name } from '../../pki/name.ts'
import { parseNameText } from '../../pki/name-text.ts'
import { oids } from '../../pki/oid.ts'
import type { IssuerRecord } from '../../store/issuers.ts'
import type { Engine } from '../context.ts'
import type { IssuerMaterial } from './issuer-cache.ts'

export type IssuerKind = Exclude<IssuerRecord['kind'], 'external'>

export interface NewIssuer {
  readonly id: IssuerId
  readonly kind: IssuerKind
  /** RFC 4514. Default: a common name made of kind and id, and the organization. */
  readonly subject?: string
  readonly keyAlgorithm?: KeyAlgorithm
  /** Null = 99991231235959Z. Default: root 25 years, intermediate 10 years, PAA and PAI without end. */
  readonly validityMs?: number | null
  /** Who signs it; null for `root` and `paa`, which sign themselves. */
  readonly parentId: IssuerId | null
  /** Kind of authority that will hold its key. */
  readonly authority?: string
  /** How many CRLs its certificates are spread over; fixed for its life. */
  readonly crlShards?: number
  readonly actor: string
}

const yearMs = 365 * dayMs
const backdateMs = 5 * minuteMs

interface KindRules {
  readonly parents: readonly IssuerRecord['kind'][]
  readonly pathLength: number | null
  readonly validityMs: number | null
  readonly title: string
}

/** Matter core specification §6.2.2: a PAA has path length 1, a PAI 0. */
export const issuerKinds: Readonly<Record<IssuerKind, KindRules>> = {
  root: { parents: [], pathLength: null, validityMs: 25 * yearMs, title: 'Root CA' },
  intermediate: { parents: ['root'], pathLength: 0, validityMs: 10 * yearMs, title: 'Issuing CA' },
  paa: { parents: [], pathLength: 1, validityMs: null, title: 'Matter PAA' },
  pai: { parents: ['paa'], pathLength: 0, validityMs: null, title: 'Matter PAI' },
}

export interface IssuerPlan {
  readonly subject: Name
  readonly keyAlgorithm: KeyAlgorithm
  readonly authority: string
  readonly notBefore: Instant
  readonly notAfter: Instant
  readonly crlShards: number
}

export async function requireParent(
  engine: Engine,
  { kind, parentId, id }: NewIssuer,
  now: Instant,
): Promise<IssuerMaterial | null> {
  const { parents } = issuerKinds[kind]
  if (parents.length === 0) {
    if (parentId === null) return null
    throw new Refusal('invalid-input', `a ${kind} signs itself: leave the parent of ${id} out`)
  }
  if (parentId === null)
    throw new Refusal('invalid-input', `${id} needs a parent of kind ${parents.join(' or ')}`)
  if (!(await engine.issuers.find(parentId))) throw new Refusal('not-found', `there is no issuer ${parentId}`)
  const parent = await engine.issuers.active(parentId, now)
  if (parents.includes(parent.record.kind)) return parent
  throw new Refusal(
    'invalid-input',
    `the parent of ${id} must be of kind ${parents.join(' or ')}, and ${parentId} is of kind ${parent.record.kind}`,
  )
}

export function planIssuer(
  engine: Engine,
  input: NewIssuer,
  parent: IssuerMaterial | null,
  now: Instant,
): IssuerPlan {
  const { id, kind } = input
  const rules = issuerKinds[kind]
  const isMatter = kind === 'paa' || kind === 'pai'
  const keyAlgorithm = input.keyAlgorithm ?? 'ec-p256'
  if (isMatter && keyAlgorithm !== 'ec-p256') {
    throw new Refusal(
      'invalid-input',
      `Matter knows P-256 only: ${id} cannot have a key of kind ${keyAlgorithm}`,
    )
  }
  const subject =
    input.subject === undefined ? defaultSubject(engine, id, rules) : parseNameText(input.subject)
  if (subject.length === 0)
    throw new Refusal('invalid-input', `the subject of ${id} is empty (RFC 5280 §4.1.2.6)`)
  if (isMatter) requireMatterSubject(kind, subject, parent?.certificate.subject ?? null)
  const crlShards = input.crlShards ?? 1
  if (!Number.isInteger(crlShards) || crlShards < 1 || crlShards > 4096) {
    throw new Refusal('invalid-input', 'an issuer has 1 to 4096 CRL shards')
  }
  const start = Math.floor(now / secondMs) * secondMs
  const validityMs = input.validityMs === undefined ? rules.validityMs : input.validityMs
  const notAfter = validityMs === null ? noExpiry : start + Math.floor(validityMs / secondMs) * secondMs
  if (notAfter <= now) throw new Refusal('invalid-input', `the validity of ${id} is not positive`)
  if (parent && notAfter > parent.record.notAfter) {
    throw new Refusal(
      'invalid-input',
      `${id} would outlive its parent ${parent.record.id}: give it a shorter validity`,
    )
  }
  return {
    subject,
    keyAlgorithm,
    authority: input.authority ?? 'software',
    notBefore: Math.max(start - backdateMs, parent?.record.notBefore ?? 0),
    notAfter,
    crlShards,
  }
}

function defaultSubject({ settings }: Engine, id: IssuerId, { title }: KindRules): Name {
  const isDefault = id === 'root' || id === 'issuing'
  return [
    [{ type: oids.organizationName, value: settings.organization }],
    [{ type: oids.commonName, value: isDefault ? title : `${title} ${id}` }],
  ]
}

/** Matter core specification §6.2.2.3, §6.2.2.4: a vendor id in each PAI, never a product id in a PAA. */
function requireMatterSubject(kind: IssuerKind, subject: Name, parent: Name | null): void {
  const vid = attribute(subject, oids.matterVid)
  const pid = attribute(subject, oids.matterPid)
  for (const value of [vid, pid]) {
    if (value !== null && !/^[0-9A-F]{4}$/.test(value)) {
      throw new Refusal(
        'invalid-input',
        `Matter vendor and product ids are 4 upper-case hex digits, not "${value}"`,
      )
    }
  }
  if (kind === 'paa' && pid !== null) throw new Refusal('invalid-input', 'a PAA has no product id')
  if (kind !== 'pai') return
  if (vid === null) {
    throw new Refusal(
      'invalid-input',
      'a PAI has a vendor id: give it a subject such as "CN=ACME PAI,matterVid=FFF1"',
    )
  }
  const parentVid = parent && attribute(parent, oids.matterVid)
  if (parentVid !== null && parentVid !== vid) {
    throw new Refusal('invalid-input', `the vendor id of a PAI is that of its PAA, ${parentVid}`)
  }
}

function attribute(name: Name, type: string): string | null {
  return name.flat().find((one) => one.type === type)?.value ?? null
}
