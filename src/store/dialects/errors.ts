/** What both engines mean by the same words. */
import { isPostgresUniqueViolation } from './postgres.ts'
import { isSqliteUniqueViolation } from './sqlite.ts'

/** Two rows with the same value in a unique index. */
export function isUniqueViolation(error: unknown): boolean {
  return isSqliteUniqueViolation(error) || isPostgresUniqueViolation(error)
}
