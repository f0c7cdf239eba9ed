/** `perennial crl`: the certificate revocation lists that are published, and any other. */
import { Argument, Option, type Command } from 'commander'
import { iso, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import type { IssuerId } from '../base/id.ts'
import {
  crlByNumber,
  crlHistory,
  currentCrl,
  type CrlRecord,
  type PublishedCrl,
} from '../engine/revocation/crl.ts'
import { checkCrls, compareCrls, type CrlDifference, type CrlFinding } from '../engine/revocation/crl-diff.ts'
import { publishNow } from '../engine/revocation/crl-publish.ts'
import { parseCrl, type Crl } from '../pki/crl-read.ts'
import { formatGeneralName } from '../pki/general-name-text.ts'
import { formatName } from '../pki/name-text.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { issuerIdArgument, wholeNumber } from './options.ts'
import type { Json } from './output.ts'
import { formatFields } from './table.ts'
import { describeLeft, instant } from './time.ts'

export function registerCrl(program: Command, cli: CliContext): void {
  const crl = program.command('crl')
  registerPublished(crl, cli)
  registerFiles(crl, cli)
}

const issuerArgument = (): Argument =>
  new Argument('<issuer>', 'name of the CA, such as issuing').argParser(issuerIdArgument)

interface ScopeOptions {
  readonly shard?: number
  readonly delta?: boolean
  readonly number?: number
}

function addScopeOptions(command: Command): Command {
  return command
    .addOption(
      new Option('--shard <n>', 'this partition instead of the complete CRL').argParser(wholeNumber(0, 4095)),
    )
    .option('--delta', 'the delta CRL instead of the complete one')
    .addOption(
      new Option('--number <n>', 'an earlier one, by its CRL number').argParser(wholeNumber(1, 2 ** 40)),
    )
}

function registerPublished(crl: Command, cli: CliContext): void {
  addExamples(
    crl
      .command('list')
      .description('list what was published, newest first in each scope')
      .addOption(new Option('--issuer <id>', 'of this CA').argParser(issuerIdArgument))
      .action(async ({ issuer }: { issuer?: IssuerId }) => list(cli, issuer)),
    [{ say: 'All of them', run: 'perennial crl list' }],
  )
  addExamples(
    crl
      .command('publish')
      .description('publish what is due now, where no `perennial serve` does it')
      .option('--anew', 'also those that are not due: with all of their lifetime before them')
      .action(async ({ anew = false }: { anew?: boolean }) => publish(cli, anew)),
    [{ say: 'Before CRLs are carried to a site without a link', run: 'perennial crl publish --anew' }],
  )
  addExamples(
    addScopeOptions(crl.command('show').description('show a published CRL').addArgument(issuerArgument()))
      .option('--entries', 'with every entry')
      .action(async (issuer: IssuerId, options: ScopeOptions & { entries?: boolean }) =>
        show(cli, await find(cli, issuer, options), options.entries ?? false),
      ),
    [
      { say: 'The complete CRL', run: 'perennial crl show issuing --entries' },
      { say: 'The partition that certificates point to', run: 'perennial crl show issuing --shard 0 --json' },
    ],
  )
  addExamples(
    addScopeOptions(
      crl
        .command('export')
        .description('write a published CRL: what nginx, Mosquitto or OpenSSL are given')
        .addArgument(issuerArgument()),
    )
      .addOption(new Option('--format <format>', 'pem or der').choices(['pem', 'der']).default('pem'))
      .option('--out <file>', 'write to this file instead of standard output')
      .action(async (issuer: IssuerId, options: ScopeOptions & ExportOptions) =>
        exportCrl(cli, issuer, options),
      ),
    [{ say: 'For a verifier', run: 'perennial crl export issuing --out issuing.crl' }],
  )
}

async function find(
  cli: CliContext,
  issuerId: IssuerId,
  { shard, delta = false, number }: ScopeOptions,
): Promise<PublishedCrl> {
  const { engine } = await cli.app()
  if (number !== undefined) return await crlByNumber(engine, issuerId, number)
  if (shard !== undefined && delta) throw new Refusal('invalid-input', 'shards have no delta CRL')
  const kind = delta ? 'delta' : shard === undefined ? 'complete' : 'shard'
  const found = await currentCrl(engine, { issuerId, kind, shard: shard ?? 0 })
  if (found) return found
  throw new Refusal('not-found', `${issuerId} has published no such CRL; run: perennial crl publish`)
}

async function list(cli: CliContext, issuer: IssuerId | undefined): Promise<void> {
  const { engine } = await cli.app()
  const now = cli.clock.now()
  await cli.output.list<CrlRecord>({
    columns: [
      { title: 'ISSUER', value: ({ issuerId }) => issuerId },
      { title: 'SCOPE', value: ({ kind, shard }) => (kind === 'shard' ? `shard ${shard}` : kind) },
      { title: 'NUMBER', value: ({ number }) => number },
      { title: 'THIS UPDATE', value: ({ thisUpdate }) => instant(thisUpdate) },
      { title: 'NEXT UPDATE', value: ({ nextUpdate }) => describeLeft(nextUpdate, now) },
      { title: 'ENTRIES', value: ({ entries }) => entries },
      { title: 'BYTES', value: ({ size }) => size },
    ],
    rows: await crlHistory(engine, issuer),
    json: recordJson,
    empty: 'No CRL was published yet; run: perennial crl publish',
  })
}

async function publish(cli: CliContext, isAnew: boolean): Promise<void> {
  const { engine } = await cli.app()
  const published = await publishNow(engine, isAnew)
  cli.output.answer({
    json: { published },
    text: () => (published === 0 ? 'Every CRL is up to date.' : `Published ${published} CRLs.`),
  })
}

function show(cli: CliContext, { record, der }: PublishedCrl, withEntries: boolean): void {
  const crl = parseCrl(der)
  const now = cli.clock.now()
  cli.output.answer({
    json: { ...recordJson(record), ...(withEntries ? { revoked: [...crl.entries()].map(entryJson) } : {}) },
    text: () => [...crlLines(crl, now, cli), ...(withEntries ? entryLines(crl) : [])].join('\n'),
  })
}

function crlLines(crl: Crl, now: Instant, { output }: CliContext): string[] {
  const { issuingDistributionPoint: point, nextUpdate } = crl
  return formatFields(
    [
      ['Issuer', formatName(crl.issuer)],
      ['Number', String(crl.crlNumber ?? 'none')],
      ['Completes', crl.baseCrlNumber === null ? null : `CRL ${crl.baseCrlNumber} and later ones`],
      ['This update', instant(crl.thisUpdate)],
      [
        'Next update',
        nextUpdate === null ? 'none' : `${instant(nextUpdate)} (${describeLeft(nextUpdate, now)})`,
      ],
      [
        'For',
        point?.fullName
          ? `certificates that point to ${point.fullName.map(formatGeneralName).join(', ')}`
          : null,
      ],
      ['Entries', crl.entryCount],
    ],
    output.style,
  )
}

function entryLines(crl: Crl): string[] {
  return [...crl.entries()].map(
    ({ serialNumber, revocationDate, reason }) => `  ${serialNumber}  ${instant(revocationDate)}  ${reason}`,
  )
}

interface ExportOptions {
  readonly format: 'pem' | 'der'
  readonly out?: string
}

async function exportCrl(
  cli: CliContext,
  issuer: IssuerId,
  { format, out, ...scope }: ScopeOptions & ExportOptions,
): Promise<void> {
  const { der } = await find(cli, issuer, scope)
  const data = format === 'der' ? der : encodePem('X509 CRL', der)
  if (out === undefined) return cli.output.raw(data)
  await writeFileAtomically(out, data, 0o644)
  cli.output.note(`Written to ${out}.`)
}

function registerFiles(crl: Command, cli: CliContext): void {
  addExamples(
    crl
      .command('diff')
      .summary('what changed from one CRL to the next, and whether it should have')
      .description(
        'What changed from one CRL to the next. With --issuer the inventory is asked as well: entries that went before the end of their certificate, and revoked certificates that lack, are found, and the exit code is 8.',
      )
      .argument('<before>', 'file, PEM or DER')
      .argument('<after>', 'file, PEM or DER')
      .addOption(
        new Option('--issuer <id>', 'check against the inventory of this CA').argParser(issuerIdArgument),
      )
      .action(async (before: string, after: string, { issuer }: { issuer?: IssuerId }) =>
        diff(cli, before, after, issuer),
      ),
    [{ say: 'Two files', run: 'perennial crl diff issuing.crl issuing.crl' }],
  )
}

async function diff(
  cli: CliContext,
  beforeFile: string,
  afterFile: string,
  issuer: IssuerId | undefined,
): Promise<void> {
  const [before, after] = [await readCrl(cli, beforeFile), await readCrl(cli, afterFile)]
  const { difference, findings } =
    issuer === undefined
      ? { difference: compareCrls(parseCrl(before), parseCrl(after)), findings: [] }
      : await checkCrls((await cli.app()).engine, issuer, before, after)
  cli.output.answer({ json: diffJson(difference, findings), text: () => diffText(difference, findings) })
  if (findings.length > 0)
    throw new Refusal('audit-invalid', `the second CRL breaks ${findings.length} rules`)
}

async function readCrl(cli: CliContext, file: string): Promise<Uint8Array> {
  const bytes = await cli.readInput(file)
  if (bytes[0] === 0x30) return bytes
  const block = decodePem(Buffer.from(bytes).toString('latin1')).find(({ label }) => label === 'X509 CRL')
  if (!block) throw new Refusal('malformed', `${file} holds no CRL, neither DER nor PEM (X509 CRL)`)
  return block.der
}

function diffText({ added, removed, changed }: CrlDifference, findings: readonly CrlFinding[]): string {
  return [
    `${added.length} added, ${removed.length} removed, ${changed.length} changed.`,
    ...added.map(({ serialNumber, reason }) => `  + ${serialNumber}  ${reason}`),
    ...removed.map(({ serialNumber, reason }) => `  - ${serialNumber}  ${reason}`),
    ...changed.map(({ before, after }) => `  ~ ${before.serialNumber}  ${before.reason} → ${after.reason}`),
    ...findings.map(({ kind, serialNumber, detail }) => `${kind}: ${serialNumber ?? 'the CRL'}: ${detail}`),
  ].join('\n')
}

function diffJson({ added, removed, changed }: CrlDifference, findings: readonly CrlFinding[]): Json {
  return {
    added: added.map(entryJson),
    removed: removed.map(entryJson),
    changed: changed.map(({ before, after }) => ({ before: entryJson(before), after: entryJson(after) })),
    findings: findings.map(({ kind, serialNumber, detail }) => ({ kind, serialNumber, detail })),
  }
}

type Entry = ReturnType<Crl['entries']> extends Generator<infer One> ? One : never

function entryJson({ serialNumber, revocationDate, reason }: Entry): Json {
  return { serialNumber, revocationDate: iso(revocationDate), reason }
}

function recordJson({ thisUpdate, nextUpdate, issuerId, kind, shard, ...rest }: CrlRecord): {
  readonly [key: string]: Json
} {
  const { number, baseNumber, entries, size, sha256 } = rest
  const times = { thisUpdate: iso(thisUpdate), nextUpdate: iso(nextUpdate) }
  return { issuerId, kind, shard, number, baseNumber, ...times, entries, size, sha256 }
}
