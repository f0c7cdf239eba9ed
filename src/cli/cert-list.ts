/** `cert list|needs-renewal|show|export`. */
import { iso, type Instant } from '../base/clock.ts'
import { formatDuration } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import {
  certificatesBySerial,
  needsRenewal,
  type CertificateRow,
  type RenewalRow,
} from '../engine/inventory/inventory.ts'
import { certificateList } from '../engine/inventory/listing.ts'
import { issuerChain } from '../engine/issuing/issuer.ts'
import { withTerms } from '../filter/print.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { encodePem } from '../pki/pem.ts'
import type { CertificateRecord, CertificateStatus } from '../store/certificate-record.ts'
import type { CliContext } from './context.ts'
import { certificateLines } from './certificate-view.ts'
import type { FilterOptions } from './filter-options.ts'
import { everyPage, given, rowLimit, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { formatFields, type Column } from './table.ts'
import { ago, day, describeLeft, instant } from './time.ts'

interface CertListOptions extends ListOptions, FilterOptions {
  readonly device?: DeviceId
  readonly issuer?: IssuerId
  readonly status?: CertificateStatus
  readonly profile?: string
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
  readonly expiresWithin?: number
}

export async function listAll(cli: CliContext, options: CertListOptions): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  const { device, issuer, status, profile, cohort, batch, site, expiresWithin, sort } = options
  const filter = withTerms(
    options.filter,
    { device, issuer, status, profile, cohort, batch, site },
    expiresWithin === undefined ? [] : [`expires>=0 expires<${formatDuration(expiresWithin)}`],
  )
  await cli.output.list({
    columns: columns(cli.clock.now()),
    rows: everyPage((page) => certificateList(engine, { ...page, filter, ...given({ sort }) }), limit),
    json: certificateRowJson,
    empty: 'No certificate matches.',
    limit,
  })
}

interface NeedsRenewalOptions extends ListOptions {
  readonly profile?: string
  readonly cohort?: string
  readonly at?: Instant
}

export async function listNeedsRenewal(cli: CliContext, options: NeedsRenewalOptions): Promise<void> {
  const { engine } = await cli.app()
  const now = options.at ?? cli.clock.now()
  const limit = rowLimit(cli, options)
  const { profile, cohort } = options
  await cli.output.list({
    columns: renewalColumns(now),
    rows: everyPage((page) => needsRenewal(engine, { ...page, now, ...given({ profile, cohort }) }), limit),
    json: ({ certificate, opensAt, isExpired }) => ({
      ...certificateRowJson(certificate),
      renewalOpensAt: iso(opensAt),
      isExpired,
    }),
    empty: 'No device is due for renewal.',
    limit,
  })
}

export async function show(
  cli: CliContext,
  serialNumber: SerialNumber,
  options: { readonly issuer?: IssuerId },
): Promise<void> {
  const record = await find(cli, serialNumber, options)
  const now = cli.clock.now()
  cli.output.answer({
    json: { ...certificateRowJson(record), pem: pemOf(record) },
    text: () =>
      [
        cli.output.style.bold('Inventory'),
        ...formatFields(
          [
            ['Device', record.deviceId],
            ['Slot', record.deviceId === null ? null : record.slot],
            ['Issuer', record.issuerId],
            ['Status', `${statusOf(record, now)}${record.reason === null ? '' : ` (${record.reason})`}`],
            ['Profile', record.profile],
            ['Came by', record.protocol],
            ['Cohort', record.cohort],
            ['Batch', record.batch],
            ['Site', record.site],
            ['On record', instant(record.createdAt)],
            ['Issued', instantOrNull(record.issuedAt)],
            ['Confirmed', instantOrNull(record.confirmedAt)],
            ['Revoked', instantOrNull(record.revokedAt)],
            ['Last seen', ago(record.lastSeenAt, now)],
            ['Replaces', record.predecessorId],
          ],
          cli.output.style,
        ).map((line) => `  ${line}`),
        ...(record.der === null
          ? ['', 'It has no signature: it was never handed out.']
          : ['', ...certificateLines(parseCertificate(record.der), now, cli.output.style)]),
      ].join('\n'),
  })
}

interface ExportOptions {
  readonly issuer?: IssuerId
  readonly format: 'pem' | 'der'
  readonly chain?: boolean
  readonly out?: string
}

export async function exportCertificate(
  cli: CliContext,
  serialNumber: SerialNumber,
  options: ExportOptions,
): Promise<void> {
  const record = await find(cli, serialNumber, options)
  if (record.der === null) {
    throw new Refusal('not-found', `certificate ${serialNumber} is ${record.status}: it was never handed out`)
  }
  if (options.format === 'der') {
    if (options.chain)
      throw new Refusal('invalid-input', '--chain needs --format pem: a DER file holds one certificate')
    await write(cli, record.der, options.out)
    return
  }
  const { engine } = await cli.app()
  const chain = options.chain ? await issuerChain(engine, record.issuerId) : []
  await write(cli, [record.der, ...chain].map((der) => encodePem('CERTIFICATE', der)).join(''), options.out)
}

async function write(cli: CliContext, data: string | Uint8Array, out: string | undefined): Promise<void> {
  if (out === undefined) {
    cli.output.raw(data)
    return
  }
  await writeFileAtomically(out, data, 0o644)
  cli.output.note(`Written to ${out}.`)
}

async function find(
  cli: CliContext,
  serialNumber: SerialNumber,
  { issuer }: { readonly issuer?: IssuerId },
): Promise<CertificateRow> {
  const { engine } = await cli.app()
  const records = await certificatesBySerial(engine, serialNumber)
  const matching = records.filter(({ issuerId }) => issuer === undefined || issuerId === issuer)
  const [record, ...others] = matching
  if (!record)
    throw new Refusal('not-found', `issuer ${issuer} has no certificate with serial number ${serialNumber}`)
  if (others.length === 0) return record
  const issuers = matching.map(({ issuerId }) => issuerId).join(', ')
  throw new Refusal(
    'invalid-input',
    `several issuers used this serial number; say which with --issuer: ${issuers}`,
  )
}

/** What a person calls it: `expired` is not stored, it is the clock's doing. */
export function statusOf(record: CertificateRecord, now: Instant): string {
  const isLive = record.status === 'issued' || record.status === 'confirmed'
  return isLive && record.notAfter < now ? 'expired' : record.status
}

function columns(now: Instant): readonly Column<CertificateRow>[] {
  return [
    { title: 'SERIAL', value: (row) => row.serialNumber },
    { title: 'DEVICE', value: (row) => row.deviceId },
    {
      title: 'STATUS',
      value: (row) => statusOf(row, now),
      paint: (row, style) => (row.status === 'revoked' || row.notAfter < now ? style.red : (text) => text),
    },
    { title: 'NOT AFTER', value: (row) => day(row.notAfter) },
    { title: 'LEFT', value: (row) => describeLeft(row.notAfter, now) },
    { title: 'PROFILE', value: (row) => row.profile },
    { title: 'ISSUER', value: (row) => row.issuerId },
    { title: 'SUBJECT', value: (row) => row.subject, shrink: true },
  ]
}

function renewalColumns(now: Instant): readonly Column<RenewalRow>[] {
  return [
    { title: 'DEVICE', value: (row) => row.certificate.deviceId ?? row.certificate.subject },
    {
      title: 'NOT AFTER',
      value: (row) => day(row.certificate.notAfter),
      paint: (row, style) => (row.isExpired ? style.red : (text) => text),
    },
    { title: 'LEFT', value: (row) => describeLeft(row.certificate.notAfter, now) },
    { title: 'WINDOW OPEN SINCE', value: (row) => day(row.opensAt) },
    { title: 'LAST SEEN', value: (row) => ago(row.certificate.lastSeenAt, now) },
    { title: 'PROFILE', value: (row) => row.certificate.profile },
    { title: 'COHORT', value: (row) => row.certificate.cohort, shrink: true },
    { title: 'SERIAL', value: (row) => row.certificate.serialNumber },
  ]
}

/** Every column of the inventory but the bytes; `cert show` and `cert export` give those. */
export function certificateRowJson(record: CertificateRow): { readonly [key: string]: Json } {
  const {
    tbs: _tbs,
    der: _der,
    notBefore,
    notAfter,
    createdAt,
    issuedAt,
    confirmedAt,
    revokedAt,
    lastSeenAt,
    ...rest
  } = record
  return {
    ...rest,
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    createdAt: iso(createdAt),
    issuedAt: isoOrNull(issuedAt),
    confirmedAt: isoOrNull(confirmedAt),
    revokedAt: isoOrNull(revokedAt),
    lastSeenAt: isoOrNull(lastSeenAt),
  }
}

function pemOf(record: CertificateRecord): string | null {
  return record.der === null ? null : encodePem('CERTIFICATE', record.der)
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}

function instantOrNull(at: Instant | null): string | null {
  return at === null ? null : instant(at)
}
