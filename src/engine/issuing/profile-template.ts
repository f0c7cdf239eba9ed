/**
 * Subjects and alternative names are templates with variables in braces. A variable stands inside the value of an
 * attribute or of a general name and can never add an attribute, a name or a separator.
 *
 * `{organization}`, `{device.id}`, `{device.idHex}` (hex of its ASCII bytes, for `hw:`), `{device.profile}`,
 * `{device.cohort}`, `{device.batch}`, `{device.site}`, `{device.hardware}`, `{device.tags.NAME}`,
 * `{matter.vid}` and `{matter.pid}` (tags matterVid and matterPid, else the PAI's own).
 */
import { Refusal } from '../../base/errors.ts'
import { toHex } from '../../base/bytes.ts'
import type { GeneralName } from '../../pki/general-name.ts'
import { parseGeneralNameText } from '../../pki/general-name-text.ts'
import type { Name } from '../../pki/name.ts'
import { parseNameText } from '../../pki/name-text.ts'
import { oids } from '../../pki/oid.ts'
import type { DeviceRecord } from '../../store/devices.ts'
import type { Profile } from './profile.ts'

export interface TemplateValues {
  readonly organization: string
  readonly device: DeviceRecord
  /** Subject of the issuer. */
  readonly issuer: Name
}

/** @throws Refusal `profile-not-allowed` when the record lacks what the template needs; `hostile-name` as in pki/name.ts */
export function renderSubject(profile: Profile, values: TemplateValues): Name {
  const parts = subjectParts(profile.subject)
  if (parts === null) return parseNameText(render(profile.subject, profile, values, escaped))
  return parts.map((rdn) =>
    rdn.map(({ type, template }) => ({ type, value: render(template, profile, values, asItIs) })),
  )
}

/** @throws Refusal like `renderSubject`, and `malformed` when a value does not fit the kind of name */
export function renderSubjectAltNames(profile: Profile, values: TemplateValues): GeneralName[] {
  return profile.subjectAltNames.map((template) => {
    const colon = template.indexOf(':')
    const kind = template.slice(0, colon)
    const value = render(template.slice(colon + 1), profile, values, asItIs)
    return parseGeneralNameText(`${kind}:${value}`)
  })
}

/** What is wrong with the profile's templates, in words; empty when nothing is. */
export function templateProblems(profile: Profile): string[] {
  const problems: string[] = []
  try {
    parseNameText(profile.subject.replaceAll(variablePattern, sample))
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    problems.push(`subject "${profile.subject}": ${error.message}`)
  }
  for (const template of [profile.subject, ...profile.subjectAltNames]) {
    const stray = template.replaceAll(variablePattern, (_whole, name: string) => {
      if (!isVariable(name)) problems.push(`"${template}" has the unknown variable {${name}}`)
      return ''
    })
    if (/[{}]/.test(stray)) problems.push(`"${template}" has a brace that belongs to no variable`)
  }
  for (const template of profile.subjectAltNames) {
    if (!/^(dns|uri|ip|email|hw|rid|other|dir):[^{]|^(dns|uri|ip|email):\{/.test(template)) {
      problems.push(`"${template}" must begin with dns:, uri:, ip:, email:, dir:, rid:, hw: or other:`)
    }
    if (template.startsWith('dir:') && template.includes('{')) {
      problems.push(`"${template}": a directory name takes no variables`)
    }
  }
  return problems
}

/** Long enough for a country, short enough for a Matter vendor id, and allowed in every string type. */
const sample = 'AB'

const variablePattern = /\{([^{}]*)\}/g

const fixedVariables: Readonly<Record<string, (values: TemplateValues) => string | null>> = {
  organization: ({ organization }) => organization,
  'device.id': ({ device }) => device.id,
  'device.idHex': ({ device }) => toHex(Buffer.from(device.id, 'ascii')),
  'device.profile': ({ device }) => device.profile,
  'device.cohort': ({ device }) => device.cohort,
  'device.batch': ({ device }) => device.batch,
  'device.site': ({ device }) => device.site,
  'device.hardware': ({ device }) => device.hardware,
  'matter.vid': ({ device, issuer }) => device.tags['matterVid'] ?? attribute(issuer, oids.matterVid),
  'matter.pid': ({ device, issuer }) => device.tags['matterPid'] ?? attribute(issuer, oids.matterPid),
}

const tagVariable = /^device\.tags\.([A-Za-z0-9_-]+)$/

function isVariable(name: string): boolean {
  return Object.hasOwn(fixedVariables, name) || tagVariable.test(name)
}

function valueOf(name: string, values: TemplateValues): string | null {
  const tag = tagVariable.exec(name)?.[1]
  if (tag !== undefined) {
    return Object.hasOwn(values.device.tags, tag) ? (values.device.tags[tag] ?? null) : null
  }
  return fixedVariables[name]?.(values) ?? null
}

function render(
  template: string,
  profile: Profile,
  values: TemplateValues,
  write: (value: string) => string,
): string {
  return template.replaceAll(variablePattern, (_whole, name: string) => {
    const value = valueOf(name, values)
    if (value === null || value === '') {
      throw new Refusal(
        'profile-not-allowed',
        `profile ${profile.name} needs ${needOf(name)}, which device ${values.device.id} does not have: set it in the inventory`,
      )
    }
    return write(value)
  })
}

const asItIs = (value: string): string => value

function needOf(name: string): string {
  if (name === 'matter.vid') return 'the tag matterVid'
  if (name === 'matter.pid') return 'the tag matterPid'
  return name
}

function attribute(name: Name, type: string): string | null {
  return name.flat().find((one) => one.type === type)?.value ?? null
}

type SubjectParts = readonly (readonly { readonly type: string; readonly template: string }[])[]

const partsByTemplate = new Map<string, SubjectParts | null>()

/**
 * The template taken apart once, most general RDN first, so that a value cannot add an attribute. Null for a template
 * that uses RFC 4514's escapes, quotes or hex: those are filled in first, with escaped values, and parsed each time.
 */
function subjectParts(template: string): SubjectParts | null {
  const known = partsByTemplate.get(template)
  if (known !== undefined) return known
  const parts = /[\\"#<>;]/.test(template) || template.trim() === '' ? null : takeApart(template)
  partsByTemplate.set(template, parts)
  return parts
}

function takeApart(template: string): SubjectParts {
  return template
    .split(',')
    .map((rdn) => rdn.split('+').map(takeAttributeApart))
    .toReversed()
}

function takeAttributeApart(text: string): SubjectParts[number][number] {
  const equals = text.indexOf('=')
  const [[sampleAttribute] = []] = parseNameText(`${text.slice(0, equals)}=${sample}`)
  if (sampleAttribute === undefined) throw new Refusal('configuration-invalid', `"${text}" is no attribute`)
  return { type: sampleAttribute.type, template: text.slice(equals + 1).trim() }
}

/** Any text as an RFC 4514 value: every octet that is not a letter or a digit is written in hex. */
function escaped(value: string): string {
  return value.replaceAll(/[^A-Za-z0-9]/gu, (character) =>
    toHex(Buffer.from(character, 'utf8')).replaceAll(/../g, String.raw`\$&`),
  )
}
