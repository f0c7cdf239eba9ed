/**
 * The check of a whole log, wherever it lies: every entry is hashed again and held against the tiles and the signed
 * roots. It reads in a stream and holds one tile at a time, whatever the length of the log. Only when something is
 * wrong does it look around, to say which entry it is and what was done to it.
 */
import { equalBytes } from '../../base/bytes.ts'
import { hashBytes, inclusionProof, leafHash, verifyInclusion } from './merkle.ts'
import { diagnose } from './log-diagnosis.ts'
import { subtreeReader, tileWidth, widthAt, type TileCoordinates } from './tile.ts'
import { TileTree, type Tile } from './tile-tree.ts'

export interface LogEntry {
  readonly index: number
  readonly entry: Uint8Array
}

/** Where a log is read from: the store, or an exported directory. */
export interface LogSource {
  /** Batches in order of their indexes, from `from` to the last one there is; a missing index is simply not there. */
  entries(from: number): AsyncIterable<readonly LogEntry[]>
  /** The tile's first `width` hashes, fewer when it has fewer, null when it is not there. */
  tile(tile: TileCoordinates, width: number): Promise<Uint8Array | null>
}

/** A root that was signed: its signature has been checked. */
export interface Anchor {
  readonly size: number
  readonly rootHash: Uint8Array
}

export type LogFaultKind =
  | 'changed' // the entry is not the one that was sealed
  | 'deleted' // the entry is gone and later ones are there
  | 'inserted' // the entry was never sealed
  | 'reordered' // the entry was sealed at another place
  | 'truncated' // this entry and all after it are gone
  | 'tile-missing' // a tile is gone or too short
  | 'tile-changed' // the entries are as they were signed, a tile is not

export interface LogFault {
  readonly kind: LogFaultKind
  /** First entry that is wrong. */
  readonly index: number
  /** Entries that may be wrong, from `index` on, where it cannot be said more exactly; 1 where it can. */
  readonly count: number
  readonly detail: string
}

export interface LogCheck {
  readonly source: LogSource
  /** Entries to check: the size of the last anchor. */
  readonly size: number
  /** In order of their sizes; the last one is the whole log. */
  readonly anchors: AsyncIterable<Anchor>
  /** Called with each batch of entries before `size`, in order, before it is known to be good. */
  readonly onEntries?: (entries: readonly LogEntry[]) => Promise<void>
  /** Called now and then with the number of entries checked. */
  readonly onProgress?: (done: number) => void
}

/** @returns the first thing that is wrong, or null when the log is the one that was signed */
export async function checkLog(check: LogCheck): Promise<LogFault | null> {
  const walk = new LogWalk(check)
  try {
    return await walk.run()
  } finally {
    await walk.close()
  }
}

class LogWalk {
  readonly #check: LogCheck
  readonly #tree = new TileTree()
  readonly #anchors: AsyncIterator<Anchor>
  #anchor: Anchor | null = null
  /** The last anchor passed: what is before it is as it was signed. */
  #trusted: Anchor | null = null
  /** Leaf hashes since the last tile boundary. */
  #leaves: Uint8Array[] = []
  /** A tile above level 0 that does not fit the entries: whether it or the entries are wrong, the next root tells. */
  #suspect: (TileCoordinates & { readonly hash: number }) | null = null

  constructor(check: LogCheck) {
    this.#check = check
    this.#anchors = check.anchors[Symbol.asyncIterator]()
  }

  async run(): Promise<LogFault | null> {
    const { source, size, onEntries, onProgress } = this.#check
    await this.#nextAnchor()
    let index = 0
    if (size > 0) {
      for await (const batch of source.entries(0)) {
        const wanted = batch.filter((entry) => entry.index < size)
        for (const entry of wanted) {
          if (entry.index !== index) return await this.#stopAt(index, 'deleted')
          index += 1
          const fault = this.#take(entry) ? await this.#settle() : null
          if (fault) return fault
        }
        await onEntries?.(wanted)
        onProgress?.(index)
        if (index >= size) break
      }
    }
    return index < size ? await this.#stopAt(index, 'truncated') : this.#suspectTile()
  }

  async close(): Promise<void> {
    await this.#anchors.return?.()
  }

  /** @returns true when there is something to hold the entries against: a tile ends here, or a root was signed here */
  #take({ entry }: LogEntry): boolean {
    const leaf = leafHash(entry)
    this.#leaves.push(leaf)
    this.#tree.append(leaf)
    const done = this.#tree.size
    return done % tileWidth === 0 || done === this.#check.size || done === this.#anchor?.size
  }

  async #settle(): Promise<LogFault | null> {
    const done = this.#tree.size
    const isEnd = done === this.#check.size
    if (isEnd || done % tileWidth === 0) {
      const tiles = isEnd ? this.#tree.takeTiles() : this.#tree.takeFullTiles()
      const fault = (await this.#checkLeaves()) ?? (await this.#checkUpperTiles(tiles))
      if (fault) return fault
    }
    while (done === this.#anchor?.size) {
      const fault = await this.#checkRoot(this.#anchor)
      if (fault) return fault
    }
    return null
  }

  /** The leaf hashes of the tile that just ended, or of its part that could be read, against the stored tile. */
  async #checkLeaves(): Promise<LogFault | null> {
    const { source, size } = this.#check
    const leaves = this.#leaves
    if (leaves.length === 0) return null
    const first = this.#tree.size - leaves.length
    const tile = { level: 0, index: Math.floor(first / tileWidth) }
    const width = widthAt(tile, size)
    const stored = await source.tile(tile, width)
    if (!stored || stored.byteLength !== width * hashBytes) return missingTile(tile, width, stored)
    for (const [i, leaf] of leaves.entries()) {
      const hash = stored.subarray(i * hashBytes, (i + 1) * hashBytes)
      if (equalBytes(hash, leaf)) continue
      const repaired = Buffer.concat([...leaves, stored.subarray(leaves.length * hashBytes)])
      return await this.#diagnose({ index: first + i, computed: leaf, stored: hash, repaired })
    }
    this.#leaves = []
    return null
  }

  async #diagnose({ index, computed, stored, repaired }: Mismatch): Promise<LogFault> {
    const { source, size } = this.#check
    const anchor = await this.#lastAnchor()
    const tile = Math.floor(index / tileWidth)
    const claim = { source, size, index, leaf: computed, tile, hashes: repaired }
    if (anchor && (await isIncluded({ ...claim, root: anchor.rootHash }))) {
      const detail = `entry ${index} is as it was signed, its hash in tile/0/${tile} is not`
      return { kind: 'tile-changed', index, count: 1, detail }
    }
    return await diagnose({ source, size, index, computed, stored })
  }

  /** Full tiles above the leaves follow from the leaves; a difference is settled by the next signed root. */
  async #checkUpperTiles(tiles: readonly Tile[]): Promise<LogFault | null> {
    for (const { level, index, hashes } of tiles) {
      if (level === 0) continue
      const width = hashes.byteLength / hashBytes
      const stored = await this.#check.source.tile({ level, index }, width)
      if (!stored || stored.byteLength !== hashes.byteLength)
        return missingTile({ level, index }, width, stored)
      for (let hash = 0; hash < width && this.#suspect === null; hash += 1) {
        const [from, to] = [hash * hashBytes, (hash + 1) * hashBytes]
        if (!equalBytes(hashes.subarray(from, to), stored.subarray(from, to)))
          this.#suspect = { level, index, hash }
      }
    }
    return null
  }

  async #checkRoot(anchor: Anchor): Promise<LogFault | null> {
    if (!equalBytes(this.#tree.root(), anchor.rootHash)) {
      // in the middle of a tile its leaves have not been looked at yet, and they may name the entry
      return (await this.#checkLeaves()) ?? this.#changedBefore(anchor)
    }
    // every root so far fits, hence the entries are those that were signed, and a suspect tile is not
    const fault = this.#suspectTile()
    if (fault) return fault
    this.#trusted = anchor
    await this.#nextAnchor()
    return null
  }

  /** Entries and tiles agree with each other, but not with what was signed: both were rewritten. */
  #changedBefore(anchor: Anchor): LogFault {
    let from = this.#trusted?.size ?? 0
    let to = anchor.size
    if (this.#suspect) {
      const { level, index, hash } = this.#suspect
      const span = tileWidth ** level
      const first = (index * tileWidth + hash) * span
      // a suspect before the last good root is a second fault beside this one and narrows nothing
      if (first + span > from && first < to) {
        from = Math.max(from, first)
        to = Math.min(to, first + span)
      }
    }
    const detail = `entries ${from} to ${to - 1} with their tiles are not those that the checkpoint at ${anchor.size} signed`
    return { kind: 'changed', index: from, count: to - from, detail }
  }

  #suspectTile(): LogFault | null {
    if (!this.#suspect) return null
    const { level, index, hash } = this.#suspect
    const span = tileWidth ** level
    const first = (index * tileWidth + hash) * span
    const detail = `hash ${hash} of tile/${level}/${index} is not that of the entries below it, which are as they were signed`
    return { kind: 'tile-changed', index: first, count: span, detail }
  }

  /** The walk ends early; what was read of the last tile may be wrong already, and then that is the first fault. */
  async #stopAt(index: number, kind: 'deleted' | 'truncated'): Promise<LogFault> {
    const earlier = await this.#checkLeaves()
    if (earlier && earlier.kind !== 'tile-missing') return earlier
    const detail = kind === 'deleted' ? `entry ${index} is not there` : `the log ends before entry ${index}`
    return { kind, index, count: kind === 'deleted' ? 1 : this.#check.size - index, detail }
  }

  async #nextAnchor(): Promise<void> {
    const next = await this.#anchors.next()
    this.#anchor = next.done === true ? null : next.value
  }

  async #lastAnchor(): Promise<Anchor | null> {
    let last = this.#anchor
    for (let next = await this.#anchors.next(); next.done !== true; next = await this.#anchors.next())
      last = next.value
    return last
  }
}

interface Mismatch {
  readonly index: number
  readonly computed: Uint8Array
  readonly stored: Uint8Array
  /** The tile with the hashes of the entries in place of its own. */
  readonly repaired: Uint8Array
}

interface InclusionClaim {
  readonly source: LogSource
  readonly size: number
  readonly index: number
  readonly leaf: Uint8Array
  readonly root: Uint8Array
  /** The level-0 tile whose hashes are taken from here instead of from the source. */
  readonly tile: number
  readonly hashes: Uint8Array
}

/** True when the entry's leaf leads to the signed root by way of its neighbours and the stored tiles. */
async function isIncluded({
  source,
  size,
  index,
  leaf,
  root,
  tile,
  hashes,
}: InclusionClaim): Promise<boolean> {
  let isReadable = true
  const read = subtreeReader(size, async (wanted, width) => {
    const bytes = width * hashBytes
    if (wanted.level === 0 && wanted.index === tile) return hashes
    const stored = await source.tile(wanted, width)
    if (stored?.byteLength === bytes) return stored
    isReadable = false
    return new Uint8Array(bytes)
  })
  const proof = await inclusionProof(index, size, read)
  return isReadable && verifyInclusion({ leaf, index, size, proof, root })
}

function missingTile({ level, index }: TileCoordinates, width: number, stored: Uint8Array | null): LogFault {
  const first = index * tileWidth ** (level + 1)
  const what = stored ? `has ${stored.byteLength} bytes of ${width * hashBytes}` : 'is not there'
  const detail = `tile/${level}/${index}, ${width} hashes wide, ${what}`
  return { kind: 'tile-missing', index: first, count: width * tileWidth ** level, detail }
}
