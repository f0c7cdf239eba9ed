/**
 * What paid triggers have cost so far, in rows of `meta`: `spent.<channel>.day.<YYYY-MM-DD>` and
 * `spent.<channel>.campaign.<id>`. Not counters: a cap must hold at the instant of spending, over all nodes, and a sum that
 * is written at the end of a unit cannot say no.
 */
import { sql } from 'kysely'
import type { Queries, Tx } from './schema.ts'

/**
 * Adds the amount if the sum stays within the cap. The row stays locked until the unit ends: charge the day before the
 * campaign, everywhere, so that two units cannot wait for each other in a circle.
 * @returns false when it would not; nothing is changed then
 */
export async function spend(tx: Tx, key: string, amount: number, cap: number): Promise<boolean> {
  if (amount > cap) return false
  const sum = sql`cast(meta.value as bigint) + cast(${amount} as bigint)`
  const rows = await tx
    .insertInto('meta')
    .values({ key, value: String(amount) })
    .onConflict((on) =>
      on
        .column('key')
        .doUpdateSet({ value: sql`cast(${sum} as text)` })
        .where(sql<boolean>`${sum} <= cast(${cap} as bigint)`),
    )
    .returning('key')
    .execute()
  return rows.length === 1
}

/** Takes back what was charged for a message that never left. */
export async function unspend(tx: Tx, key: string, amount: number): Promise<void> {
  await tx
    .updateTable('meta')
    .set({ value: sql`cast(cast(meta.value as bigint) - cast(${amount} as bigint) as text)` })
    .where('key', '=', key)
    .execute()
}

/** 0 when nothing was spent. */
export async function readSpending(q: Queries, key: string): Promise<number> {
  const row = await q.selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst()
  return row ? Number(row.value) : 0
}

/** Drops the sums whose key lies in [from, before): of days that are over. Primary key range. */
export async function forgetSpending(tx: Tx, from: string, before: string): Promise<void> {
  await tx.deleteFrom('meta').where('key', '>=', from).where('key', '<', before).execute()
}
