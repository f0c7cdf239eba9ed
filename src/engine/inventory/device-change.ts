/** What an operator changes in the record of a device. Its id stays, and its state is not changed here. */
import { assert, Refusal } from '../../base/errors.ts'
import type { DeviceId } from '../../base/id.ts'
import { findDevice, updateDevice, type DeviceChange, type DeviceRecord } from '../../store/devices.ts'
import { fact, recordFacts, subjects, type FactDetails } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { readNewDevice, type NewDevice } from './device.ts'

/** Fields that are left out stay as they are; null empties one. */
export interface DeviceEdit extends Partial<Omit<NewDevice, 'id' | 'tags'>> {
  /** Added, or replaced where the name is there. */
  readonly tags?: Readonly<Record<string, string>>
  readonly removeTags?: readonly string[]
}

export interface EditedDevice {
  readonly before: DeviceRecord
  readonly after: DeviceRecord
  /** Names of the fields that differ; empty: nothing was written. */
  readonly changed: readonly (keyof DeviceChange)[]
}

const editable = [
  'profile',
  'cohort',
  'batch',
  'site',
  'connectivity',
  'hardware',
  'firmware',
  'tags',
] as const satisfies readonly (keyof DeviceChange)[]

/**
 * The rules of a new device hold for the result. Certificates that are out keep their subject; the next renewal asks for
 * the names of the record as it is then.
 * @throws Refusal `not-found`; `invalid-input` saying which field and why
 */
export async function editDevice(
  engine: Engine,
  { id, edit, actor, dryRun = false }: EditRequest,
): Promise<EditedDevice> {
  const now = engine.clock.now()
  return await engine.store.transaction(async (tx) => {
    const before = await findDevice(tx, id)
    if (!before) {
      throw new Refusal(
        'not-found',
        `device ${id} is not in the inventory: add it with \`perennial device add\``,
      )
    }
    const read = readNewDevice(
      engine,
      { ...before, ...withoutTags(edit), tags: editedTags(before, edit) },
      now,
    )
    const { state, lastRenewalAt, createdAt } = before
    const after = { ...read, state, lastRenewalAt, createdAt }
    const changed = editable.filter((name) => !isSame(before[name], after[name]))
    if (changed.length === 0 || dryRun) return { before, after, changed }
    const change: DeviceChange = Object.fromEntries(changed.map((name) => [name, after[name]]))
    assert(await updateDevice(tx, id, change), 'devices are never deleted')
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'device.updated',
        subject: subjects.device(id),
        details: detailsOf(before, after, changed),
      }),
    )
    return { before, after, changed }
  })
}

export interface EditRequest {
  readonly id: DeviceId
  readonly edit: DeviceEdit
  readonly actor: string
  /** Says what would change and stores nothing. */
  readonly dryRun?: boolean
}

function withoutTags({
  tags: _tags,
  removeTags: _removeTags,
  ...fields
}: DeviceEdit): Omit<DeviceEdit, 'tags'> {
  return fields
}

function editedTags(
  { tags }: DeviceRecord,
  { tags: added = {}, removeTags = [] }: DeviceEdit,
): Record<string, string> {
  const removed = new Set(removeTags)
  return { ...Object.fromEntries(Object.entries(tags).filter(([name]) => !removed.has(name))), ...added }
}

/** Tags by name only: a telephone number or an owner is nobody's business for ever. */
function detailsOf(
  before: DeviceRecord,
  after: DeviceRecord,
  changed: readonly (keyof DeviceChange)[],
): FactDetails {
  const names = new Set([...Object.keys(before.tags), ...Object.keys(after.tags)])
  return Object.fromEntries(
    changed.map((field) => [
      field,
      field === 'tags'
        ? [...names].filter((name) => before.tags[name] !== after.tags[name]).sort()
        : { from: before[field], to: after[field] },
    ]),
  )
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}
