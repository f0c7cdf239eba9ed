/** Grants as people write them, and when one covers another. */
import { didYouMean } from '../../base/did-you-mean.ts'
import { Refusal } from '../../base/errors.ts'
import { permissionsOf, roles, type Grant, type Role } from './permissions.ts'

const part = /^(cohort|site):([^\s,]{1,128})$/

/** `officer`, `operator@site:kl`, `viewer@cohort:pilot`. @throws Refusal `invalid-input` */
export function parseGrant(text: string): Grant {
  const at = text.indexOf('@')
  const name = at < 0 ? text : text.slice(0, at)
  const role = roles.find((each) => each === name)
  if (role === undefined) {
    const known = didYouMean(name, roles) || `; they are ${roles.join(', ')}`
    throw new Refusal('invalid-input', `there is no role ${JSON.stringify(name)}${known}`)
  }
  if (at < 0) return { role, cohort: null, site: null }
  const [, kind, value] = part.exec(text.slice(at + 1)) ?? []
  if (value === undefined) {
    throw new Refusal('invalid-input', `${JSON.stringify(text)}: after the @ comes cohort:NAME or site:NAME`)
  }
  return { role, cohort: kind === 'cohort' ? value : null, site: kind === 'site' ? value : null }
}

export function formatGrant({ role, cohort, site }: Grant): string {
  if (cohort !== null) return `${role}@cohort:${cohort}`
  return site === null ? role : `${role}@site:${site}`
}

/** @throws Refusal `invalid-input` for none, too many, or an auditor who could also write */
export function checkGrants(grants: readonly Grant[]): readonly Grant[] {
  if (grants.length === 0) throw new Refusal('invalid-input', 'an account has at least one role')
  if (grants.length > 32) throw new Refusal('invalid-input', 'an account has at most 32 roles')
  const given = new Set(grants.map(({ role }) => role))
  const writing = [...given].find((role) => role !== 'auditor' && role !== 'viewer')
  if (given.has('auditor') && writing !== undefined) {
    throw new Refusal('invalid-input', `an auditor writes nothing: the account cannot also be ${writing}`)
  }
  return grants
}

export function readGrants(text: string): readonly Grant[] {
  return JSON.parse(text) as readonly Grant[]
}

/** What of `wanted` the `given` ones still carry: an API token has no more than its owner has now. */
export function coveredGrants(wanted: readonly Grant[], given: readonly Grant[]): readonly Grant[] {
  return wanted.filter((grant) => given.some((each) => covers(each, grant)))
}

function covers(given: Grant, wanted: Grant): boolean {
  if (!isRoleWithin(wanted.role, given.role)) return false
  const isWhole = given.cohort === null && given.site === null
  return isWhole || (given.cohort === wanted.cohort && given.site === wanted.site)
}

function isRoleWithin(wanted: Role, given: Role): boolean {
  return [...permissionsOf[wanted]].every((permission) => permissionsOf[given].has(permission))
}
