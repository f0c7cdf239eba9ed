/**
 * Who may do what: five roles, and what each of them is allowed. Default deny: a permission that a role does not name it
 * does not have. docs/operators.md has the same table in words.
 */
import type { DeviceScope } from '../../store/device-scope.ts'

export { isInScope, type DeviceScope } from '../../store/device-scope.ts'

/** Reads end in `:read` and change nothing; an auditor has no other. `self` is what everybody may do with his own account. */
export const permissions = [
  'self',
  'inventory:read',
  'inventory:write',
  'devices:enrol',
  'devices:state',
  'certificates:revoke',
  'renewals:write',
  'campaigns:write',
  'field:write',
  'cases:write',
  'alerts:read',
  'alerts:write',
  'alerts:configure',
  'issuers:write',
  'trust:write',
  'profiles:write',
  'proposals:read',
  'proposals:write',
  'proposals:approve',
  'audit:read',
  'events:read',
  'jobs:read',
  'webhooks:read',
  'webhooks:write',
  'operators:read',
  'operators:write',
] as const

export type Permission = (typeof permissions)[number]

export const roles = ['viewer', 'operator', 'officer', 'auditor', 'administrator'] as const
export type Role = (typeof roles)[number]

const viewer: readonly Permission[] = [
  'self',
  'inventory:read',
  'alerts:read',
  'proposals:read',
  'events:read',
  'jobs:read',
]

const operator: readonly Permission[] = [
  ...viewer,
  'inventory:write',
  'devices:enrol',
  'renewals:write',
  'campaigns:write',
  'field:write',
  'cases:write',
  'alerts:write',
]

export const permissionsOf: Readonly<Record<Role, ReadonlySet<Permission>>> = {
  /** Looks. */
  viewer: new Set(viewer),
  /** Runs the fleet from day to day. */
  operator: new Set(operator),
  /** Answers for the PKI: revokes, changes issuers, trust and policy, approves what others ask for. */
  officer: new Set([
    ...operator,
    'devices:state',
    'certificates:revoke',
    'issuers:write',
    'trust:write',
    'profiles:write',
    'proposals:write',
    'proposals:approve',
    'audit:read',
  ]),
  /** Reads everything, writes nothing. */
  auditor: new Set([...viewer, 'audit:read', 'webhooks:read', 'operators:read']),
  /** Runs the platform: accounts, notifications. Not the PKI. */
  administrator: new Set([
    ...viewer,
    'alerts:write',
    'alerts:configure',
    'audit:read',
    'webhooks:read',
    'webhooks:write',
    'operators:read',
    'operators:write',
  ]),
}

/** A role, for the whole fleet or for one cohort or site of it. */
export interface Grant {
  readonly role: Role
  readonly cohort: string | null
  readonly site: string | null
}

export type Access = { readonly isAllowed: false } | { readonly isAllowed: true; readonly scope: DeviceScope }

/** What the grants allow: the union of the parts of the fleet for which one of them has the permission. */
export function accessOf(grants: readonly Grant[], permission: Permission): Access {
  const given = grants.filter(({ role }) => permissionsOf[role].has(permission))
  if (given.length === 0) return { isAllowed: false }
  if (given.some(({ cohort, site }) => cohort === null && site === null)) {
    return { isAllowed: true, scope: null }
  }
  return {
    isAllowed: true,
    scope: {
      cohorts: given.flatMap(({ cohort }) => cohort ?? []),
      sites: given.flatMap(({ site }) => site ?? []),
    },
  }
}
