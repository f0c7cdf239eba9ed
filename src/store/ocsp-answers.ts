/** Signed OCSP answers. What an answer says is true only while the standing of its certificate is the one beside it. */
import type { Instant } from '../base/clock.ts'
import { prepared, preparedRows } from './prepared.ts'
import type { Queries, Tx } from './schema.ts'

export interface StoredOcspAnswer {
  /** SHA-256 of the CertID. */
  readonly question: Uint8Array
  /** What it says about the certificate, in the words of the engine. */
  readonly standing: string
  readonly producedAt: Instant
  readonly nextUpdate: Instant
  readonly der: Uint8Array
}

// index: primary key of ocsp_answers
const selectAnswer = prepared((db, p: { question: Uint8Array }) =>
  db
    .selectFrom('ocsp_answers')
    .select(['question', 'standing', 'produced_at', 'next_update', 'der'])
    .where('question', '=', p.question),
)

export async function findOcspAnswer(q: Queries, question: Uint8Array): Promise<StoredOcspAnswer | null> {
  const row = (await selectAnswer(q, { question })).rows[0]
  if (!row) return null
  const { standing, produced_at: producedAt, next_update: nextUpdate, der } = row
  return { question: row.question, standing, producedAt, nextUpdate, der }
}

const putAnswers = preparedRows((db, rows: StoredOcspAnswer[]) =>
  db
    .insertInto('ocsp_answers')
    .values(
      rows.map(({ question, standing, producedAt, nextUpdate, der }) => ({
        question,
        standing,
        produced_at: producedAt,
        next_update: nextUpdate,
        der,
      })),
    )
    .onConflict((on) =>
      on.column('question').doUpdateSet((set) => ({
        standing: set.ref('excluded.standing'),
        produced_at: set.ref('excluded.produced_at'),
        next_update: set.ref('excluded.next_update'),
        der: set.ref('excluded.der'),
      })),
    ),
)

/** Each in the place of the one before it. No question twice; in order, so that two writers cannot wait in a circle. */
export async function putOcspAnswers(tx: Tx, answers: readonly StoredOcspAnswer[]): Promise<void> {
  await putAnswers(
    tx,
    answers.toSorted((a, b) => Buffer.compare(a.question, b.question)),
  )
}

// index: ocsp_answers_lapsed
const selectLapsed = prepared((db, p: { now: Instant; limit: number }) =>
  db.selectFrom('ocsp_answers').select('question').where('next_update', '<', p.now).limit(p.limit),
)
const deleteAnswers = preparedRows((db, rows: { question: Uint8Array }[]) =>
  db.deleteFrom('ocsp_answers').where(
    'question',
    'in',
    rows.map(({ question }) => question),
  ),
)

/** @returns how many */
export async function deleteLapsedOcspAnswers(tx: Tx, now: Instant, limit: number): Promise<number> {
  const { rows } = await selectLapsed(tx, { now, limit })
  await deleteAnswers(tx, rows)
  return rows.length
}
