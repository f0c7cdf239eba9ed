/** What was done to a log, seen from the first entry that is not the one in its tile. Costs a pass over the log. */
import { equalBytes } from '../../base/bytes.ts'
import type { LogFault, LogFaultKind, LogSource } from './log-check.ts'
import { hashBytes, leafHash } from './merkle.ts'
import { tileWidth, widthAt } from './tile.ts'

export interface Misfit {
  readonly source: LogSource
  /** Entries that were sealed. */
  readonly size: number
  readonly index: number
  /** Hash of the entry that is at `index` now. */
  readonly computed: Uint8Array
  /** Hash of the entry that was sealed at `index`. */
  readonly stored: Uint8Array
}

/**
 * The entry now at `index` may have been sealed further on (`cameFrom`), and the entry sealed at `index` may be further
 * on now (`wentTo`). Both: two entries changed places or one was moved. Only the first, and the entries after it follow
 * it: something before them is gone. Only the second, likewise: something was put in. Neither: the entry was changed.
 */
export async function diagnose(misfit: Misfit): Promise<LogFault> {
  const { index } = misfit
  const cameFrom = await findStored(misfit)
  const wentTo = await findEntry(misfit)
  const fault = (kind: LogFaultKind, count: number, detail: string): LogFault => ({
    kind,
    index,
    count,
    detail,
  })
  if (cameFrom !== null && wentTo !== null) {
    return fault(
      'reordered',
      1,
      `the entry at ${index} was sealed at ${cameFrom}, and the one sealed here is at ${wentTo}`,
    )
  }
  if (cameFrom !== null && (await isShifted(misfit, index, cameFrom))) {
    const count = cameFrom - index
    return fault(
      'deleted',
      count,
      `${plural(count)} at ${index} gone: what was sealed at ${cameFrom} stands there now`,
    )
  }
  if (wentTo !== null && (await isShifted(misfit, wentTo, index))) {
    const count = wentTo - index
    return fault(
      'inserted',
      count,
      `${plural(count)} at ${index} never sealed: what was sealed there is at ${wentTo}`,
    )
  }
  return fault('changed', 1, `the bytes of entry ${index} are not those that were sealed`)
}

function plural(count: number): string {
  return count === 1 ? 'one entry is' : `${count} entries are`
}

/** Where the entry that is now at `index` was sealed, if that is further on. */
async function findStored({ source, size, index, computed }: Misfit): Promise<number | null> {
  for (let tile = Math.floor(index / tileWidth); tile * tileWidth < size; tile += 1) {
    const hashes = await source.tile({ level: 0, index: tile }, widthAt({ level: 0, index: tile }, size))
    if (!hashes) continue
    for (let at = 0; at < hashes.byteLength; at += hashBytes) {
      const position = tile * tileWidth + at / hashBytes
      if (position > index && equalBytes(hashes.subarray(at, at + hashBytes), computed)) return position
    }
  }
  return null
}

/** Where the entry that was sealed at `index` is now, if that is further on. */
async function findEntry({ source, index, stored }: Misfit): Promise<number | null> {
  for await (const batch of source.entries(index + 1)) {
    for (const { index: position, entry } of batch) {
      if (equalBytes(leafHash(entry), stored)) return position
    }
  }
  return null
}

/** True when also the next entry of the one sequence is the next of the other, or when both end. */
async function isShifted({ source, size }: Misfit, entryAt: number, sealedAt: number): Promise<boolean> {
  const entry = await entryHash(source, entryAt + 1)
  const sealed = sealedAt + 1 < size ? await sealedHash(source, size, sealedAt + 1) : null
  if (entry === null || sealed === null) return true
  return equalBytes(entry, sealed)
}

async function entryHash(source: LogSource, index: number): Promise<Uint8Array | null> {
  for await (const batch of source.entries(index)) {
    const first = batch[0]
    if (first) return first.index === index ? leafHash(first.entry) : null
  }
  return null
}

async function sealedHash(source: LogSource, size: number, index: number): Promise<Uint8Array | null> {
  const tile = { level: 0, index: Math.floor(index / tileWidth) }
  const hashes = await source.tile(tile, widthAt(tile, size))
  const at = (index % tileWidth) * hashBytes
  return hashes && hashes.byteLength >= at + hashBytes ? hashes.subarray(at, at + hashBytes) : null
}
