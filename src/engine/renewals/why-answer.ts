/** The words of `device why`, from what the records say. Pure. */
import { formatDuration } from '../../base/duration.ts'
import type { Instant } from '../../base/clock.ts'
import type { CertificateRecord } from '../../store/certificate-record.ts'
import { isOpenStatus, type RenewalRecord } from '../../store/renewal-record.ts'
import { defaultSlot } from '../issuing/profile.ts'
import {
  abandonWords,
  channelWord,
  escalationWords,
  nextActionWords,
  outcomeWords,
  when,
} from './renewal-words.ts'
import type { Survives, Why, WhyEvent, WhyInput } from './why.ts'

type Verdict = Pick<Why, 'survives' | 'answer' | 'next'> & { readonly blocks?: readonly string[] }

export function explain(input: WhyInput): Why {
  const { blocks = [], ...verdict } = verdictOf(input)
  return {
    deviceId: input.device.id,
    ...verdict,
    blocks: [...blocks, ...approvalBlocks(input)],
    happened: happened(input),
  }
}

/** The first that applies: out of service, without a certificate, ended, for life, then by the renewal. */
function verdictOf(input: WhyInput): Verdict {
  const { device, profile, certificates, now } = input
  if (device.state === 'decommissioned') {
    return no('It is decommissioned: it gets no certificates any more.', nothing('It stays out of service.'))
  }
  const current = currentOf(certificates)
  if (device.state === 'quarantined') return quarantined(input)
  if (current === null) return withoutCertificate(input)
  if (now > endOf(current)) return ended(input, current.notAfter)
  if (profile === null) {
    return {
      ...no(
        `No: its profile ${device.profile} is not configured, so it cannot renew. Its certificate ends ${when(current.notAfter, now)}.`,
        nothing('Every renewal is refused until then.'),
      ),
      blocks: [`profile ${device.profile} is missing from the configuration: add it, or change the device`],
    }
  }
  if (profile.renewBeforeMs === null) {
    const text = `It is not renewed: certificates of profile ${profile.name} are for life, and this one ends ${when(current.notAfter, now)}.`
    return { survives: 'yes', answer: text, next: nothing('Nothing: it stays as it is until then.') }
  }
  const { renewal } = input
  if (renewal !== null && isOpenStatus(renewal.status)) return inRenewal(input, renewal)
  return untouched(input, current.notAfter, profile.renewBeforeMs)
}

function quarantined({ certificates, now }: WhyInput): Verdict {
  const current = currentOf(certificates)
  const end =
    current === null ? 'It has no certificate' : `Its certificate ends ${when(current.notAfter, now)}`
  return {
    ...no(
      `No: it is quarantined and may not renew. ${end}.`,
      nothing('Nothing, until an operator has finished the investigation and releases it.'),
    ),
    blocks: ['the device is quarantined'],
  }
}

function withoutCertificate({ device, certificates, secret, waiting, now }: WhyInput): Verdict {
  const [newest] = certificates
  if (newest?.status === 'revoked') {
    const why = newest.reason === null ? '' : ` (${newest.reason})`
    return {
      ...no(
        `No: its certificate was revoked${why}${newest.revokedAt === null ? '' : ` on ${when(newest.revokedAt, now)}`}. It can do nothing with it any more.`,
        nothing(
          `An operator decides: release the device, then give it a secret (\`perennial device secret ${device.id}\`).`,
        ),
      ),
      blocks: ['its only certificate is revoked'],
    }
  }
  const isAsking = waiting.length > 0
  const secretText =
    secret !== null && secret.usedAt === null && secret.expiresAt > now
      ? `It may enrol with its secret until ${when(secret.expiresAt, now)}, or with a factory identity.`
      : `It enrols with a factory identity, or with a secret: \`perennial device secret ${device.id}\`.`
  return no(
    newest === undefined ? 'It has no certificate yet.' : 'It has no certificate that is live.',
    nothing(isAsking ? 'It gets its certificate when a person has approved its request.' : secretText),
  )
}

function ended(input: WhyInput, notAfter: Instant): Verdict {
  const { profile, device, renewal, now } = input
  const graceMs = profile?.renewExpiredForMs ?? 0
  const until = notAfter + graceMs
  if (graceMs > 0 && now <= until) {
    return {
      survives: 'at-risk',
      answer: `It has not: its certificate ended ${when(notAfter, now)}. Its profile still lets it renew.`,
      blocks: ['its certificate has ended: everything but a renewal is refused'],
      next: { at: until, text: 'It may renew with the ended certificate until then.' },
    }
  }
  const isListed = renewal?.status === 'escalated'
  return {
    ...no(
      `No, it has not: its certificate ended ${when(notAfter, now)}.`,
      nothing(
        isListed
          ? `It is on the field list: ${nextActionWords(renewal, now)}.`
          : `Somebody must enrol it anew: \`perennial device secret ${device.id}\`.`,
      ),
    ),
    blocks: ['its certificate has ended, and an ended certificate cannot renew'],
  }
}

/** Live, and no renewal is open. */
function untouched(input: WhyInput, notAfter: Instant, renewBeforeMs: number): Verdict {
  const { now, window, isAutomatic } = input
  const opensAt = notAfter - renewBeforeMs
  const ends = `Its certificate ends ${when(notAfter, now)}`
  const silence = silenceOf(input)
  if (now < opensAt) {
    return {
      survives: 'yes',
      answer: `Yes, as far as can be told: ${lower(ends)}, and it is not due yet.`,
      next: {
        at: window?.start ?? opensAt,
        text: `It is due then: the renewal window opens ${when(opensAt, now)}, and each device has its own instant in it.`,
      },
    }
  }
  return {
    survives: silence === null ? 'yes' : 'at-risk',
    answer: `${silence === null ? 'Yes, if it renews in time' : 'At risk'}: ${lower(ends)}, and it may renew since ${when(opensAt, now)}.`,
    blocks: silence === null ? [] : [silence],
    next: isAutomatic
      ? { at: window?.start ?? now, text: 'It is asked to renew, unless it does so by itself before.' }
      : nothing(
          'It must renew by itself: renewals are not opened automatically here (renewal.automatic), only campaigns ask.',
        ),
  }
}

function inRenewal(input: WhyInput, renewal: RenewalRecord): Verdict {
  switch (renewal.status) {
    case 'planned':
      return planned(input, renewal)
    case 'triggered':
      return triggered(input, renewal)
    case 'issued':
      return issued(input, renewal)
    case 'confirmed':
      return confirmed(input)
    default:
      return escalated(input, renewal)
  }
}

function planned(input: WhyInput, renewal: RenewalRecord): Verdict {
  const { campaign, window, now } = input
  const ends = `Its certificate ends ${when(renewal.notAfter, now)}`
  if (campaign?.status === 'paused' || campaign?.status === 'draft') {
    const state =
      campaign.status === 'paused'
        ? `paused${campaign.reason === null ? '' : ` (${campaign.reason})`}`
        : 'not started'
    return {
      survives: 'at-risk',
      answer: `At risk while its campaign stands still. ${ends}.`,
      blocks: [`campaign ${campaign.id}, which is to renew it, is ${state}`],
      next: nothing(
        campaign.status === 'paused'
          ? `It is asked after \`perennial campaign resume ${campaign.id}\`; it may also renew by itself inside its renewal window.`
          : `It is asked after \`perennial campaign start ${campaign.id}\`; it may also renew by itself inside its renewal window.`,
      ),
    }
  }
  const by = campaign === null ? '' : ` Campaign ${campaign.id} renews it, in wave ${renewal.wave}.`
  return {
    survives: 'yes',
    answer: `Yes, as far as can be told: ${lower(ends)}, and its renewal is planned.${by}`,
    next:
      renewal.nextAt === null
        ? {
            at: window?.start ?? null,
            text: 'It is let in when its turn in the campaign comes; that is an estimate.',
          }
        : { at: renewal.nextAt, text: `It is asked by ${channelAt(input, renewal.rung)}.` },
  }
}

function triggered(input: WhyInput, renewal: RenewalRecord): Verdict {
  const { campaign, attempts, now } = input
  const silence = silenceOf(input)
  const times = attempts.filter(({ status }) => status === 'sent' || status === 'delivered').length
  const asked = times === 1 ? 'once' : `${times} times`
  const isPaused = campaign?.status === 'paused'
  const isAtRisk = silence !== null || isPaused || times > 1
  return {
    survives: isAtRisk ? 'at-risk' : 'yes',
    answer: `${isAtRisk ? 'At risk' : 'Yes, if it answers'}: it was asked ${asked} and has not renewed. Its certificate ends ${when(renewal.notAfter, now)}.`,
    blocks: [
      ...(silence === null ? [] : [silence]),
      ...(isPaused ? [`campaign ${campaign.id} is paused: nobody is asked`] : []),
    ],
    next: nextRung(input, renewal),
  }
}

function issued(input: WhyInput, renewal: RenewalRecord): Verdict {
  const { now } = input
  const stored = renewal.storedAt !== null ? ' It says that it has stored it.' : ''
  return {
    survives: 'at-risk',
    answer: `Not settled: it got a new certificate ${renewal.issuedAt === null ? '' : when(renewal.issuedAt, now)} and was not seen with it.${stored} The old one ends ${when(renewal.notAfter, now)}.`,
    blocks: ['it has not used its new certificate: until then the old one keeps working and is not retired'],
    next: nextRung(input, renewal),
  }
}

function confirmed({ certificates, retiresAt, now }: WhyInput): Verdict {
  const current = currentOf(certificates)
  const end = current === null ? '' : ` It ends ${when(current.notAfter, now)}.`
  return {
    survives: 'yes',
    answer: `Yes: it uses its new certificate.${end}`,
    next:
      retiresAt === null
        ? nothing('The replaced certificate is retired.')
        : {
            at: retiresAt,
            text: 'The replaced certificate is retired then; until then it still works, for a device that must fall back.',
          },
  }
}

function escalated(input: WhyInput, renewal: RenewalRecord): Verdict {
  const { now } = input
  const who = renewal.assignee === null ? 'Nobody is assigned' : `${renewal.assignee} is assigned`
  return {
    ...no(
      `No, unless somebody goes there: it is on the field list, because ${escalationWords(renewal)}. Its certificate ends ${when(renewal.notAfter, now)}.`,
      nothing(
        `${who}: ${nextActionWords(renewal, now)}. Then \`perennial field resolve ${renewal.deviceId}\`.`,
      ),
    ),
    blocks: [escalationWords(renewal)],
  }
}

/** What the ladder does at `nextAt`. */
function nextRung({ connectivity, now, channels }: WhyInput, renewal: RenewalRecord): Why['next'] {
  const { ladder } = connectivity
  const { rung, attempt, nextAt, notAfter } = renewal
  if (nextAt === null) return nothing('It waits for the device.')
  const here = ladder[rung]
  if (here && here.channel !== 'field' && attempt < here.repeats && channels.has(here.channel)) {
    return {
      at: nextAt,
      text: `It is asked again by ${channelWord(here.channel)}, ${attempt + 1} of ${here.repeats}.`,
    }
  }
  const above = ladder.slice(rung + 1).find(({ channel }) => channel === 'field' || channels.has(channel))
  if (!above) return { at: nextAt, text: 'It goes on the field list.' }
  const at = Math.max(nextAt, above.beforeMs === null ? now : notAfter - above.beforeMs)
  if (above.channel === 'field') return { at, text: 'It goes on the field list, for people.' }
  return { at, text: `It is asked by ${channelWord(above.channel)}.` }
}

function channelAt({ connectivity }: WhyInput, rung: number): string {
  const channel = connectivity.ladder[rung]?.channel ?? 'field'
  return channelWord(channel)
}

/** Null while it comes by as often as its kind should. */
function silenceOf({ device, connectivity, now }: WhyInput): string | null {
  const usual = formatDuration(connectivity.checkInMs)
  if (device.lastSeenAt === null) return 'it was never seen here'
  const silentMs = now - device.lastSeenAt
  if (silentMs <= connectivity.checkInMs) return null
  return `it was last seen ${when(device.lastSeenAt, now)}; devices of its kind come by every ${usual}`
}

function approvalBlocks({ waiting, now }: WhyInput): string[] {
  return waiting.map(
    ({ createdAt, deviceId }) =>
      `its request of ${when(createdAt, now)} waits for a person: \`perennial device approve ${deviceId}\``,
  )
}

function happened({ renewal, attempts, certificates }: WhyInput): WhyEvent[] {
  const events: WhyEvent[] = []
  const note = (at: Instant | null, text: string) => void (at !== null && events.push({ at, text }))
  const current = currentOf(certificates)
  if (renewal === null) {
    note(current?.issuedAt ?? null, 'got the certificate that it has')
    note(current?.confirmedAt ?? null, 'was first seen with it')
    return sorted(events)
  }
  note(
    renewal.createdAt,
    renewal.campaignId === ''
      ? 'its renewal was opened, because it is due'
      : `campaign ${renewal.campaignId} drew it, in wave ${renewal.wave}`,
  )
  for (const attempt of attempts) {
    note(attempt.at, `asked by ${channelWord(attempt.channel)}: ${outcomeWords(attempt)}`)
  }
  note(renewal.issuedAt, 'got a new certificate')
  note(renewal.deliveredAt, 'the new certificate was delivered')
  note(renewal.storedAt, 'said that it has stored it')
  note(renewal.confirmedAt, 'was first seen with the new certificate')
  if (renewal.status === 'abandoned')
    note(renewal.endedAt, `the renewal was given up: ${abandonWords(renewal.reason)}`)
  if (renewal.status === 'retired') note(renewal.endedAt, 'the replaced certificate was retired')
  return sorted(events)
}

function sorted(events: WhyEvent[]): WhyEvent[] {
  return events.sort((a, b) => a.at - b.at)
}

function no(answer: string, next: Why['next']): { survives: Survives; answer: string; next: Why['next'] } {
  return { survives: 'no', answer, next }
}

function nothing(text: string): Why['next'] {
  return { at: null, text }
}

function endOf({ notAfter }: { readonly notAfter: Instant }): Instant {
  // inclusive, whole seconds
  return notAfter + 999
}

function lower(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1)
}

/** The newest one of the slot that was handed out and is neither replaced nor revoked; it may have ended. */
export function currentOf(certificates: readonly CertificateRecord[]): CertificateRecord | null {
  return (
    certificates.find(
      ({ slot, status }) => slot === defaultSlot && (status === 'issued' || status === 'confirmed'),
    ) ?? null
  )
}
