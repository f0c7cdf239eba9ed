/** `perennial case`: what has to be found out about devices that were taken out of service. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { Argument, Option, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import {
  addToCase,
  caseDetails,
  casePage,
  openCase,
  verdicts,
  type CaseDetails,
  type CaseEntry,
  type CaseRecord,
  type Verdict,
} from '../engine/cases/case.ts'
import { closeCase, closeCasesOf, type ClosedCase } from '../engine/cases/verdict.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import {
  addListOptions,
  deviceIdArgument,
  everyPage,
  given,
  rowLimit,
  wholeNumber,
  type ListOptions,
} from './options.ts'
import type { Json } from './output.ts'
import { formatFields } from './table.ts'
import { ago, instant } from './time.ts'

const number = wholeNumber(1, 2 ** 40)

export function registerCase(program: Command, cli: CliContext): void {
  const command = program.command('case')
  registerWriting(command, cli)
  registerClosing(command, cli)
  registerReading(command, cli)
}

const caseNumber = () => new Argument('<number>', 'as `case list` shows it').argParser(number)

function registerWriting(command: Command, cli: CliContext): void {
  addExamples(
    command
      .command('open')
      .description('take a device out of service until somebody has looked; nothing is revoked')
      .addArgument(new Argument('<device>', 'device id').argParser(deviceIdArgument))
      .option('--note <text>', 'why')
      .action(async (deviceId: DeviceId, { note }: { note?: string }) => {
        const { engine } = await cli.app()
        const record = await openCase(engine, { deviceId, actor: commandLineActor(), ...given({ note }) })
        answer(cli, await caseDetails(engine, record.id))
      }),
    [
      {
        say: 'Something is odd about it',
        run: 'perennial case open demo-meter-001 --note "answers from two addresses"',
      },
    ],
  )
  addExamples(
    command
      .command('note')
      .description('write down what was found')
      .addArgument(caseNumber())
      .argument('<text>', 'in words')
      .action(async (id: number, note: string) => {
        const { engine } = await cli.app()
        await addToCase(engine, { id, note, actor: commandLineActor() })
        answer(cli, await caseDetails(engine, id))
      }),
    [{ say: 'The seal', run: 'perennial case note 1 "the seal of the housing is broken"' }],
  )
  addExamples(
    command
      .command('evidence')
      .description('put a file on record: its name, size and SHA-256; the file itself stays where it is')
      .addArgument(caseNumber())
      .argument('<file>', 'what was found')
      .option('--note <text>', 'what it shows')
      .action(async (id: number, path: string, { note = null }: { note?: string | null }) => {
        const { engine } = await cli.app()
        await addToCase(engine, { id, note, file: await hashed(path), actor: commandLineActor() })
        answer(cli, await caseDetails(engine, id))
      }),
    [
      {
        say: 'A log from the device',
        run: 'perennial case evidence 1 fleet.csv --note "as it was exported"',
      },
    ],
  )
}

interface CloseOptions {
  readonly verdict: Verdict
  readonly note?: string
  readonly revocation?: number
}

function registerClosing(command: Command, cli: CliContext): void {
  addExamples(
    command
      .command('close')
      .summary('say what came of it: cleared, replaced, destroyed, compromised')
      .description(
        [
          'Close a case. cleared: the device is back in service, and what was on hold is good again; what was revoked stays',
          'revoked, so it needs a new enrolment secret. replaced, destroyed: it is decommissioned. compromised: that too, and its',
          'keys never get a certificate again.',
        ].join('\n'),
      )
      .addArgument(caseNumber().argOptional())
      .addOption(new Option('--verdict <verdict>', 'what was found').choices(verdicts).makeOptionMandatory())
      .addOption(
        new Option('--revocation <number>', 'every open case of this batch of revocations').argParser(number),
      )
      .option('--note <text>', 'why')
      .action(async (id: number | undefined, options: CloseOptions) => await close(cli, id ?? null, options)),
    [
      {
        say: 'Nothing was wrong',
        run: 'perennial case close 1 --verdict cleared --note "a technician had it"',
      },
      {
        say: 'All of a shipment',
        run: 'perennial case close --revocation 1 --verdict destroyed --note "found burnt"',
      },
    ],
  )
}

function registerReading(command: Command, cli: CliContext): void {
  addExamples(
    addListOptions(
      command
        .command('list')
        .description('list cases, oldest first')
        .addOption(new Option('--device <id>', 'of this device').argParser(deviceIdArgument))
        .option('--open', 'only those that are open')
        .addOption(new Option('--revocation <number>', 'of this batch of revocations').argParser(number)),
    ).action(
      async (options: ListOptions & { device?: DeviceId; open?: boolean; revocation?: number }) =>
        await list(cli, options),
    ),
    [{ say: 'What waits for somebody', run: 'perennial case list --open' }],
  )
  addExamples(
    command
      .command('show')
      .description('show a case with its notes and evidence')
      .addArgument(caseNumber())
      .action(async (id: number) => {
        const { engine } = await cli.app()
        answer(cli, await caseDetails(engine, id))
      }),
    [{ say: 'All of it', run: 'perennial case show 1' }],
  )
}

/** Read as a stream: a disk image is evidence too. */
async function hashed(path: string): Promise<NonNullable<CaseEntry['file']>> {
  const hash = createHash('sha256')
  let size = 0
  try {
    for await (const part of createReadStream(path)) {
      hash.update(part as Uint8Array)
      size += (part as Uint8Array).length
    }
  } catch (error) {
    throw new Refusal('invalid-input', `cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
    })
  }
  return { name: basename(path), sha256: hash.digest('hex'), size }
}

async function close(cli: CliContext, id: number | null, options: CloseOptions): Promise<void> {
  const { engine } = await cli.app()
  const { verdict, note, revocation } = options
  const closing = { verdict, actor: commandLineActor(), ...given({ note }) }
  if ((id === null) === (revocation === undefined))
    throw new Refusal('invalid-input', 'name one case, or --revocation for all of a batch')
  if (revocation !== undefined) {
    const progress = cli.progress('Closing cases', null)
    const closed = await closeCasesOf(engine, { ...closing, revocationId: revocation }, (done) =>
      progress.update(done),
    ).finally(() => progress.end())
    cli.output.answer({
      json: { revocation, verdict, closed },
      text: () => `Closed ${closed} case${closed === 1 ? '' : 's'} of revocation ${revocation}: ${verdict}.`,
    })
    return
  }
  answerClosed(cli, await closeCase(engine, { ...closing, id: id as number }))
}

/** What came of it, and what is to be done now. */
export function answerClosed(cli: CliContext, closed: ClosedCase): void {
  const { record, deviceState, released, needsSecret } = closed
  const { deviceId } = record
  cli.output.answer({
    json: {
      case: caseJson(record),
      deviceState,
      released: released.map(({ issuerId, serialNumber }) => `${issuerId}/${serialNumber}`),
      needsSecret,
    },
    text: () =>
      [
        `Case ${record.id} is closed: ${record.verdict}. Device ${deviceId} is ${deviceState}.`,
        ...released.map(({ issuerId, serialNumber }) => `  ${issuerId}/${serialNumber} is good again`),
      ].join('\n'),
  })
  if (!needsSecret) return
  cli.output.note(
    `It has no certificate to connect with. Give it a new secret: perennial device secret ${deviceId}`,
  )
}

async function list(
  cli: CliContext,
  options: ListOptions & {
    readonly device?: DeviceId
    readonly open?: boolean
    readonly revocation?: number
  },
): Promise<void> {
  const { engine } = await cli.app()
  const { device: deviceId, open: isOpen, revocation: revocationId, ...rest } = options
  const filter = given({ deviceId, isOpen, revocationId })
  const limit = rowLimit(cli, rest)
  const now = cli.clock.now()
  await cli.output.list<CaseRecord>({
    columns: [
      { title: 'NUMBER', value: ({ id }) => id },
      { title: 'DEVICE', value: (row) => row.deviceId },
      { title: 'REASON', value: ({ reason }) => reason },
      { title: 'OPENED', value: ({ openedAt }) => ago(openedAt, now) },
      { title: 'BY', value: ({ openedBy }) => openedBy },
      { title: 'VERDICT', value: ({ verdict }) => verdict ?? 'open' },
    ],
    rows: everyPage((request) => casePage(engine, { ...request, filter }), limit),
    json: caseJson,
    empty: 'There is no such case.',
    limit,
  })
}

function answer(cli: CliContext, { record, entries, deviceState }: CaseDetails): void {
  const { style } = cli.output
  const { id, deviceId, reason, openedBy, openedAt, verdict, closedBy, closedAt } = record
  const closed = closedAt === null ? null : `${instant(closedAt)} by ${closedBy}`
  cli.output.answer({
    json: { ...caseJson(record), deviceState, entries: entries.map(entryJson) },
    text: () =>
      [
        style.bold(`Case ${id}: ${verdict ?? 'open'}`),
        ...formatFields(
          [
            ['Device', `${deviceId} (${deviceState ?? 'not in the inventory'})`],
            ['Revoked for', reason],
            ['Opened', `${instant(openedAt)} by ${openedBy}`],
            ['Closed', closed],
          ],
          style,
        ).map((line) => `  ${line}`),
        ...entries.flatMap(({ at, actor, note, file }) => [
          `  ${instant(at)} ${actor}${note === null ? '' : `: ${printable(note)}`}`,
          ...(file === null ? [] : [`    ${file.name}, ${file.size} bytes, SHA-256 ${file.sha256}`]),
        ]),
      ].join('\n'),
  })
}

function entryJson({ at, actor, note, file }: CaseEntry): Json {
  return { at: iso(at), actor, note, file: file === null ? null : { ...file } }
}

function caseJson({ openedAt, closedAt, ...rest }: CaseRecord): { readonly [key: string]: Json } {
  return { ...rest, openedAt: iso(openedAt), closedAt: closedAt === null ? null : iso(closedAt) }
}
