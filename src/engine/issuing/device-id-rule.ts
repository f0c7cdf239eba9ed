/**
 * How a factory certificate (IEEE 802.1AR IDevID) names its device: one rule per trust anchor, such as
 * `subject.serialNumber`, `subject.CN`, `san.hardwareModuleName` or `san.uri:urn:acme:*`.
 *
 * A rule is a source, and for those that need it a pattern after a colon in which one `*` stands for the device id. It
 * must find exactly one value: a certificate that could name two devices names none.
 */
import { toHex } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { parseDeviceId, type DeviceId } from '../../base/id.ts'
import { printable } from '../../base/text.ts'
import type { Certificate } from '../../pki/certificate.ts'
import { oids } from '../../pki/oid.ts'

export interface DeviceIdRule {
  readonly text: string
  readonly source: Source
  readonly before: string
  readonly after: string
}

/**
 * - `subject.serialNumber`, `subject.CN`: the only attribute of that type in the subject
 * - `san.uri:…*…`, `san.dns:…*…`: the only such name that fits the pattern
 * - `san.hardwareModuleName`: hwSerialNum as ASCII text; `san.hardwareModuleName.hex`: its octets in lower-case hex
 * @throws Refusal `invalid-input` naming what is allowed
 */
export function parseDeviceIdRule(text: string): DeviceIdRule {
  const colon = text.indexOf(':')
  const name = colon < 0 ? text : text.slice(0, colon)
  const pattern = colon < 0 ? null : text.slice(colon + 1)
  const source = sources.find((candidate) => candidate === name)
  if (source === undefined) {
    throw new Refusal(
      'invalid-input',
      `"${printable(text)}" is no device id rule: use one of ${sources.join(', ')}`,
    )
  }
  if (pattern === null) {
    if (source === 'san.uri' || source === 'san.dns') {
      throw new Refusal('invalid-input', `${source} needs a pattern with one *: ${source}:urn:acme:device:*`)
    }
    return { text, source, before: '', after: '' }
  }
  const [before, after, ...more] = pattern.split('*')
  if (before === undefined || after === undefined || more.length > 0) {
    throw new Refusal(
      'invalid-input',
      `"${printable(text)}": the pattern must have exactly one *, where the device id stands`,
    )
  }
  return { text, source, before, after }
}

/** @throws Refusal `certificate-untrusted` when the certificate names no device, more than one, or one that cannot be an id */
export function deviceIdOf(rule: DeviceIdRule, certificate: Certificate): DeviceId {
  const values = valuesOf(rule.source, certificate).flatMap((value) => {
    const { before, after } = rule
    const fits =
      value.length > before.length + after.length && value.startsWith(before) && value.endsWith(after)
    return fits ? [value.slice(before.length, value.length - after.length)] : []
  })
  const [only, ...others] = values
  if (only === undefined || others.length > 0) {
    const found = only === undefined ? 'no value' : `${values.length} values`
    throw new Refusal(
      'certificate-untrusted',
      `the rule ${rule.text} of its trust anchor finds ${found} in the factory certificate; exactly one is needed`,
    )
  }
  const id = parseDeviceId(only)
  if (id === null) {
    throw new Refusal(
      'certificate-untrusted',
      `what the rule ${rule.text} finds in the factory certificate is no device id`,
    )
  }
  return id
}

const sources = [
  'subject.serialNumber',
  'subject.CN',
  'san.uri',
  'san.dns',
  'san.hardwareModuleName',
  'san.hardwareModuleName.hex',
] as const

type Source = (typeof sources)[number]

function valuesOf(source: Source, { subject, extensions }: Certificate): string[] {
  const names = extensions.subjectAltName ?? []
  switch (source) {
    case 'subject.serialNumber':
      return attributes(subject, oids.serialNumber)
    case 'subject.CN':
      return attributes(subject, oids.commonName)
    case 'san.uri':
      return names.flatMap((name) => (name.kind === 'uri' ? [name.value] : []))
    case 'san.dns':
      return names.flatMap((name) => (name.kind === 'dns' ? [name.value] : []))
    case 'san.hardwareModuleName':
      // bytes outside ASCII become characters that no device id may have
      return names.flatMap((name) =>
        name.kind === 'hardwareModuleName' ? [Buffer.from(name.hwSerialNumber).toString('latin1')] : [],
      )
    case 'san.hardwareModuleName.hex':
      return names.flatMap((name) => (name.kind === 'hardwareModuleName' ? [toHex(name.hwSerialNumber)] : []))
  }
}

function attributes(subject: Certificate['subject'], type: string): string[] {
  return subject.flat().flatMap((attribute) => (attribute.type === type ? [attribute.value] : []))
}
