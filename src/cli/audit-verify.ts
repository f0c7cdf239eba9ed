/** `audit verify`: of the installation, of an export, of a proof. */
import { toHex } from '../base/bytes.ts'
import { Refusal, refusalRules } from '../base/errors.ts'
import { readFact } from '../engine/audit/audit.ts'
import { memoryCheckpoint } from '../engine/audit/checkpoint.ts'
import type { AuditKeeper } from '../engine/context.ts'
import type { Finding } from '../engine/audit/audit-findings.ts'
import { verifyAuditLog, type VerifyReport } from '../engine/audit/audit-verify.ts'
import { verifyExport, type ExportCheck } from '../engine/audit/exported-log.ts'
import { encodeVerifierKey, parseVerifierKey, type NoteVerifier } from '../engine/audit/signed-note.ts'
import { verifyProof } from '../engine/audit/tlog-proof.ts'
import { stepProgress } from './audit-progress.ts'
import type { CliContext } from './context.ts'
import { FoundProblems } from './failure.ts'
import type { Json } from './output.ts'
import { formatFields, formatTable, type Column } from './table.ts'

interface VerifyOptions {
  readonly export?: string
  readonly proof?: string
  readonly key?: string
  readonly checkpoint?: string
}

export async function verify(cli: CliContext, options: VerifyOptions): Promise<void> {
  if (options.checkpoint !== undefined && options.proof !== undefined) {
    throw new Refusal(
      'invalid-input',
      '--checkpoint goes with --export or with the installation, not with --proof',
    )
  }
  if (options.proof !== undefined) return await checkProof(cli, options.proof, await readKey(cli, options))
  if (options.export !== undefined) return await checkExport(cli, options.export, options)
  await checkInstallation(cli, options)
}

async function checkInstallation(cli: CliContext, options: VerifyOptions): Promise<void> {
  const { engine } = await cli.app()
  const audit = await trusted(cli, engine.audit, options)
  const progress = stepProgress(cli)
  const report = await verifyAuditLog(
    { store: engine.store, audit },
    {
      onProgress: (step, done, total) => progress.update(`Checking ${step}`, done, total),
    },
  )
  progress.end()
  const key = encodeVerifierKey(audit.signer)
  cli.output.answer({
    json: { ...reportJson(report), ...installationJson(report), key },
    text: () =>
      [
        ...formatFields(
          [
            ['Log', report.origin],
            ['Key', key],
            ['Entries', report.size],
            ['Root hash', report.rootHash && toHex(report.rootHash)],
            ['Checkpoints', report.checkpoints],
            ['Not sealed yet', report.unsealed],
            ['Certificates', report.certificates],
          ],
          cli.output.style,
        ),
        ...report.remarks.map((remark) => `Remark: ${remark}`),
        '',
        ...verdict(cli, report),
      ].join('\n'),
  })
  if (!report.isValid) throw new FoundProblems(refusalRules['audit-invalid'].exit)
}

/** Key and checkpoint lie beside the database; who does not trust that gives the ones that he kept. */
async function trusted(cli: CliContext, audit: AuditKeeper, options: VerifyOptions): Promise<AuditKeeper> {
  const { key, checkpoint } = options
  const signer =
    key === undefined ? audit.signer : { ...(await readKey(cli, options)), sign: audit.signer.sign }
  if (checkpoint === undefined) return { ...audit, signer }
  const note = Buffer.from(await cli.readInput(checkpoint)).toString('utf8')
  return { signer, checkpointFile: { ...memoryCheckpoint(note), description: checkpoint } }
}

async function checkExport(cli: CliContext, directory: string, options: VerifyOptions): Promise<void> {
  const verifier = await readKey(cli, options)
  const { checkpoint } = options
  const earlier =
    checkpoint === undefined ? null : Buffer.from(await cli.readInput(checkpoint)).toString('utf8')
  const progress = stepProgress(cli)
  const report = await verifyExport(directory, verifier, {
    earlier,
    onProgress: (done, total) => progress.update('Checking entries', done, total),
  })
  progress.end()
  cli.output.answer({
    json: reportJson(report),
    text: () =>
      [
        ...formatFields(
          [
            ['Log', report.origin],
            ['Entries', report.size],
            ['Root hash', report.rootHash && toHex(report.rootHash)],
          ],
          cli.output.style,
        ),
        '',
        ...verdict(cli, report),
      ].join('\n'),
  })
  if (!report.isValid) throw new FoundProblems(refusalRules['audit-invalid'].exit)
}

async function checkProof(cli: CliContext, file: string, verifier: NoteVerifier): Promise<void> {
  const text = Buffer.from(await cli.readInput(file)).toString('utf8')
  const { entry, index, checkpoint } = verifyProof(text, verifier)
  const fact = readFact(entry)
  const { actor, action, subject, at, reason } = fact
  cli.output.answer({
    json: {
      isValid: true,
      origin: checkpoint.origin,
      index,
      size: checkpoint.size,
      fact: { actor, action, subject, at, reason, details: fact.details as Json },
    },
    text: () =>
      [
        ...formatFields(
          [
            ['Log', checkpoint.origin],
            ['Entry', `${index} of ${checkpoint.size}`],
            ['Time', at],
            ['Action', action],
            ['Subject', subject],
            ['Actor', actor],
            ['Reason', reason],
            ...Object.entries(fact.details).map(([name, value]) => [name, plainText(value)] as const),
          ],
          cli.output.style,
        ),
        '',
        cli.output.style.green('The entry is in the log that the key signed.'),
      ].join('\n'),
  })
}

/** The key itself, or the name of a file that holds it. */
async function readKey(cli: CliContext, { key }: VerifyOptions): Promise<NoteVerifier> {
  if (key === undefined) {
    throw new Refusal(
      'invalid-input',
      'name the verifier key with --key: the line that `perennial audit verify` prints',
    )
  }
  const isKey = /^[^+]+\+[0-9a-f]{8}\+/.test(key)
  return parseVerifierKey(isKey ? key : Buffer.from(await cli.readInput(key)).toString('utf8'))
}

const findingColumns: readonly Column<Finding>[] = [
  { title: 'FOUND', value: ({ kind }) => kind },
  { title: 'ENTRY', value: ({ index }) => index, align: 'right' },
  { title: 'DETAIL', value: ({ detail }) => detail },
]

type Verdict = Pick<VerifyReport, 'isValid' | 'findings'> & { readonly isCut?: boolean }

function verdict({ output }: CliContext, { isValid, findings, isCut }: Verdict): string[] {
  if (isValid) return [output.style.green('The log is as it was sealed.')]
  const lines = formatTable(findingColumns, findings, { width: output.width, style: output.style })
  const more = isCut === true ? ['… and more.'] : []
  return [...lines, ...more, '', output.style.red('The log does not verify.')]
}

function reportJson(report: ExportCheck | VerifyReport): Record<string, Json> {
  const { isValid, origin, size, rootHash, findings } = report
  return {
    isValid,
    origin,
    size,
    rootHash: rootHash && toHex(rootHash),
    findings: findings.map(({ kind, index, detail }) => ({ kind, index, detail })),
  }
}

function installationJson({
  isCut,
  checkpoints,
  unsealed,
  certificates,
  remarks,
}: VerifyReport): Record<string, Json> {
  return { isCut, checkpoints, unsealed, certificates, remarks }
}

function plainText(value: unknown): string | null {
  if (value === null) return null
  return typeof value === 'string' ? value : JSON.stringify(value)
}
