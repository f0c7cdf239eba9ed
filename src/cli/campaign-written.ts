/** The definition of a campaign from a file, from options, or from both: options win. */
import { InvalidArgumentError, Option, type Command } from 'commander'
import { Refusal } from '../base/errors.ts'
import { parseYaml } from '../config/yaml-file.ts'
import { forecastCampaign } from '../engine/inventory/forecast-read.ts'
import type { CliContext } from './context.ts'
import { collect, given, tagOption, wholeNumber } from './options.ts'

export interface EditOptions {
  readonly file?: string
  readonly rate?: number
  readonly exponential?: Written
  readonly window?: readonly Written[]
  readonly startAt?: string
  readonly endAt?: string
  readonly timeout?: number
  readonly approval?: 'manual' | 'automatic'
}

export interface DefinitionOptions extends EditOptions {
  readonly fromForecast?: boolean
  readonly all?: boolean
  readonly profile?: string
  readonly cohort?: string
  readonly batch?: string
  readonly site?: string
  readonly tag?: readonly (readonly [string, string])[]
  readonly issuer?: string
  readonly keyAlgorithm?: string
  readonly expiringBefore?: string
  readonly lastSeenBefore?: string
  readonly canary?: number | 'off'
  readonly wave?: readonly number[]
  readonly soak?: string
}

type Written = Readonly<Record<string, unknown>>

export function addDefinitionOptions(command: Command): Command {
  command
    .option('--file <file>', 'definition as YAML or JSON; - is standard input')
    .option('--from-forecast', 'the highest cliff of `cert expiry --flatten`, renewed early')
    .option('--all', 'every device')
    .option('--profile <name>', 'devices of this profile')
    .option('--cohort <name>', 'of this cohort')
    .option('--batch <name>', 'of this manufacturing run')
    .option('--site <name>', 'at this site')
    .addOption(
      new Option('--tag <name=value>', 'with this tag; may be repeated').argParser(collect(tagOption)),
    )
    .option('--issuer <name>', 'whose certificate this issuer signed')
    .option('--key-algorithm <name>', 'whose key is of this kind, such as rsa-2048')
    .option('--expiring-before <when>', 'whose certificate ends before: 2027-06-01, or 90d from now')
    .option('--last-seen-before <when>', 'not heard from since: 2026-09-01, or 30d ago')
    .addOption(
      new Option('--canary <percent>', 'share of the first wave, or off (0.1, at least 50)').argParser(
        canaryOption,
      ),
    )
    .addOption(
      new Option(
        '--wave <percent>',
        'share of a further wave; may be repeated; the rest is the last',
      ).argParser(collect(percentOption)),
    )
    .option('--soak <duration>', 'between one wave and the next (1d)')
  return addEditOptions(command, 'per wave after the canary: manual waits for `campaign approve`')
}

export function addEditOptions(command: Command, approval: string): Command {
  return command
    .addOption(
      new Option('--rate <n>', 'devices per minute at most (maximumPerMinute)').argParser(
        wholeNumber(1, 1_000_000),
      ),
    )
    .addOption(
      new Option(
        '--exponential <base:factor:things>',
        'begin at base per minute, times factor each time so many were asked',
      ).argParser(exponentialOption),
    )
    .addOption(
      new Option('--window <cron/minutes>', 'maintenance window at the site; may be repeated').argParser(
        collect(windowOption),
      ),
    )
    .option('--start-at <instant>', 'let nobody in before')
    .option('--end-at <instant>', 'let nobody in from here on')
    .addOption(
      new Option('--timeout <minutes>', 'asked so long ago without an answer counts as timed out').argParser(
        wholeNumber(1, 525_600),
      ),
    )
    .addOption(new Option('--approval <how>', approval).choices(['manual', 'automatic']))
}

/** What campaign-read.ts reads. @throws Refusal `campaign-invalid` with the line when the file does not parse */
export async function writtenDefinition(cli: CliContext, options: DefinitionOptions): Promise<Written> {
  const { profile, cohort, batch, site, issuer, keyAlgorithm, expiringBefore, lastSeenBefore } = options
  const file =
    options.fromForecast === true
      ? await forecastCampaign((await cli.app()).engine, cli.clock.now())
      : await readFile(cli, options.file)
  const tags = options.tag === undefined ? undefined : Object.fromEntries(options.tag)
  const columns = { profile, cohort, batch, site, tags, issuer, keyAlgorithm, expiringBefore, lastSeenBefore }
  const selection = given({ all: options.all, ...columns })
  return {
    ...file,
    ...part(file, 'selection', selection),
    ...wavesOf(file, options),
    ...rolloutOf(file, options),
  }
}

/** What `edit` changes. */
export async function writtenEdit(
  cli: CliContext,
  options: EditOptions,
  before: { readonly waves: readonly { readonly name: string }[]; readonly scheduling: Written },
): Promise<Written> {
  const file = await readFile(cli, options.file)
  const approvals =
    options.approval === undefined
      ? {}
      : { approvals: Object.fromEntries(before.waves.map((_, wave) => [String(wave), options.approval])) }
  // a window that is given on the command line replaces the windows, and leaves start and end as they are
  const base = 'schedulingConfig' in file ? file : { ...file, schedulingConfig: before.scheduling }
  const { schedulingConfig, ...changed } = rolloutOf(base, options)
  return {
    ...file,
    ...changed,
    ...(schedulingConfig === undefined ? {} : { schedulingConfig }),
    ...approvals,
  }
}

function wavesOf(file: Written, { canary, wave, soak, approval }: DefinitionOptions): Written {
  const common = given({ soak })
  const first =
    canary === 'off'
      ? { canary: 'off' }
      : part(file, 'canary', { ...common, ...given({ percentage: canary }) })
  if (wave === undefined && approval === undefined && soak === undefined) return first
  const listed = wave?.map((percentage) => ({ percentage })) ?? file['waves'] ?? []
  if (!Array.isArray(listed)) return first
  const waves = (listed as readonly object[]).map((each) =>
    Object.assign({}, each, common, given({ approval })),
  )
  // the wave of what is left has no entry of its own: it gets one, so that approval holds for it too
  const isAll = sumOf(waves) >= 100 || waves.some((each) => !('percentage' in each))
  const rest = isAll || approval === undefined ? [] : [{ ...common, approval }]
  return { ...first, waves: [...waves, ...rest] }
}

function sumOf(waves: readonly object[]): number {
  return waves.reduce((sum, wave) => sum + ('percentage' in wave ? Number(wave.percentage) : 0), 0)
}

function rolloutOf(file: Written, options: EditOptions): Record<string, unknown> {
  const { rate, exponential, window, startAt, endAt, timeout } = options
  return {
    ...part(file, 'rollout', given({ maximumPerMinute: rate, exponentialRate: exponential })),
    ...part(
      file,
      'schedulingConfig',
      given({ startTime: startAt, endTime: endAt, maintenanceWindows: window }),
    ),
    ...part(file, 'timeoutConfig', given({ inProgressTimeoutInMinutes: timeout })),
  }
}

/** The part of the file with what the options say otherwise; nothing when they say nothing. */
function part(file: Written, key: string, changes: object): Record<string, unknown> {
  if (Object.keys(changes).length === 0) return {}
  const before = file[key]
  const isPart = typeof before === 'object' && before !== null && !Array.isArray(before)
  return { [key]: { ...(isPart ? before : {}), ...changes } }
}

async function readFile(cli: CliContext, file: string | undefined): Promise<Written> {
  if (file === undefined) return {}
  const yaml = await parseYaml(Buffer.from(await cli.readInput(file)).toString('utf8'))
  const [error] = yaml.errors
  if (error) throw new Refusal('campaign-invalid', `${file}:${error.line}: ${error.message}`)
  const { value } = yaml
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Refusal('campaign-invalid', `${file} holds no definition: it must be keys with values`)
  return value as Written
}

function canaryOption(text: string): number | 'off' {
  return text === 'off' ? 'off' : percentOption(text)
}

function percentOption(text: string): number {
  const match = /^([0-9]{1,3}(?:\.[0-9]{1,3})?) ?%?$/.exec(text)
  const value = Number(match?.[1])
  if (match && value > 0 && value <= 100) return value
  throw new InvalidArgumentError('It must be a share in percent, such as 0.5 or 10.')
}

function exponentialOption(text: string): Written {
  const match = /^([0-9]{1,7}):([0-9](?:\.[0-9])?):([0-9]{1,9})$/.exec(text)
  if (!match) throw new InvalidArgumentError('It must be base:factor:things, such as 50:1.5:10000.')
  return {
    baseRatePerMinute: Number(match[1]),
    incrementFactor: Number(match[2]),
    rateIncreaseCriteria: { numberOfNotifiedThings: Number(match[3]) },
  }
}

function windowOption(text: string): Written {
  const match = /^(cron\(.*\))\/([0-9]{1,4})$/.exec(text.trim())
  if (match) return { startTime: match[1], durationInMinutes: Number(match[2]) }
  throw new InvalidArgumentError(
    'It must be cron(0 2 ? * * *)/180: when it begins, and for how many minutes.',
  )
}
