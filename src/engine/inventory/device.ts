/** Devices enter the inventory: one by one, or a manufacturing run at a time. */
import type { Instant } from '../../base/clock.ts'
import { formatDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'
import { parseDeviceId } from '../../base/id.ts'
import { isUnsafeText, printable } from '../../base/text.ts'
import { insertDevice, insertDevices, findDevice, type DeviceRecord } from '../../store/devices.ts'
import { fact, recordFacts, subjects, type FactAction } from '../audit/audit.ts'
import type { Engine, EngineSettings } from '../context.ts'
import type { Profile } from '../issuing/profile.ts'

/** A device as an operator or a file describes it. */
export interface NewDevice {
  readonly id: string
  readonly profile: string
  readonly cohort?: string | null
  readonly batch?: string | null
  readonly site?: string | null
  /** Default: that of the profile. */
  readonly connectivity?: string | null
  readonly tags?: Readonly<Record<string, string>>
  readonly hardware?: string | null
  readonly firmware?: string | null
}

/** @throws Refusal `invalid-input` saying which field and why, `already-exists` */
export async function addDevice(engine: Engine, device: NewDevice, actor: string): Promise<DeviceRecord> {
  const now = engine.clock.now()
  const record = readNewDevice(engine, device, now)
  await engine.store.transaction(async (tx) => {
    await insertDevice(tx, record)
    await recordFacts(tx, deviceFact(record, 'device.added', actor))
  })
  return record
}

/** One line of a file. */
export interface ImportLine<Item> {
  /** From 1, as an editor counts. */
  readonly line: number
  readonly item: Item
}

export type ImportResult =
  | { readonly line: number; readonly outcome: 'added'; readonly id: string }
  | { readonly line: number; readonly outcome: 'known'; readonly id: string; readonly reason: string }
  | { readonly line: number; readonly outcome: 'invalid'; readonly reason: string }

export interface ImportOptions {
  readonly actor: string
  /** Says what would happen and stores nothing. */
  readonly dryRun?: boolean
}

/**
 * One batch, in one transaction: a bad line is reported and loses none of the good ones. Call it with some hundreds of
 * lines at a time; a repeated batch does no harm.
 * @returns one result for each line, in their order
 */
export async function importDevices(
  engine: Engine,
  lines: readonly ImportLine<NewDevice>[],
  { actor, dryRun = false }: ImportOptions,
): Promise<ImportResult[]> {
  const now = engine.clock.now()
  const results = new Map<number, ImportResult>()
  const good: { line: number; record: DeviceRecord }[] = []
  const seen = new Map<string, number>()
  for (const { line, item } of lines) {
    try {
      const record = readNewDevice(engine, item, now)
      const earlier = seen.get(record.id)
      if (earlier !== undefined) {
        results.set(line, {
          line,
          outcome: 'known',
          id: record.id,
          reason: `device ${record.id} is on line ${earlier} too`,
        })
        continue
      }
      seen.set(record.id, line)
      good.push({ line, record })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      results.set(line, { line, outcome: 'invalid', reason: error.message })
    }
  }
  const known = new Set<string>(
    dryRun
      ? await findKnown(engine, good)
      : await store(
          engine,
          good.map(({ record }) => record),
          actor,
        ),
  )
  for (const { line, record } of good) {
    const reason = `device ${record.id} is in the inventory already and was left as it is`
    results.set(
      line,
      known.has(record.id)
        ? { line, outcome: 'known', id: record.id, reason }
        : { line, outcome: 'added', id: record.id },
    )
  }
  return lines.flatMap(({ line }) => results.get(line) ?? [])
}

async function findKnown(
  engine: Engine,
  good: readonly { readonly record: DeviceRecord }[],
): Promise<string[]> {
  const known: string[] = []
  for (const { record } of good) if (await findDevice(engine.store.db, record.id)) known.push(record.id)
  return known
}

/** @returns the ids that were there before */
async function store(engine: Engine, records: readonly DeviceRecord[], actor: string): Promise<string[]> {
  return await engine.store.transaction(async (tx) => {
    const known = await insertDevices(tx, records)
    const wasKnown = new Set<string>(known)
    const added = records.filter(({ id }) => !wasKnown.has(id))
    await recordFacts(tx, ...added.map((record) => deviceFact(record, 'device.imported', actor)))
    return known
  })
}

function deviceFact(record: DeviceRecord, action: FactAction, actor: string): ReturnType<typeof fact> {
  const { id, profile, cohort, batch, site, createdAt } = record
  return fact(createdAt, {
    actor,
    action,
    subject: subjects.device(id),
    details: { profile, cohort, batch, site },
  })
}

/** @throws Refusal `invalid-input` saying which field and why */
export function readNewDevice({ settings }: Engine, device: NewDevice, now: Instant): DeviceRecord {
  const id = parseDeviceId(device.id)
  if (id === null) {
    invalid(
      `device id "${shown(device.id)}" must be 1 to 64 of letters, digits and . _ : - and begin with a letter or digit`,
    )
  }
  const profile = settings.profiles.get(device.profile)
  if (!profile) {
    const names = [...settings.profiles.keys()].join(', ')
    invalid(`profile "${shown(device.profile)}" of device ${id} is not configured: use one of ${names}`)
  }
  const connectivity = readConnectivity(settings, id, device.connectivity ?? profile.connectivity, profile)
  return {
    id,
    profile: profile.name,
    cohort: readLabel(id, 'cohort', device.cohort),
    batch: readLabel(id, 'batch', device.batch),
    site: readLabel(id, 'site', device.site),
    connectivity,
    state: 'registered',
    tags: readTags(id, device.tags ?? {}),
    hardware: readText(id, 'hardware', device.hardware),
    firmware: readText(id, 'firmware', device.firmware),
    lastRenewalAt: null,
    createdAt: now,
  }
}

/** The rule `window-longer-than-check-in`, for a device that is connected in another way than its profile says. */
function readConnectivity(
  { connectivity }: EngineSettings,
  id: string,
  name: string,
  profile: Profile,
): string {
  const known = connectivity.get(name)
  if (!known) {
    const names = [...connectivity.keys()].join(', ')
    invalid(`connectivity "${shown(name)}" of device ${id} is not configured: use one of ${names}`)
  }
  if (profile.renewBeforeMs !== null && known.checkInMs > profile.renewBeforeMs) {
    invalid(
      `device ${id} with connectivity ${name} may be silent for ${formatDuration(known.checkInMs)}, longer than the ` +
        `renewal window of profile ${profile.name}, ${formatDuration(profile.renewBeforeMs)}: it could miss its renewal`,
    )
  }
  return name
}

const maxText = 128
const maxTags = 32

/** Cohorts, batches and sites are filtered and sorted by. Empty = none. */
function readLabel(id: string, field: string, text: string | null | undefined): string | null {
  const label = readText(id, field, text)
  if (label !== null && !/^[A-Za-z0-9][A-Za-z0-9 ._:/-]*$/.test(label)) {
    invalid(`${field} "${shown(label)}" of device ${id} must be letters, digits, spaces and . _ : / -`)
  }
  return label
}

function readText(id: string, field: string, text: string | null | undefined): string | null {
  const trimmed = text?.trim() ?? ''
  if (trimmed === '') return null
  if (trimmed.length > maxText) invalid(`${field} of device ${id} is longer than ${maxText} characters`)
  if (isUnsafeText(trimmed)) invalid(`${field} of device ${id} has control or invisible characters`)
  return trimmed
}

function readTags(id: string, tags: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(tags)
  if (entries.length > maxTags) invalid(`device ${id} has more than ${maxTags} tags`)
  for (const [name, value] of entries) {
    if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) {
      invalid(`tag "${shown(name)}" of device ${id} must be 1 to 64 letters, digits, _ and -`)
    }
    if (typeof value !== 'string' || value.length > maxText || isUnsafeText(value)) {
      invalid(
        `tag ${name} of device ${id} must be text of at most ${maxText} characters without control characters`,
      )
    }
  }
  return Object.fromEntries(entries)
}

function shown(text: string): string {
  return printable(String(text).slice(0, 80))
}

function invalid(detail: string): never {
  throw new Refusal('invalid-input', detail)
}
