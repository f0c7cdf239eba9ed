/** A fact of the audit log as the API shows it. */
import { Type, type Static } from 'typebox'
import { isoMs, readFact, type FactRecord } from '../../engine/audit/audit.ts'
import { object } from '../route.ts'
import { instant, nullable } from '../schemas.ts'
import { text } from './values.ts'

export const factSchema = object(
  {
    id: Type.Integer(),
    at: instant,
    action: text,
    subject: text,
    actor: text,
    reason: nullable(text),
    details: Type.Record(Type.String(), Type.Unknown()),
    logIndex: nullable(Type.Integer({ description: 'Place in the sealed log; null until it is sealed.' })),
  },
  { $id: 'Fact' },
)

export function factView(record: FactRecord): Static<typeof factSchema> {
  const { id, at, logIndex } = record
  const { action, subject, actor, reason, details } = readFact(record.entry)
  return { id, at: isoMs(at), action, subject, actor, reason, details: { ...details }, logIndex }
}
