import assert from 'node:assert/strict'
import { test } from 'node:test'
import { makeCertificate, san } from '../../../test/helpers/certificates.ts'
import { refuses } from '../../../test/helpers/refuses.ts'
import { deviceIdOf, parseDeviceIdRule } from './device-id-rule.ts'

const maker = makeCertificate({ subject: 'CN=Maker' })

function idOf(rule: string, subject: string, ...names: string[]): string {
  const { certificate } = makeCertificate({
    issuer: maker,
    subject,
    extensions: names.length > 0 ? [san(...names)] : [],
  })
  return deviceIdOf(parseDeviceIdRule(rule), certificate)
}

test('a rule finds the device id in subject or alternative name', () => {
  assert.equal(idOf('subject.serialNumber', 'CN=x,serialNumber=SN-1'), 'SN-1')
  assert.equal(idOf('subject.CN', 'CN=SN-1,O=Maker'), 'SN-1')
  assert.equal(idOf('subject.serialNumber:PID:C9 SN:*', 'serialNumber=PID:C9 SN:FDO123'), 'FDO123')
  assert.equal(idOf('san.uri:urn:acme:dev:*', 'CN=x', 'uri:urn:acme:dev:SN-1', 'uri:urn:other:1'), 'SN-1')
  assert.equal(idOf('san.dns:*.acme.example', 'CN=x', 'dns:sn-1.acme.example'), 'sn-1')
  assert.equal(idOf('san.hardwareModuleName', 'CN=x', 'hw:1.2.3.4:534e31'), 'SN1')
  assert.equal(idOf('san.hardwareModuleName.hex', 'CN=x', 'hw:1.2.3.4:0a0b'), '0a0b')
})

test('refuses a certificate in which the rule finds nothing, or two things', () => {
  const untrusted = 'certificate-untrusted'
  refuses(untrusted, () => idOf('subject.serialNumber', 'CN=SN-1'), /no value/)
  refuses(untrusted, () => idOf('subject.CN', 'CN=SN-1,OU=x,CN=SN-2'), /2 values/)
  refuses(untrusted, () => idOf('san.uri:urn:a:*', 'CN=x', 'uri:urn:a:1', 'uri:urn:a:2'), /2 values/)
  refuses(untrusted, () => idOf('san.uri:urn:a:*', 'CN=x', 'uri:urn:a:'), /no value/)
  refuses(untrusted, () => idOf('san.hardwareModuleName', 'CN=x'), /no value/)
})

test('refuses what cannot be a device id, and never shows it', () => {
  refuses('certificate-untrusted', () => idOf('subject.CN', 'CN=a b'), /is no device id/)
  refuses(
    'certificate-untrusted',
    () => idOf('san.hardwareModuleName', 'CN=x', 'hw:1.2.3.4:00ff'),
    /is no device id/,
  )
})

test('refuses rules that it does not know, and patterns without exactly one star', () => {
  for (const rule of [
    '',
    'subject',
    'subject.O',
    'san.uri',
    'san.dns',
    'san.uri:urn:a',
    'san.uri:*:*',
    'SUBJECT.CN',
  ]) {
    refuses('invalid-input', () => parseDeviceIdRule(rule))
  }
})
