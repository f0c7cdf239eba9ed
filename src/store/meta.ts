/** A few words about this installation: its id, when it was made. */
import type { Queries, Tx } from './schema.ts'

export async function readMeta(q: Queries, key: string): Promise<string | null> {
  const row = await q.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst()
  return row?.value ?? null
}

/** @returns the value that counts: the first one written stays */
export async function writeMetaOnce(tx: Tx, key: string, value: string): Promise<string> {
  await tx
    .insertInto('meta')
    .values({ key, value })
    .onConflict((on) => on.column('key').doNothing())
    .execute()
  return (await readMeta(tx, key)) ?? value
}

export async function writeMeta(tx: Tx, key: string, value: string): Promise<void> {
  await tx
    .insertInto('meta')
    .values({ key, value })
    .onConflict((on) => on.column('key').doUpdateSet({ value }))
    .execute()
}
