/** Named checks behind /readyz. */
import { Refusal } from '../base/errors.ts'

export interface HealthCheck {
  readonly name: string
  /** True: what is wrong is shown, and is no reason to take the process out of the load balancer. */
  readonly isWarning?: boolean
  /** Resolves when all is well; throws what is wrong. */
  run(): Promise<void>
}

export interface HealthReport {
  readonly isReady: boolean
  readonly checks: readonly {
    readonly name: string
    readonly isWarning: boolean
    readonly problem: string | null
  }[]
}

/** Runs all checks, in parallel; one that fails does not hide the others. */
export async function checkHealth(checks: readonly HealthCheck[]): Promise<HealthReport> {
  const results = await Promise.all(
    checks.map(async ({ name, isWarning = false, run }) => ({
      name,
      isWarning,
      problem: await problemOf(run),
    })),
  )
  return {
    isReady: results.every(({ problem, isWarning }) => problem === null || isWarning),
    checks: results,
  }
}

/** The text of `?verbose`: one line per check. */
export function formatHealth(report: HealthReport): string {
  const lines = report.checks.map(({ name, isWarning, problem }) => {
    if (problem === null) return `[+] ${name} ok`
    return isWarning ? `[!] ${name} warning: ${problem}` : `[-] ${name} failed: ${problem}`
  })
  return [...lines, report.isReady ? 'ready' : 'not ready', ''].join('\n')
}

/** Only a Refusal's words are made for others; anything else could carry a connection string. */
async function problemOf(run: () => Promise<void>): Promise<string | null> {
  try {
    await run()
    return null
  } catch (error) {
    return error instanceof Refusal ? error.message : 'internal error, see the log'
  }
}
