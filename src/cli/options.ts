/** Options that several commands share, and how their values are read. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import type { Instant } from '../base/clock.ts'
import { parseDuration } from '../base/duration.ts'
import {
  parseDeviceId,
  parseIssuerId,
  parseSerialNumber,
  type DeviceId,
  type IssuerId,
  type SerialNumber,
} from '../base/id.ts'
import type { Page, PageRequest } from '../store/page.ts'
import type { CliContext } from './context.ts'

export interface ListOptions {
  readonly limit?: number
  readonly all?: boolean
}

/** A person wants a screenful; a program that is told less than everything would be told a lie. */
const terminalLimit = 100
const pageSize = 1_000

export function addListOptions(command: Command): Command {
  return command
    .addOption(new Option('--limit <n>', 'show at most this many').argParser(wholeNumber(1, 1_000_000_000)))
    .option(
      '--all',
      `show all (the default is ${terminalLimit} on a terminal, all in a pipe and with --json)`,
    )
}

export function rowLimit(cli: CliContext, { limit, all }: ListOptions): number | null {
  if (limit !== undefined) return limit
  return all === true || cli.output.isJson || !cli.output.isTerminal ? null : terminalLimit
}

/** All rows of a paged list, read as they are asked for; one more than `limit`, so that the end is known. */
export async function* everyPage<Row>(
  read: (request: PageRequest) => Promise<Page<Row>>,
  limit: number | null,
): AsyncGenerator<Row> {
  const size = limit === null ? pageSize : Math.min(pageSize, limit + 1)
  let after: string | null = null
  do {
    const page: Page<Row> = await read({ after, limit: size })
    yield* page.rows
    after = page.next
  } while (after !== null)
}

export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^[0-9]+$/.test(text) && value >= minimum && value <= maximum) return value
    throw new InvalidArgumentError(`It must be a whole number from ${minimum} to ${maximum}.`)
  }
}

/** `90d` → ms. */
export function durationOption(text: string): number {
  const ms = parseDuration(text)
  if (ms !== null) return ms
  throw new InvalidArgumentError('It must be a duration like 30s, 5m, 12h, 90d or 3y.')
}

/** `2026-11-20` or a full ISO 8601 instant with offset. */
export function instantOption(text: string): Instant {
  const isDay = /^\d{4}-\d{2}-\d{2}$/.test(text)
  const isInstant = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2})$/.test(text)
  const at = isDay || isInstant ? Date.parse(text) : NaN
  if (!Number.isNaN(at)) return at
  throw new InvalidArgumentError('It must be a day like 2026-11-20 or an instant like 2026-11-20T12:00:00Z.')
}

export function deviceIdArgument(text: string): DeviceId {
  const id = parseDeviceId(text)
  if (id !== null) return id
  throw new InvalidArgumentError(
    'A device id has 1 to 64 of A-Z a-z 0-9 . _ : - and begins with a letter or digit.',
  )
}

export function issuerIdArgument(text: string): IssuerId {
  const id = parseIssuerId(text)
  if (id !== null) return id
  throw new InvalidArgumentError('The name of an issuer has 1 to 64 of a-z, 0-9 and -.')
}

export function serialArgument(text: string): SerialNumber {
  const serial = parseSerialNumber(text)
  if (serial !== null) return serial
  throw new InvalidArgumentError('A serial number is hex, with or without colons.')
}

/** Collects a repeatable option. */
export function collect<Value>(parse: (text: string) => Value): (text: string, before?: Value[]) => Value[] {
  return (text, before = []) => [...before, parse(text)]
}

/** `name=value`. */
export function tagOption(text: string): readonly [string, string] {
  const match = /^([A-Za-z0-9_-]{1,64})=(.*)$/su.exec(text)
  if (match) return [match[1] as string, match[2] as string]
  throw new InvalidArgumentError('It must be name=value, the name of A-Z a-z 0-9 _ and -.')
}

/** The entries that are given, without the others: absent and undefined are not the same to a filter. */
export function given<Values extends object>(
  values: Values,
): { [Key in keyof Values]?: Exclude<Values[Key], undefined> } {
  const entries = Object.entries(values).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [Key in keyof Values]?: Exclude<Values[Key], undefined> }
}
