/** The fields of each list. src/store has the same names beside the columns that they read; a test compares the two. */
import type { Field, FieldType, FilterResource } from './field.ts'

const text: FieldType = { kind: 'text' }
const ahead: FieldType = { kind: 'ahead' }
const ago: FieldType = { kind: 'ago' }

function words(...list: readonly string[]): FieldType {
  return { kind: 'word', words: list }
}

function required(name: string, type: FieldType, about: string, aliases: readonly string[] = []): Field {
  return { name, type, isOptional: false, about, aliases }
}

function optional(name: string, type: FieldType, about: string, aliases: readonly string[] = []): Field {
  return { name, type, isOptional: true, about, aliases }
}

/** A renewal that is not over. */
const openRenewal = ['planned', 'triggered', 'issued', 'confirmed', 'escalated'] as const

const placeFields = [
  optional('cohort', text, 'cohort of the device'),
  optional('batch', text, 'manufacturing run'),
  optional('site', text, 'site of the device'),
] as const

export const deviceResource: FilterResource = {
  name: 'devices',
  hasTags: true,
  freeText: 'the id begins so',
  fields: [
    required('id', text, 'id of the device', ['device']),
    required('state', words('registered', 'active', 'quarantined', 'decommissioned'), 'state of the device', [
      'status',
    ]),
    required('profile', text, 'certificate profile'),
    ...placeFields,
    required('connectivity', text, 'connectivity profile'),
    optional('hardware', text, 'hardware revision'),
    optional('firmware', text, 'firmware version'),
    required('created', ago, 'when it was registered', ['createdAt', 'registered']),
    optional('lastRenewal', ago, 'when it last got a certificate', ['lastRenewalAt', 'renewed']),
    optional('lastSeen', ago, 'when it was last heard from', ['lastSeenAt', 'seen']),
    optional('expires', ahead, 'when its newest live certificate ends', ['expiry', 'expiresAt', 'notAfter']),
    optional('issuer', text, 'who signed its newest live certificate', ['issuerId']),
    optional('key', text, 'key algorithm of its newest live certificate', ['keyAlgorithm']),
    optional('renewal', words(...openRenewal), 'its open renewal'),
    optional('campaign', text, 'campaign of its open renewal', ['campaignId']),
  ],
}

export const certificateResource: FilterResource = {
  name: 'certificates',
  hasTags: false,
  freeText: 'this device, or this serial number',
  fields: [
    required('serial', { kind: 'serial' }, 'serial number', ['serialNumber']),
    optional('device', text, 'id of the device', ['deviceId']),
    required('slot', text, 'credential slot'),
    required(
      'status',
      words('reserved', 'issued', 'confirmed', 'superseded', 'revoked', 'abandoned', 'live', 'expired'),
      'status; live and expired are issued or confirmed ones before and after their end',
      ['state'],
    ),
    required('expires', ahead, 'the end of a live certificate', ['expiry', 'expiresAt']),
    required('notAfter', ahead, 'its end, whatever its status'),
    required('issuer', text, 'who signed it', ['issuerId']),
    optional('profile', text, 'certificate profile'),
    ...placeFields,
    required('key', text, 'key algorithm', ['keyAlgorithm']),
    required('protocol', text, 'how it came: est, mqtt, import …'),
    optional('reason', text, 'why it was revoked, superseded or abandoned'),
    required('subject', text, 'subject, RFC 4514'),
    required('created', ago, 'when it came into the inventory', ['createdAt']),
    optional('issued', ago, 'when it was signed', ['issuedAt']),
    optional('confirmed', ago, 'when it was first used', ['confirmedAt']),
    optional('revoked', ago, 'when it was revoked', ['revokedAt']),
  ],
}

export const renewalResource: FilterResource = {
  name: 'renewals',
  hasTags: true,
  freeText: 'this device',
  fields: [
    required('device', text, 'id of the device', ['deviceId']),
    required(
      'state',
      words(...openRenewal, 'retired', 'abandoned', 'open'),
      'state of the renewal; open is all but retired and abandoned',
      ['status'],
    ),
    optional('campaign', text, 'campaign; none for renewals that no campaign asked for', ['campaignId']),
    required('wave', { kind: 'number' }, 'wave of the campaign, from 0'),
    required('expires', ahead, 'end of the certificate to be replaced', ['notAfter', 'expiry']),
    required('connectivity', text, 'connectivity profile'),
    optional('site', text, 'site of the device'),
    optional('assignee', text, 'who goes there'),
    optional('reason', text, 'why it is escalated or was abandoned'),
    required('created', ago, 'when it was opened', ['createdAt']),
    optional('triggered', ago, 'when the device was first asked', ['triggeredAt']),
    optional('issued', ago, 'when the new certificate was signed', ['issuedAt']),
    optional('confirmed', ago, 'when the new certificate was first used', ['confirmedAt']),
  ],
}

export const factResource: FilterResource = {
  name: 'facts',
  hasTags: false,
  freeText: 'this subject',
  fields: [
    required('subject', text, 'what it is about: device:ID, certificate:ISSUER/SERIAL …'),
    required('action', text, 'what happened: device.added; device.* is all of devices'),
    required('actor', text, 'who did it'),
    required('at', ago, 'when', ['time']),
  ],
}

export const filterResources = [deviceResource, certificateResource, renewalResource, factResource] as const
