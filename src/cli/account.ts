import { userInfo } from 'node:os'
import { actors } from '../engine/audit/audit.ts'

/** Who is at the command line, for the audit log: the account of the operating system, or the number of one without a name. */
export function commandLineActor(): string {
  try {
    return actors.commandLine(userInfo().username)
  } catch {
    return actors.commandLine(String(process.getuid?.() ?? 'unknown'))
  }
}
