/** Named leases with a fencing token, so that of several nodes one runs a job. */
import { sql } from 'kysely'
import type { Instant } from '../base/clock.ts'
import { locked, prepared } from './prepared.ts'
import type { Tx } from './schema.ts'

export interface LeaseRequest {
  readonly name: string
  /** Unique to this process and start. */
  readonly holder: string
  readonly now: Instant
  readonly ttlMs: number
}

const upsertLease = prepared((db, p: { name: string; holder: string; now: Instant; expiresAt: Instant }) =>
  db
    .insertInto('leases')
    .values({ name: p.name, holder: p.holder, token: 1, expires_at: p.expiresAt })
    .onConflict((on) =>
      on
        .column('name')
        .doUpdateSet({
          holder: sql`excluded.holder`,
          expires_at: sql`excluded.expires_at`,
          token: sql`case when leases.holder = excluded.holder and leases.expires_at > cast(${p.now} as bigint)
            then leases.token else leases.token + 1 end`,
        })
        .where(
          sql<boolean>`leases.holder = excluded.holder or leases.expires_at <= cast(${p.now} as bigint)`,
        ),
    )
    .returning('token'),
)

/**
 * Takes or renews the lease. The token grows whenever the lease changes hands, and when its own holder let it lapse.
 * @returns null when another holder has it
 */
export async function acquireLease(
  tx: Tx,
  request: LeaseRequest,
): Promise<{ readonly token: number } | null> {
  const { name, holder, now, ttlMs } = request
  const { rows } = await upsertLease(tx, { name, holder, now, expiresAt: now + ttlMs })
  return rows[0] ? { token: rows[0].token } : null
}

const selectToken = prepared((db, p: { name: string }) =>
  locked(db, db.selectFrom('leases').select('token').where('name', '=', p.name)),
)

/** Whether this token is still the latest one; when it is, nobody can take the lease before this transaction ends. */
export async function checkFence(
  tx: Tx,
  { name, token }: { readonly name: string; readonly token: number },
): Promise<boolean> {
  return (await selectToken(tx, { name })).rows[0]?.token === token
}

/** Lets the next holder in at once. @returns false when the lease was lost already */
export async function releaseLease(
  tx: Tx,
  { name, token }: { readonly name: string; readonly token: number },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('leases')
    .set({ expires_at: 0 })
    .where('name', '=', name)
    .where('token', '=', token)
    .executeTakeFirst()
  return numUpdatedRows === 1n
}
