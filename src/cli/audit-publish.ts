/** `audit seal|export|prove`. */
import { resolve } from 'node:path'
import { toHex } from '../base/bytes.ts'
import { commandName } from '../base/command-name.ts'
import { writeFileAtomically } from '../base/file.ts'
import type { IssuerId, SerialNumber } from '../base/id.ts'
import { commandLineActor } from './account.ts'
import { exportAuditLog } from '../engine/audit/audit-export.ts'
import { proveCertificate } from '../engine/audit/audit-prove.ts'
import { planRestart, restartLog, type Restart } from '../engine/audit/restart-log.ts'
import { seal } from '../engine/audit/seal.ts'
import { encodeVerifierKey } from '../engine/audit/signed-note.ts'
import { parseProof } from '../engine/audit/tlog-proof.ts'
import { shellQuoted } from '../data-directory.ts'
import { stepProgress } from './audit-progress.ts'
import type { CliContext } from './context.ts'
import { formatFields } from './table.ts'

export async function sealNow(cli: CliContext): Promise<void> {
  const { engine } = await cli.app()
  const { worked } = await seal(engine, cli.clock.now())
  cli.output.answer({
    json: { sealed: worked },
    text: () =>
      worked === 0
        ? 'Nothing was waiting, or another process is sealing.'
        : `Sealed ${worked === 1 ? 'one fact' : `${worked} facts`}.`,
  })
}

/** Afterwards the file beside the database names the log from now on. */
export async function restart(
  cli: CliContext,
  { reason, dryRun }: { readonly reason: string; readonly dryRun?: boolean },
): Promise<void> {
  const { engine, dataDirectory } = await cli.app()
  if (dryRun === true) {
    const { signer, previous, last } = await planRestart(engine)
    printRestart(
      cli,
      { signer, size: last?.size ?? 0, previousSize: previous.checkpoint.size },
      'would go on',
    )
    return
  }
  const restarted = await restartLog(engine, cli.clock.now(), {
    actor: commandLineActor(),
    reason,
    onRestarted: async (signer) =>
      await writeFileAtomically(dataDirectory.auditKeyFile, `${encodeVerifierKey(signer)}\n`, 0o600),
  })
  printRestart(cli, restarted, 'goes on')
  cli.output.note('Give the new key to whoever checks the log, and restart every process that serves.')
}

function printRestart(cli: CliContext, { signer, size, previousSize }: Restart, verb: string): void {
  const key = encodeVerifierKey(signer)
  cli.output.answer({
    json: { origin: signer.name, size, previousSize, key },
    text: () =>
      `The log ${verb} as ${signer.name} with ${size} entries; ${previousSize} were signed under the name before.\nKey  ${key}`,
  })
}

export async function exportLog(cli: CliContext, directory: string): Promise<void> {
  const { engine } = await cli.app()
  const progress = stepProgress(cli)
  const report = await exportAuditLog(engine, resolve(directory), (done, total) => {
    progress.update('Exporting entries', done, total)
  })
  progress.end()
  const { origin, size, rootHash, files } = report
  const key = encodeVerifierKey(engine.audit.signer)
  cli.output.answer({
    json: { directory: resolve(directory), origin, size, rootHash: toHex(rootHash), files, key },
    text: () =>
      formatFields(
        [
          ['Directory', directory],
          ['Log', origin],
          ['Entries', size],
          ['Root hash', toHex(rootHash)],
          ['Files', files],
          ['Key', key],
        ],
        cli.output.style,
      ).join('\n'),
  })
  const check = `${commandName()} audit verify --export ${shellQuoted(directory)} --key ${shellQuoted(key)}`
  cli.output.note(`\nTo check it, anywhere:\n  ${check}`)
}

export async function prove(
  cli: CliContext,
  serialNumber: SerialNumber,
  { issuer, out }: { readonly issuer?: IssuerId; readonly out?: string },
): Promise<void> {
  const { engine } = await cli.app()
  const proof = await proveCertificate(engine, serialNumber, issuer ?? null)
  const key = encodeVerifierKey(engine.audit.signer)
  if (out !== undefined) await writeFileAtomically(out, proof, 0o644)
  if (cli.output.isJson) {
    cli.output.answer({
      json: { serialNumber, index: parseProof(proof).index, proof, key },
      text: () => proof,
    })
    return
  }
  if (out === undefined) cli.output.raw(proof)
  const file = out === undefined ? 'FILE' : shellQuoted(out)
  cli.output.note(
    `To check it, anywhere:\n  ${commandName()} audit verify --proof ${file} --key ${shellQuoted(key)}`,
  )
}
