/** The sealed log's tree as the store keeps it: tiles in, subtree hashes and roots out. */
import { Refusal } from '../../base/errors.ts'
import { readTiles } from '../../store/audit-tiles.ts'
import { latestSigned } from '../../store/checkpoints.ts'
import type { Queries } from '../../store/schema.ts'
import { hashBytes, rangeHash } from './merkle.ts'
import { partialTiles, subtreeReader, widthAt, type TileReader } from './tile.ts'
import { TileTree, type Tile } from './tile-tree.ts'

/** Reads tiles of the store; one that has grown since answers with its first hashes. */
export function storedTiles(q: Queries): TileReader {
  return async ({ level, index }, width) => {
    const [row] = await readTiles(q, [{ level, tile: index }])
    const stored = row?.hashes.byteLength ?? 0
    if (!row || stored < width * hashBytes) {
      throw new Refusal(
        'audit-invalid',
        `tile ${level}/${index} of the audit log has ${stored / hashBytes} hashes of ${width}; run audit verify`,
      )
    }
    return row.hashes.subarray(0, width * hashBytes)
  }
}

/** The growing edge of the tree at `size`. Throws Refusal `audit-invalid` when a tile of the edge is missing. */
export async function resumeTree(q: Queries, size: number): Promise<TileTree> {
  const read = storedTiles(q)
  const partials: Tile[] = []
  for (const tile of partialTiles(size)) {
    partials.push({ ...tile, hashes: await read(tile, widthAt(tile, size)) })
  }
  return TileTree.resume(size, partials)
}

/** Root of the first `size` entries, as the stored tiles say. */
export async function rootAt(q: Queries, size: number): Promise<Uint8Array> {
  return await rangeHash({ from: 0, to: size }, subtreeReader(size, storedTiles(q)))
}

export interface SignedCheckpoint {
  readonly size: number
  readonly rootHash: Uint8Array
  readonly note: string
}

/** The latest checkpoint that has its signature. Throws Refusal `not-found` when nothing is sealed yet. */
export async function latestSignedCheckpoint(q: Queries): Promise<SignedCheckpoint> {
  const signed = await latestSigned(q)
  if (!signed) throw new Refusal('not-found', 'nothing is sealed in the audit log yet: try again in a minute')
  return signed
}
