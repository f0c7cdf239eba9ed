/** What the commands of `perennial agent` share. */
import { resolve } from 'node:path'
import { Option, type Command } from 'commander'
import type { StepResult } from '../agent/agent.ts'
import type { AgentHost } from '../agent/open-agent.ts'
import { Refusal } from '../base/errors.ts'
import type { CliContext } from './context.ts'

export interface StateOption {
  readonly state?: string
}

export function addStateOption(command: Command): Command {
  return command.addOption(
    new Option(
      '--state <dir>',
      'state directory of the agent (PERENNIAL_AGENT_STATE; default ./perennial-agent)',
    ),
  )
}

export function statePath(cli: CliContext, { state }: StateOption): string {
  return resolve(state ?? cli.env['PERENNIAL_AGENT_STATE'] ?? 'perennial-agent')
}

/** What every agent on the command line is made with; what it does is told on standard error. */
export function parts(cli: CliContext): Pick<AgentHost, 'clock' | 'random' | 'onEvent' | 'pin'> {
  const { clock, random, output } = cli
  const pin = cli.env['PERENNIAL_AGENT_PIN']
  return { clock, random, pin, onEvent: ({ message }) => output.note(`  ${message}`) }
}

/** @throws Refusal with what kept the agent from its aim */
export function requireActivated({ outcome, detail, retryAt, isActivated }: StepResult, now: number): void {
  if (isActivated) return
  const retryAfterMs = retryAt === null ? null : Math.max(0, retryAt - now)
  const code = outcome === 'failed' ? 'server-unreachable' : 'server-refused'
  throw new Refusal(code, detail, retryAfterMs === null ? {} : { retryAfterMs })
}
