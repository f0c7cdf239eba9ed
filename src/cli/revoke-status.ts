/** `perennial revoke status`: where a revocation has taken effect, when, and what is open. */
import { Argument, Option, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseDeviceId, parseIssuerId, parseSerialNumber, type IssuerId } from '../base/id.ts'
import { printable } from '../base/text.ts'
import type { Engine } from '../engine/context.ts'
import { certificatesBySerial } from '../engine/inventory/inventory.ts'
import {
  certificateRevocationStatus,
  deviceRevocationStatus,
  issuerRevocationStatus,
  type RevocationStatus,
} from '../engine/revocation/revocation-status.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { issuerIdArgument } from './options.ts'
import { instant } from './time.ts'

interface StatusOptions {
  readonly issuer?: IssuerId
}

export function registerStatus(revoke: Command, cli: CliContext): void {
  addExamples(
    revoke
      .command('status')
      .description(
        'where the revocation of a device, a certificate or an issuer has taken effect, and what is open',
      )
      .addArgument(new Argument('<id>', 'device id, serial number, or name of an issuer'))
      .addOption(
        new Option('--issuer <id>', 'when two issuers used the same serial number').argParser(
          issuerIdArgument,
        ),
      )
      .action(async (id: string, options: StatusOptions) => await status(cli, id, options)),
    [{ say: 'Is it really out?', run: 'perennial revoke status demo-gateway-002' }],
  )
}

async function status(cli: CliContext, id: string, options: StatusOptions): Promise<void> {
  const { engine } = await cli.app()
  const found = await find(engine, id, options)
  const { style } = cli.output
  const { subject, decidedAt, reason, caseId, surfaces } = found
  const width = Math.max(...surfaces.map(({ surface }) => surface.length))
  const paint = { done: style.green, open: style.yellow, failed: style.red, none: (text: string) => text }
  cli.output.answer({
    json: {
      subject,
      decidedAt: iso(decidedAt),
      reason,
      case: caseId,
      surfaces: surfaces.map((each) =>
        Object.assign({}, each, { at: each.at === null ? null : iso(each.at) }),
      ),
    },
    text: () =>
      [
        style.bold(`${printable(subject)}: ${reason ?? 'nothing was revoked'}, ${instant(decidedAt)}`),
        ...surfaces.map(({ surface, state, at, detail }) =>
          [
            `  ${surface.padEnd(width)}  ${paint[state](state.padEnd(6))}`,
            at === null ? ' '.repeat(20) : instant(at),
            printable(detail ?? ''),
          ]
            .join('  ')
            .trimEnd(),
        ),
        ...(caseId === null ? [] : [`Case ${caseId} is open: perennial case show ${caseId}`]),
      ].join('\n'),
  })
}

/** A device before a serial number before an issuer: names of devices are the operator's own. */
async function find(engine: Engine, id: string, { issuer }: StatusOptions): Promise<RevocationStatus> {
  const attempts: (() => Promise<RevocationStatus>)[] = []
  const [device, serial, name] = [parseDeviceId(id), parseSerialNumber(id), parseIssuerId(id)]
  if (device !== null && issuer === undefined) attempts.push(() => deviceRevocationStatus(engine, device))
  if (serial !== null) {
    attempts.push(async () => {
      const rows = (await certificatesBySerial(engine, serial)).filter(
        ({ issuerId }) => issuer === undefined || issuerId === issuer,
      )
      const [row, ...others] = rows
      if (!row) throw new Refusal('not-found', `there is no certificate ${serial}`)
      if (others.length > 0)
        throw new Refusal('invalid-input', 'two issuers have used it: name one with --issuer')
      return await certificateRevocationStatus(engine, row)
    })
  }
  if (name !== null && issuer === undefined) attempts.push(() => issuerRevocationStatus(engine, name))
  let first: Refusal | null = null
  for (const attempt of attempts) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== 'not-found') throw error
      first ??= error
    }
  }
  throw first ?? new Refusal('not-found', `there is no device, certificate or issuer ${id}`)
}
