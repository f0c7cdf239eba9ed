/** `perennial proposal`: acts that wait for a second person. */
import { Argument, Option, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { printable } from '../base/text.ts'
import { proposalKindOf, proposalKinds } from '../engine/proposals/proposal-kinds.ts'
import {
  decideProposal,
  proposalHandler,
  proposals,
  propose,
  requireProposal,
  type Proposal,
  type ProposalRecord,
  type ProposalState,
} from '../engine/proposals/proposal.ts'
import { runTasks } from '../engine/tasks.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { addListOptions, everyPage, given, rowLimit, wholeNumber, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { formatFields } from './table.ts'
import { ago, instant } from './time.ts'

const states = [
  'open',
  'approved',
  'rejected',
  'expired',
  'done',
  'failed',
] as const satisfies ProposalState[]

export function registerProposal(program: Command, cli: CliContext): void {
  const proposal = program.command('proposal')
  const id = () => new Argument('<number>', 'as `proposal list` shows it').argParser(wholeNumber(1, 2 ** 40))
  addExamples(
    addListOptions(
      proposal
        .command('list')
        .description('list acts that somebody asked for, newest first')
        .addOption(new Option('--state <state>', 'in this state').choices(states)),
    ).action(async (options: ListOptions & { state?: ProposalState }) => await list(cli, options)),
    [{ say: 'What waits for you', run: 'perennial proposal list --state open' }],
  )
  addExamples(
    proposal
      .command('show')
      .description('show what exactly would be done, who asked for it, and what came of it')
      .addArgument(id())
      .action(async (number: number) => await show(cli, number)),
    [{ say: 'Read it before you decide', run: 'perennial proposal show 1', exit: 5 }],
  )
  for (const [verb, decision, say] of [
    ['approve', 'approved', 'allow what somebody else asked for; it is done at once'],
    ['reject', 'rejected', 'do not allow it'],
  ] as const) {
    addExamples(
      proposal
        .command(verb)
        .description(say)
        .addArgument(id())
        .option('--note <text>', 'why; goes on record')
        .action(
          async (number: number, { note }: { note?: string }) =>
            await decide(cli, { id: number, decision, ...given({ note }) }),
        ),
      [
        {
          say: 'Not your own: somebody else decides',
          run: `perennial proposal ${verb} 1 --note "seen with the plant"`,
          exit: 5,
        },
      ],
    )
  }
}

/** For commands whose act needs a second person. */
export async function fileProposal(
  cli: CliContext,
  { kind, payload, why = null }: { kind: string; payload: Proposal['payload']; why?: string | null },
): Promise<void> {
  const { engine } = await cli.app()
  const record = await propose(engine, {
    kind: proposalKindOf(kind),
    payload,
    why,
    actor: commandLineActor(),
  })
  cli.output.answer({
    json: { proposal: proposalJson(record) },
    text: () =>
      [
        `Nothing is done yet. This needs a second person: proposal ${record.id}, open until ${instant(record.expiresAt)}.`,
        `  ${printable(record.summary)}`,
        `Somebody else decides: perennial proposal approve ${record.id}`,
      ].join('\n'),
  })
}

async function list(
  cli: CliContext,
  { state, ...options }: ListOptions & { readonly state?: ProposalState },
): Promise<void> {
  const { engine } = await cli.app()
  const limit = rowLimit(cli, options)
  const now = cli.clock.now()
  await cli.output.list<ProposalRecord>({
    columns: [
      { title: 'NUMBER', value: ({ id }) => id },
      { title: 'STATE', value: (row) => stateOf(row, now) },
      { title: 'ASKED BY', value: ({ requestedBy }) => requestedBy },
      { title: 'ASKED', value: ({ requestedAt }) => ago(requestedAt, now) },
      { title: 'DECIDED BY', value: ({ decidedBy }) => decidedBy },
      { title: 'WHAT', value: ({ summary }) => summary, shrink: true },
    ],
    rows: everyPage((request) => proposals(engine, { ...request, ...given({ state }) }), limit),
    json: proposalJson,
    empty: 'Nothing was ever proposed.',
    limit,
  })
}

async function show(cli: CliContext, id: number): Promise<void> {
  const { engine } = await cli.app()
  answer(cli, await requireProposal(engine, id))
}

async function decide(
  cli: CliContext,
  decision: { readonly id: number; readonly decision: 'approved' | 'rejected'; readonly note?: string },
): Promise<void> {
  const { engine } = await cli.app()
  let record = await decideProposal(engine, { ...decision, actor: commandLineActor() })
  if (record.state === 'approved') {
    // what waits is carried out here; where `perennial serve` was faster, it is done there
    const { signal } = new AbortController()
    await runTasks(engine, [proposalHandler(proposalKinds)], engine.clock.now(), signal)
    record = await requireProposal(engine, decision.id)
  }
  answer(cli, record)
}

function answer(cli: CliContext, record: ProposalRecord): void {
  const now = cli.clock.now()
  const { style } = cli.output
  const { id, summary, why, requestedBy, requestedAt, decidedBy, decidedAt, note, outcome } = record
  const decided = decidedBy === null || decidedAt === null ? null : `${decidedBy}, ${instant(decidedAt)}`
  cli.output.answer({
    json: proposalJson(record),
    text: () =>
      [
        style.bold(`Proposal ${id}: ${stateOf(record, now)}`),
        ...formatFields(
          [
            ['What', summary],
            ['Exactly', `${record.kind} ${record.payload}`],
            ['Why', why],
            ['Asked by', `${requestedBy}, ${instant(requestedAt)}`],
            ['Open until', record.state === 'open' ? instant(record.expiresAt) : null],
            ['Decided by', decided],
            ['Note', note],
            ['Outcome', outcome],
          ],
          style,
        ).map((line) => `  ${line}`),
      ].join('\n'),
  })
}

/** What has lapsed is told at once, also where the job that says so has not come by. */
function stateOf({ state, expiresAt }: ProposalRecord, now: number): ProposalState {
  return state === 'open' && now >= expiresAt ? 'expired' : state
}

function proposalJson({ payload, requestedAt, expiresAt, decidedAt, endedAt, ...rest }: ProposalRecord): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    payload: JSON.parse(payload) as Json,
    requestedAt: iso(requestedAt),
    expiresAt: iso(expiresAt),
    decidedAt: decidedAt === null ? null : iso(decidedAt),
    endedAt: endedAt === null ? null : iso(endedAt),
  }
}
