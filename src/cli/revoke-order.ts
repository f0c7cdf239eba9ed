/** Options that every kind of revocation has, and how they are read. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { Refusal } from '../base/errors.ts'
import {
  deviceReasons,
  fleetWords,
  issuerReasons,
  parseIssuerReason,
  parseReason,
} from '../engine/revocation/revocation-words.ts'
import { commandLineActor } from './account.ts'
import { given } from './options.ts'

export type Reason = ReturnType<typeof parseReason>

export interface OrderOptions {
  readonly reason: Reason
  readonly note?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

export function addOrderOptions(command: Command, reason: Option): Command {
  return command
    .addOption(reason)
    .option('--note <text>', 'what happened, in words; goes on record')
    .option('--dry-run', 'only say what would be revoked')
    .option('--yes', 'do it: a revocation cannot be taken back')
}

export function deviceReasonOption(): Option {
  return reasonOption([...Object.keys(fleetWords), ...deviceReasons], parseReason)
}

export function issuerReasonOption(): Option {
  return reasonOption([...Object.keys(fleetWords), ...issuerReasons], parseIssuerReason)
}

function reasonOption(words: readonly string[], parse: (text: string) => Reason): Option {
  return new Option('--reason <reason>', `why: ${words.join(', ')}`)
    .argParser((text) => {
      try {
        return parse(text)
      } catch (error) {
        if (error instanceof Refusal) throw new InvalidArgumentError(error.message)
        throw error
      }
    })
    .makeOptionMandatory()
}

export function orderOf({ reason, note }: OrderOptions): { reason: Reason; note?: string; actor: string } {
  return { reason, actor: commandLineActor(), ...given({ note }) }
}

export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`
}
