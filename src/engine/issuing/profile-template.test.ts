import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Refusal } from '../../base/errors.ts'
import type { DeviceId, IssuerId } from '../../base/id.ts'
import { formatGeneralName } from '../../pki/general-name-text.ts'
import { encodeName } from '../../pki/name.ts'
import { formatName, parseNameText } from '../../pki/name-text.ts'
import type { DeviceRecord } from '../../store/devices.ts'
import { refuses } from '../../../test/helpers/refuses.ts'
import { defineProfile, type ProfileInput } from './profile.ts'
import { renderSubject, renderSubjectAltNames, templateProblems } from './profile-template.ts'

const device: DeviceRecord = {
  id: 'SN-0001' as DeviceId,
  profile: 'industrial',
  cohort: 'north',
  batch: null,
  site: 'Plant 7',
  connectivity: 'always-on',
  state: 'registered',
  tags: { mac: '00:11', matterVid: 'FFF1' },
  hardware: null,
  firmware: null,
  lastRenewalAt: null,
  createdAt: 0,
}
const issuer = parseNameText('CN=PAI,matterVid=FFF2,matterPid=8001')
const values = { organization: 'Müller, Söhne & Co. "GmbH"', device, issuer }

function profile(input: Partial<ProfileInput>) {
  return defineProfile({
    name: 'p',
    issuer: 'issuing' as IssuerId,
    validityMs: 1,
    renewBeforeMs: 0,
    ...input,
  })
}

test('a subject is made of the record and the organization, whatever characters these have', () => {
  const subject = renderSubject(profile({ subject: 'CN={device.id}-{device.site},O={organization}' }), values)
  assert.deepEqual(subject, [
    [{ type: '2.5.4.10', value: 'Müller, Söhne & Co. "GmbH"' }],
    [{ type: '2.5.4.3', value: 'SN-0001-Plant 7' }],
  ])
})

for (const subject of ['CN={device.tags.x},O=a', String.raw`CN={device.tags.x},O=\61`]) {
  test(`a value can never add an attribute to ${subject}, whatever is in it`, () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 20, unit: 'grapheme' }), (text) => {
        const named = { ...values, device: { ...device, tags: { x: text } } }
        let name
        try {
          name = renderSubject(profile({ subject }), named)
          encodeName(name)
        } catch (error) {
          assert.ok(error instanceof Refusal && error.code === 'hostile-name', String(error))
          return
        }
        assert.deepEqual(name, [[{ type: '2.5.4.10', value: 'a' }], [{ type: '2.5.4.3', value: text }]])
      }),
    )
  })
}

test('a template is read as RFC 4514 reads it: spaces around separators, several attributes in one RDN', () => {
  const subject = renderSubject(
    profile({ subject: ' CN = {device.id} + serialNumber={device.id} , O= a b ' }),
    values,
  )
  assert.deepEqual(subject, parseNameText('CN=SN-0001+serialNumber=SN-0001,O=a b'))
})

test('alternative names are rendered by kind', () => {
  const names = renderSubjectAltNames(
    profile({
      subjectAltNames: [
        'uri:urn:acme:{device.id}',
        'dns:{device.cohort}.example',
        'hw:1.2.3.4:{device.idHex}',
      ],
    }),
    values,
  )
  assert.deepEqual(names.map(formatGeneralName), [
    'uri:urn:acme:SN-0001',
    'dns:north.example',
    'hw:1.2.3.4:534e2d30303031',
  ])
})

test('refuses a record that lacks what the template needs, and says what', () => {
  refuses(
    'profile-not-allowed',
    () => renderSubject(profile({ subject: 'CN={device.batch}' }), values),
    /device\.batch/,
  )
  refuses(
    'profile-not-allowed',
    () => renderSubject(profile({ subject: 'CN={device.tags.toString}' }), values),
    /tags/,
  )
})

test("Matter's identifiers come from the device's tags, else from the PAI", () => {
  const subject = renderSubject(
    profile({ subject: 'CN=x,matterVid={matter.vid},matterPid={matter.pid}' }),
    values,
  )
  assert.equal(formatName(subject), 'CN=x,matterVid=FFF1,matterPid=8001')
})

test('templates are checked before any device asks', () => {
  assert.deepEqual(templateProblems(profile({})), [])
  assert.deepEqual(
    templateProblems(profile({ subject: 'C={device.tags.country},serialNumber={device.id}' })),
    [],
  )
  assert.match(
    templateProblems(profile({ subject: 'CN={device.serial}' })).join(),
    /unknown variable \{device\.serial\}/,
  )
  assert.match(templateProblems(profile({ subject: 'CN={device.id' })).join(), /brace/)
  assert.match(templateProblems(profile({ subject: 'XX=1' })).join(), /unknown attribute type/)
  assert.match(templateProblems(profile({ subjectAltNames: ['{device.id}'] })).join(), /must begin with/)
  assert.match(templateProblems(profile({ subjectAltNames: ['url:{device.id}'] })).join(), /must begin with/)
})
