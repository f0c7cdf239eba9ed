/** `perennial ca`: the certificate authorities of this installation. */
import { Argument, Option, type Command } from 'commander'
import { sha256Hex } from '../base/bytes.ts'
import { iso, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import type { IssuerId } from '../base/id.ts'
import { defaultRootId, matterPaiId } from '../engine/issuing/default-profiles.ts'
import { issuerChain } from '../engine/issuing/issuer.ts'
import { addIssuer } from '../engine/issuing/issuer-proposal.ts'
import type { IssuerKind } from '../engine/issuing/issuer-plan.ts'
import { needsApproval } from '../engine/proposals/approval-rule.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { keyAlgorithms, type KeyAlgorithm } from '../pki/key.ts'
import { encodePem } from '../pki/pem.ts'
import type { IssuerRecord } from '../store/issuers.ts'
import { commandLineActor } from './account.ts'
import { certificateLines } from './certificate-view.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { durationOption, given, issuerIdArgument } from './options.ts'
import type { Json } from './output.ts'
import { fileProposal } from './proposal.ts'
import { formatFields, type Column } from './table.ts'
import { day } from './time.ts'

export function registerCa(program: Command, cli: CliContext): void {
  const ca = program.command('ca')
  registerReading(ca, cli)
  registerCreate(ca, cli)
}

function registerReading(ca: Command, cli: CliContext): void {
  addExamples(
    ca
      .command('list')
      .description('list the certificate authorities, external ones of imported certificates too')
      .action(async () => await list(cli)),
    [{ say: 'All of them', run: 'perennial ca list' }],
  )
  const id = () => new Argument('<id>', 'name of the CA, such as root or issuing').argParser(issuerIdArgument)
  addExamples(
    ca
      .command('show')
      .description('show a certificate authority and its certificate')
      .addArgument(id())
      .action(async (name: IssuerId) => await show(cli, name)),
    [{ say: 'The issuing CA', run: 'perennial ca show issuing' }],
  )
  addExamples(
    ca
      .command('export')
      .description('write the certificate of a CA: what devices and servers are given to trust')
      .addArgument(id().argOptional().default(defaultRootId))
      .addOption(new Option('--format <format>', 'pem or der').choices(['pem', 'der']).default('pem'))
      .option('--chain', 'followed by its issuers, root last (PEM)')
      .option('--out <file>', 'write to this file instead of standard output')
      .action(async (name: IssuerId, options: ExportOptions) => await exportCa(cli, name, options)),
    [
      { say: 'The root, to be trusted by devices', run: 'perennial ca export root --out root.pem' },
      { say: 'The issuing CA with its chain', run: 'perennial ca export issuing --chain' },
    ],
  )
}

function registerCreate(ca: Command, cli: CliContext): void {
  addExamples(
    ca
      .command('create')
      .summary('create a root, an intermediate, a Matter PAA or PAI with a new key')
      .description(
        [
          'Create a certificate authority with a new key: a root (25 years), an intermediate under a root (10 years), a Matter',
          'PAA, or a Matter PAI under a PAA. Profiles name the CA that signs: the profile matter-dac wants the PAI matter-pai.',
        ].join('\n'),
      )
      .addArgument(new Argument('<kind>', 'what to create').choices(['root', 'intermediate', 'paa', 'pai']))
      .addArgument(
        new Argument('[id]', 'its name; default: paa and matter-pai for Matter').argParser(issuerIdArgument),
      )
      .addOption(
        new Option(
          '--parent <id>',
          'who signs it; default: root for an intermediate, paa for a pai',
        ).argParser(issuerIdArgument),
      )
      .option('--subject <name>', 'RFC 4514, such as "CN=Example Issuing 2,O=Example Inc"')
      .addOption(new Option('--key <algorithm>', 'kind of its key').choices(keyAlgorithms).default('ec-p256'))
      .addOption(new Option('--validity <duration>', 'how long it lives (10y)').argParser(durationOption))
      .option('--vendor-id <hex>', 'Matter vendor id, four hex digits: FFF1')
      .option('--product-id <hex>', 'Matter product id of a PAI for one product')
      .action(
        async (kind: IssuerKind, id: IssuerId | undefined, options: CreateOptions) =>
          await create(cli, kind, id ?? null, options),
      ),
    [
      { say: 'A second issuing CA', run: 'perennial ca create intermediate issuing-2' },
      { say: 'A Matter PAA', run: 'perennial ca create paa --vendor-id FFF1' },
      { say: 'The PAI that the profile matter-dac wants', run: 'perennial ca create pai --vendor-id FFF1' },
    ],
  )
}

const columns = (now: Instant): readonly Column<IssuerRecord>[] => [
  { title: 'CA', value: (row) => row.id },
  { title: 'KIND', value: (row) => row.kind },
  {
    title: 'STATUS',
    value: (row) => statusOf(row, now),
    paint: (row, style) => (statusOf(row, now) === 'active' ? style.green : style.yellow),
  },
  { title: 'KEY', value: (row) => row.keyAlgorithm },
  { title: 'NOT AFTER', value: (row) => (row.kind === 'external' ? null : day(row.notAfter)) },
  { title: 'SIGNED BY', value: (row) => row.parentId ?? (row.kind === 'external' ? null : 'itself') },
  { title: 'SUBJECT', value: (row) => row.subject, shrink: true },
]

async function list(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  await cli.output.list({
    columns: columns(cli.clock.now()),
    rows: await engine.issuers.list(),
    json: issuerJson,
    empty: 'There is no certificate authority; run: perennial init',
  })
}

async function show(cli: CliContext, id: IssuerId): Promise<void> {
  const record = await find(cli, id)
  const now = cli.clock.now()
  const { style } = cli.output
  const certificate = record.certificate === null ? null : parseCertificate(record.certificate)
  cli.output.answer({
    json: { ...issuerJson(record), pem: certificate && encodePem('CERTIFICATE', certificate.der) },
    text: () =>
      [
        style.bold(record.id),
        ...formatFields(
          [
            ['Kind', record.kind],
            ['Status', statusOf(record, now)],
            ['Signed by', record.parentId ?? 'itself'],
            ['Key is held by', `${record.authority} (${record.keyReference})`],
            ['CRL shards', record.crlShards],
          ],
          style,
        ).map((line) => `  ${line}`),
        '',
        ...(certificate ? certificateLines(certificate, now, style) : ['It has no certificate here.']),
      ].join('\n'),
  })
}

interface ExportOptions {
  readonly format: 'pem' | 'der'
  readonly chain?: boolean
  readonly out?: string
}

async function exportCa(
  cli: CliContext,
  id: IssuerId,
  { format, chain = false, out }: ExportOptions,
): Promise<void> {
  const { certificate } = await find(cli, id)
  if (certificate === null) throw new Refusal('not-found', `the certificate of ${id} is not here`)
  if (chain && format === 'der') {
    throw new Refusal('invalid-input', '--chain needs --format pem: a DER file holds one certificate')
  }
  const certificates = chain ? await issuerChain((await cli.app()).engine, id) : [certificate]
  const data =
    format === 'der' ? certificate : certificates.map((der) => encodePem('CERTIFICATE', der)).join('')
  if (out === undefined) {
    cli.output.raw(data)
    return
  }
  await writeFileAtomically(out, data, 0o644)
  cli.output.note(`Written to ${out}. SHA-256 ${sha256Hex(certificate)}`)
}

interface CreateOptions {
  readonly parent?: IssuerId
  readonly subject?: string
  readonly key: KeyAlgorithm
  readonly validity?: number
  readonly vendorId?: string
  readonly productId?: string
}

async function create(
  cli: CliContext,
  kind: IssuerKind,
  name: IssuerId | null,
  options: CreateOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const id = name ?? usualNames[kind]
  if (!id) throw new Refusal('invalid-input', `give the new ${kind} a name: perennial ca create ${kind} NAME`)
  const isKnown = (await engine.issuers.list()).some((each) => each.id === id && each.certificate !== null)
  if (isKnown)
    throw new Refusal('already-exists', `there is a CA ${id} already; see: perennial ca show ${id}`)
  const { parent = usualParents[kind] ?? null, subject, key, validity } = options
  const input = {
    id,
    kind,
    parentId: parent,
    keyAlgorithm: key,
    ...given({
      subject: subject ?? matterSubject(kind, engine.settings.organization, options),
      validityMs: validity,
    }),
  }
  if (needsApproval(engine, 'issuer-create')) {
    await fileProposal(cli, { kind: 'issuer-create', payload: input })
    return
  }
  const record = await addIssuer(engine, { ...input, actor: commandLineActor() })
  cli.output.answer({
    json: issuerJson(record),
    text: () => `Created ${record.kind} ${record.id}, ${record.subject}, until ${day(record.notAfter)}.`,
  })
}

const usualNames: Readonly<Partial<Record<IssuerKind, IssuerId>>> = {
  paa: 'paa' as IssuerId,
  pai: matterPaiId,
}
const usualParents: Readonly<Partial<Record<IssuerKind, IssuerId>>> = {
  intermediate: defaultRootId,
  pai: 'paa' as IssuerId,
}

function matterSubject(
  kind: IssuerKind,
  organization: string,
  { vendorId, productId }: CreateOptions,
): string | undefined {
  if (vendorId === undefined && productId === undefined) return undefined
  if (kind !== 'paa' && kind !== 'pai') {
    throw new Refusal('invalid-input', '--vendor-id and --product-id are for Matter: paa and pai')
  }
  const name = `${organization} Matter ${kind.toUpperCase()}`.slice(0, 64).replace(/[,+"\\<>;=#]/g, '\\$&')
  const vid = vendorId === undefined ? '' : `,matterVid=${vendorId.toUpperCase()}`
  const pid = productId === undefined ? '' : `,matterPid=${productId.toUpperCase()}`
  return `CN=${name}${vid}${pid}`
}

async function find(cli: CliContext, id: IssuerId): Promise<IssuerRecord> {
  const { engine } = await cli.app()
  const issuers = await engine.issuers.list()
  const record = issuers.find((each) => each.id === id)
  if (record) return record
  const names = issuers.map((each) => each.id).join(', ')
  throw new Refusal('not-found', `there is no CA ${id}; there are ${names}`)
}

function statusOf({ kind, status, certificate, notAfter }: IssuerRecord, now: Instant): string {
  if (kind === 'external') return 'external'
  if (certificate === null) return 'unfinished'
  return notAfter < now ? 'expired' : status
}

function issuerJson({ certificate, notBefore, notAfter, createdAt, ...rest }: IssuerRecord): {
  readonly [key: string]: Json
} {
  return {
    ...rest,
    sha256: certificate && sha256Hex(certificate),
    serialNumber: certificate && parseCertificate(certificate).serialNumber,
    notBefore: iso(notBefore),
    notAfter: iso(notAfter),
    createdAt: iso(createdAt),
  }
}
