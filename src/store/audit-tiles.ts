/** The hashes of the sealed log in tiles of up to 256; the last tile of a level grows until it is full. */
import { sql } from 'kysely'
import { preparedRows } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'

export interface AuditTileRecord {
  readonly level: number
  readonly tile: number
  /** 32 bytes each, one after the other. */
  readonly hashes: Uint8Array
}

const upsertTiles = preparedRows<AuditTileRecord, never>((db, rows) =>
  db
    .insertInto('audit_tiles')
    .values(rows.map((row) => ({ level: row.level, tile: row.tile, hashes: row.hashes })))
    .onConflict((on) => on.columns(['level', 'tile']).doUpdateSet({ hashes: sql`excluded.hashes` })),
)

/** Overwrites tiles that are there. */
export async function writeTiles(tx: Tx, tiles: readonly AuditTileRecord[]): Promise<void> {
  await upsertTiles(tx, tiles)
}

const selectTiles = preparedRows<Pick<AuditTileRecord, 'level' | 'tile'>, AuditTileRecord>((db, rows) =>
  db
    .selectFrom('audit_tiles')
    .select(['level', 'tile', 'hashes'])
    .where('level', '=', rows[0]?.level ?? 0)
    .where(
      'tile',
      'in',
      rows.map(({ tile }) => tile),
    ),
)

/** @returns those that exist, in any order */
export async function readTiles(
  q: Queries,
  tiles: readonly Pick<AuditTileRecord, 'level' | 'tile'>[],
): Promise<AuditTileRecord[]> {
  const found: AuditTileRecord[] = []
  for (const wanted of Map.groupBy(tiles, (tile) => tile.level).values()) {
    const results = await selectTiles(q, wanted)
    found.push(...results.flatMap(({ rows }) => rows.map(toRecord)))
  }
  return found
}

/** In order of tiles. */
export async function listTiles(
  q: Queries,
  { level, fromTile, limit }: { readonly level: number; readonly fromTile: number; readonly limit: number },
): Promise<AuditTileRecord[]> {
  const rows = await q
    .selectFrom('audit_tiles')
    .select(['level', 'tile', 'hashes'])
    .where('level', '=', level)
    .where('tile', '>=', fromTile)
    .orderBy('tile')
    .limit(limit)
    .execute()
  return rows.map(toRecord)
}

function toRecord({ level, tile, hashes }: AuditTileRecord): AuditTileRecord {
  return { level, tile, hashes }
}
