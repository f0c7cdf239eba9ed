/**
 * Tiles of C2SP tlog-tiles: 256 neighbouring hashes of one tree level (every eighth level of the tree is kept), and
 * bundles of the 256 entries under a level-0 tile. Names, widths and encodings; no reading or writing.
 */
import { assert } from '../../base/errors.ts'
import { hashBytes, perfectRoot, type SubtreeReader } from './merkle.ts'

/** Hashes in a full tile, entries in a full bundle. */
export const tileWidth = 256
/** Tree levels that one tile spans. */
const tileHeight = 8

/** The `index`-th tile of tile level `level`; its hashes are those of tree level 8 × `level`. */
export interface TileCoordinates {
  readonly level: number
  readonly index: number
}

/** Hashes (or, at level 0, entries) that the tile has in a tree of `size` leaves: 0 when it is not there yet. */
export function widthAt({ level, index }: TileCoordinates, size: number): number {
  const hashes = Math.floor(size / tileWidth ** level)
  return Math.max(0, Math.min(tileWidth, hashes - index * tileWidth))
}

/** The tiles on the right edge that are not full, lowest level first: what appending needs to know. */
export function partialTiles(size: number): TileCoordinates[] {
  const tiles: TileCoordinates[] = []
  let hashes = size
  for (let level = 0; hashes > 0; level += 1) {
    if (hashes % tileWidth !== 0) tiles.push({ level, index: Math.floor(hashes / tileWidth) })
    hashes = Math.floor(hashes / tileWidth)
  }
  return tiles
}

/** Every tile of a tree of `size` leaves, level by level. */
export function* allTiles(size: number): Generator<TileCoordinates> {
  let hashes = size
  for (let level = 0; hashes > 0; level += 1) {
    for (let index = 0; index * tileWidth < hashes; index += 1) yield { level, index }
    hashes = Math.floor(hashes / tileWidth)
  }
}

/** `tile/0/x001/x234/067`, and `.p/W` after it when the tile is W < 256 hashes wide. */
export function tilePath({ level, index }: TileCoordinates, width: number): string {
  return `tile/${level}/${indexPath(index)}${partialSuffix(width)}`
}

/** `tile/entries/x001/x234/067`, and `.p/W` after it when the bundle has W < 256 entries. */
export function bundlePath(index: number, width: number): string {
  return `tile/entries/${indexPath(index)}${partialSuffix(width)}`
}

/** Each entry as its length in 16 bits, big-endian, and its bytes. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const entry of entries) {
    assert(entry.byteLength <= 0xffff, 'the length of an entry is written in 16 bits')
    const length = Buffer.alloc(2)
    length.writeUInt16BE(entry.byteLength)
    parts.push(length, entry)
  }
  return Buffer.concat(parts)
}

export interface DecodedBundle {
  readonly entries: readonly Uint8Array[]
  /** False when the bundle ends inside an entry; what came before it is in `entries`. */
  readonly isWhole: boolean
}

/** The entries of a bundle, views into it. */
export function decodeBundle(bundle: Uint8Array): DecodedBundle {
  const bytes = Buffer.from(bundle.buffer, bundle.byteOffset, bundle.byteLength)
  const entries: Uint8Array[] = []
  let at = 0
  while (at < bytes.byteLength) {
    const start = at + 2
    const end = start <= bytes.byteLength ? start + bytes.readUInt16BE(at) : Infinity
    if (end > bytes.byteLength) return { entries, isWhole: false }
    entries.push(bytes.subarray(start, end))
    at = end
  }
  return { entries, isWhole: true }
}

/** Hashes of the tile as stored: exactly `width` × 32 bytes. Throws Refusal `audit-invalid` where there is no such tile. */
export type TileReader = (tile: TileCoordinates, width: number) => Promise<Uint8Array>

/** Reads subtree hashes of a tree of `size` leaves out of its tiles. */
export function subtreeReader(size: number, readTile: TileReader): SubtreeReader {
  return async (treeLevel, subtree) => {
    const level = Math.floor(treeLevel / tileHeight)
    const count = 2 ** (treeLevel % tileHeight)
    const first = subtree * count
    const tile = { level, index: Math.floor(first / tileWidth) }
    const hashes = await readTile(tile, widthAt(tile, size))
    const start = (first % tileWidth) * hashBytes
    return perfectRoot(hashes.subarray(start, start + count * hashBytes))
  }
}

// Three digits at a time, so that no directory has more than a thousand names; all but the last are marked with x.
function indexPath(index: number): string {
  const groups = [threeDigits(index % 1_000)]
  for (let rest = Math.floor(index / 1_000); rest > 0; rest = Math.floor(rest / 1_000)) {
    groups.unshift(`x${threeDigits(rest % 1_000)}`)
  }
  return groups.join('/')
}

function partialSuffix(width: number): string {
  assert(width > 0 && width <= tileWidth, 'a tile has 1 to 256 hashes')
  return width === tileWidth ? '' : `.p/${width}`
}

function threeDigits(value: number): string {
  return String(value).padStart(3, '0')
}
