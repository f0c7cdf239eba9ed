/** Devices in CSV and JSON Lines. */
import type { NewDevice } from '../engine/inventory/device.ts'
import { openLines } from './line-reader.ts'
import type { ImportItem, ImportSource } from './import.ts'
import { readRecords, type ImportFormat, type RecordShape } from './records.ts'

export const deviceShape: RecordShape = {
  keys: ['id', 'profile', 'cohort', 'batch', 'site', 'connectivity', 'hardware', 'firmware', 'tags'],
  aliases: { deviceId: 'id', device: 'id', serial: 'id', serialNumber: 'id' },
  prefixed: 'tags',
}

export interface DeviceDefaults {
  readonly profile: string | null
  readonly cohort: string | null
  readonly batch: string | null
  readonly site: string | null
}

export async function deviceSource(
  file: string,
  { format, defaults }: { readonly format: ImportFormat | null; readonly defaults: DeviceDefaults },
): Promise<ImportSource<NewDevice>> {
  const lines = await openLines(file)
  return {
    name: lines.name,
    size: lines.size,
    async *items() {
      for await (const row of readRecords(lines, deviceShape, format)) {
        if ('problem' in row) yield row
        else yield toItem(row, defaults)
      }
    },
  }
}

type Row = {
  readonly number: number
  readonly bytesRead: number
  readonly record: Readonly<Record<string, unknown>>
}

function toItem({ number, bytesRead, record }: Row, defaults: DeviceDefaults): ImportItem<NewDevice> {
  const device = readDevice(record, defaults)
  return typeof device === 'string'
    ? { number, bytesRead, problem: device }
    : { number, bytesRead, item: device }
}

/** The device, or what is wrong with it. Whether its values are allowed is the engine's to say. */
export function readDevice(
  record: Readonly<Record<string, unknown>>,
  defaults: DeviceDefaults,
): NewDevice | string {
  const texts: Record<string, string | null> = {}
  for (const key of deviceShape.keys) {
    const value = record[key]
    if (key === 'tags' || value === undefined || value === null) continue
    if (typeof value !== 'string') return `${key} must be a text, not ${JSON.stringify(value)}`
    texts[key] = value
  }
  const tags = readTags(record['tags'])
  if (typeof tags === 'string') return tags
  const { id, profile = defaults.profile, ...rest } = texts
  if (!id) return 'there is no id'
  if (!profile) return `device ${id} has no profile; give the column profile, or --profile`
  return {
    id,
    profile,
    cohort: rest['cohort'] ?? defaults.cohort,
    batch: rest['batch'] ?? defaults.batch,
    site: rest['site'] ?? defaults.site,
    connectivity: rest['connectivity'] ?? null,
    hardware: rest['hardware'] ?? null,
    firmware: rest['firmware'] ?? null,
    tags,
  }
}

/** An object of texts, or `name=value;name=value`. */
function readTags(value: unknown): Record<string, string> | string {
  if (value === undefined || value === null) return {}
  if (typeof value === 'string') {
    const pairs = value.split(';').flatMap((pair) => (pair.trim() === '' ? [] : [pair.trim()]))
    const wrong = pairs.find((pair) => !pair.includes('='))
    if (wrong !== undefined) return `tags must be name=value;name=value, not ${JSON.stringify(value)}`
    return Object.fromEntries(
      pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    )
  }
  if (typeof value !== 'object' || Array.isArray(value)) return 'tags must be an object of texts'
  const entries = Object.entries(value)
  const wrong = entries.find(([, each]) => typeof each !== 'string')
  return wrong ? `tag ${wrong[0]} must be a text` : Object.fromEntries(entries)
}
