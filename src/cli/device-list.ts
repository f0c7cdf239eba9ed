/** `device list` and `device show`, and devices as JSON. */
import { iso, type Instant } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { deviceDetails, type DeviceDetails, type DeviceRow } from '../engine/inventory/inventory.ts'
import { deviceList, type DeviceListRow } from '../engine/inventory/listing.ts'
import { withTerms } from '../filter/print.ts'
import type { ApprovalRecord } from '../store/approvals.ts'
import { certificateRowJson, statusOf } from './cert-list.ts'
import type { CliContext } from './context.ts'
import type { FilterOptions } from './filter-options.ts'
import { everyPage, given, rowLimit, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { formatFields, formatTable, type Column } from './table.ts'
import { ago, day, instant } from './time.ts'

export const deviceStates = ['registered', 'active', 'quarantined', 'decommissioned'] as const

export interface DeviceListOptions extends ListOptions, FilterOptions {
  readonly profile?: string
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
  readonly connectivity?: string
  readonly state?: (typeof deviceStates)[number]
}

export async function listDevices(cli: CliContext, options: DeviceListOptions): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  const { profile, cohort, batch, site, connectivity, state, sort } = options
  const filter = withTerms(options.filter, { profile, cohort, batch, site, connectivity, state })
  await cli.output.list({
    columns: deviceColumns(cli.clock.now()),
    rows: everyPage((page) => deviceList(engine, { ...page, filter, ...given({ sort }) }), limit),
    json: deviceListJson,
    empty: 'No device matches.',
    limit,
  })
}

function deviceColumns(now: Instant): readonly Column<DeviceListRow>[] {
  return [
    { title: 'DEVICE', value: (row) => row.id },
    {
      title: 'STATE',
      value: (row) => row.state,
      paint: (row, style) => (row.state === 'quarantined' ? style.red : (text) => text),
    },
    { title: 'PROFILE', value: (row) => row.profile },
    { title: 'COHORT', value: (row) => row.cohort, shrink: true },
    { title: 'BATCH', value: (row) => row.batch, shrink: true },
    { title: 'SITE', value: (row) => row.site, shrink: true },
    { title: 'LAST RENEWAL', value: (row) => (row.lastRenewalAt === null ? null : day(row.lastRenewalAt)) },
    { title: 'LAST SEEN', value: (row) => ago(row.lastSeenAt, now) },
    {
      title: 'EXPIRES',
      value: (row) => (row.expiresAt === null ? null : day(row.expiresAt)),
      paint: (row, style) => (row.expiresAt !== null && row.expiresAt < now ? style.red : (text) => text),
    },
  ]
}

export function deviceListJson({ expiresAt, issuerId, renewal, ...device }: DeviceListRow): {
  readonly [key: string]: Json
} {
  return { ...deviceJson(device), expiresAt: isoOrNull(expiresAt), issuerId, renewal }
}

export async function showDevice(cli: CliContext, id: DeviceId): Promise<void> {
  const { engine } = await cli.app()
  const details = await deviceDetails(engine, id)
  const { device, certificates, waiting, secret } = details
  cli.output.answer({
    json: {
      ...deviceJson(device),
      certificates: certificates.map(certificateRowJson),
      waiting: waiting.map(approvalJson),
      secret: secret && {
        expiresAt: iso(secret.expiresAt),
        usedAt: secret.usedAt === null ? null : iso(secret.usedAt),
      },
    },
    text: () => detailLines(cli, details).join('\n'),
  })
}

function detailLines(cli: CliContext, { device, certificates, waiting, secret }: DeviceDetails): string[] {
  const { style, width } = cli.output
  const now = cli.clock.now()
  const tags = Object.entries(device.tags).map(([name, value]) => `${name}=${value}`)
  const lines = [
    style.bold(device.id),
    ...formatFields(
      [
        ['State', device.state],
        ['Profile', device.profile],
        ['Connectivity', device.connectivity],
        ['Cohort', device.cohort],
        ['Batch', device.batch],
        ['Site', device.site],
        ['Hardware', device.hardware],
        ['Firmware', device.firmware],
        ['Tags', tags.length === 0 ? null : tags.join(', ')],
        ['Registered', instant(device.createdAt)],
        ['Last renewal', device.lastRenewalAt === null ? 'never' : instant(device.lastRenewalAt)],
        [
          'Last seen',
          device.lastSeenAt === null
            ? 'never'
            : `${instant(device.lastSeenAt)} (${ago(device.lastSeenAt, now)})`,
        ],
        ['Secret', secret && describeSecret(secret, now)],
      ],
      style,
    ).map((line) => `  ${line}`),
  ]
  if (certificates.length > 0) {
    const table = formatTable(
      [
        { title: 'SERIAL', value: (row) => row.serialNumber },
        { title: 'STATUS', value: (row) => statusOf(row, now) },
        { title: 'SLOT', value: (row) => row.slot },
        { title: 'NOT BEFORE', value: (row) => day(row.notBefore) },
        { title: 'NOT AFTER', value: (row) => day(row.notAfter) },
        { title: 'ISSUER', value: (row) => row.issuerId, shrink: true },
      ],
      certificates,
      { width: width - 2, style },
    )
    lines.push('', style.bold('Certificates, newest first'), ...table.map((line) => `  ${line}`))
  }
  if (waiting.length > 0) {
    lines.push('', style.bold('Waiting for approval'))
    for (const { spkiHash, createdAt, profile } of waiting) {
      lines.push(`  key ${spkiHash.slice(0, 16)}…, profile ${profile}, asked ${ago(createdAt, now)}`)
    }
  }
  return lines
}

function describeSecret(
  { expiresAt, usedAt }: { expiresAt: Instant; usedAt: Instant | null },
  now: Instant,
): string {
  if (usedAt !== null) return `used ${instant(usedAt)}`
  return expiresAt > now
    ? `unused, valid until ${instant(expiresAt)}`
    : `expired unused ${instant(expiresAt)}`
}

export function deviceJson(device: DeviceRow): { readonly [key: string]: Json } {
  const { lastRenewalAt, lastSeenAt, createdAt, ...rest } = device
  return {
    ...rest,
    lastRenewalAt: isoOrNull(lastRenewalAt),
    lastSeenAt: isoOrNull(lastSeenAt),
    createdAt: iso(createdAt),
  }
}

export function approvalJson({ csr: _csr, createdAt, decidedAt, ...rest }: ApprovalRecord): {
  readonly [key: string]: Json
} {
  return { ...rest, createdAt: iso(createdAt), decidedAt: isoOrNull(decidedAt) }
}

function isoOrNull(at: Instant | null): string | null {
  return at === null ? null : iso(at)
}
