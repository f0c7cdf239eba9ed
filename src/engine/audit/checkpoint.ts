/** C2SP tlog-checkpoint: a signed note that says how long the log is and what its root hash is. */
import { readFile } from 'node:fs/promises'
import { fromBase64, toBase64 } from '../../base/bytes.ts'
import { assert, Refusal } from '../../base/errors.ts'
import { writeFileAtomically } from '../../base/file.ts'
import { hashBytes } from './merkle.ts'
import { openNote, signNote, type NoteSigner, type NoteVerifier } from './signed-note.ts'

export interface Checkpoint {
  /** The log's name; also the name of the key that signs. */
  readonly origin: string
  /** Entries in the log. */
  readonly size: number
  /** 32 bytes. */
  readonly rootHash: Uint8Array
}

/** The checkpoint last signed, kept apart from the database so that a rolled-back database is found. */
export interface CheckpointFile {
  /** What a person is told to look at. */
  readonly description: string
  /** The note, or null when none was written yet. */
  read(): Promise<string | null>
  /** Replaces the note, durably, as a whole or not at all. */
  write(note: string): Promise<void>
}

/** The text that is signed: origin, size and root hash, a line each. No extension lines. */
export function checkpointText({ origin, size, rootHash }: Checkpoint): string {
  assert(
    Number.isSafeInteger(size) && size >= 0 && rootHash.byteLength === hashBytes,
    'a checkpoint is complete',
  )
  return `${origin}\n${size}\n${toBase64(rootHash)}\n`
}

export async function signCheckpoint(
  { size, rootHash }: { readonly size: number; readonly rootHash: Uint8Array },
  signer: NoteSigner,
): Promise<string> {
  return await signNote(checkpointText({ origin: signer.name, size, rootHash }), signer)
}

/**
 * @param note a signed checkpoint; signatures of witnesses on it are passed over
 * @throws Refusal `malformed` or `bad-signature`
 */
export function openCheckpoint(note: string, verifier: NoteVerifier): Checkpoint {
  const checkpoint = parseCheckpointText(openNote(note, [verifier]).text)
  if (checkpoint.origin !== verifier.name) {
    throw new Refusal(
      'bad-signature',
      `the checkpoint is of the log ${checkpoint.origin}, not of ${verifier.name}`,
    )
  }
  return checkpoint
}

/** @throws Refusal `malformed` */
export function parseCheckpointText(text: string): Checkpoint {
  const lines = text.split('\n')
  const [origin, sizeText, rootText] = lines
  // further lines are extensions: allowed, opaque, never empty (the text ends with a newline, hence one empty rest)
  if (origin === undefined || sizeText === undefined || rootText === undefined || lines.at(-1) !== '') {
    throw new Refusal('malformed', 'a checkpoint has three lines: origin, size, root hash')
  }
  if (lines.slice(0, -1).includes('')) throw new Refusal('malformed', 'a checkpoint has no empty lines')
  const size = /^(0|[1-9][0-9]*)$/.test(sizeText) ? Number(sizeText) : NaN
  if (!Number.isSafeInteger(size))
    throw new Refusal('malformed', 'the size in the checkpoint is not a whole number')
  const rootHash = fromBase64(rootText)
  if (rootHash?.byteLength !== hashBytes)
    throw new Refusal('malformed', 'the root hash in the checkpoint has not 32 bytes')
  return { origin, size, rootHash }
}

export function fileCheckpoint(path: string): CheckpointFile {
  return {
    description: path,
    async read() {
      try {
        return await readFile(path, 'utf8')
      } catch (error) {
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
        throw error
      }
    },
    write: async (note) => await writeFileAtomically(path, note, 0o600),
  }
}

/** For tests and the simulator. */
export function memoryCheckpoint(note: string | null = null): CheckpointFile {
  let current = note
  return {
    description: 'memory',
    read: async () => current,
    write: async (next) => {
      current = next
    },
  }
}
