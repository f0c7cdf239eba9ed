/** The checkpoints of the log, for those who compare what they were shown. */
import { checkpointsBefore, type CheckpointRecord } from '../../store/checkpoints.ts'
import { assertLimit, pageOf, rowCursor, type Page, type PageRequest } from '../../store/page.ts'
import type { Engine } from '../context.ts'

export type { CheckpointRecord }

/** The newest first. */
export async function checkpointPage(
  { store }: Engine,
  { after, limit }: PageRequest,
): Promise<Page<CheckpointRecord>> {
  assertLimit(limit)
  const before = after === null || after === undefined ? Number.MAX_SAFE_INTEGER : rowCursor(after)
  const rows = await checkpointsBefore(store.db, before, limit + 1)
  return pageOf(rows, limit, ({ size }) => String(size))
}
