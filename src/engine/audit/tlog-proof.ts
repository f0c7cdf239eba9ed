/**
 * C2SP tlog-proof: one text that proves to anyone with the verifier key that an entry is in the log. The entry itself
 * travels in the `extra` line; that it is the entry is not believed but follows from the proof.
 */
import { fromBase64, toBase64 } from '../../base/bytes.ts'
import { Refusal } from '../../base/errors.ts'
import { openCheckpoint, type Checkpoint } from './checkpoint.ts'
import { hashBytes, leafHash, verifyInclusion } from './merkle.ts'
import type { NoteVerifier } from './signed-note.ts'

const magic = 'c2sp.org/tlog-proof@v1'
// A tree of 2^53 entries has paths of 53 hashes.
const maxHashes = 64

export interface TlogProof {
  readonly entry: Uint8Array
  readonly index: number
  /** RFC 6962 §2.1.1, from the sibling of the leaf up. */
  readonly hashes: readonly Uint8Array[]
  /** The signed checkpoint, verbatim. */
  readonly note: string
}

export interface ProvenEntry {
  readonly entry: Uint8Array
  readonly index: number
  readonly checkpoint: Checkpoint
}

export function formatProof({ entry, index, hashes, note }: TlogProof): string {
  const lines = [magic, `extra ${toBase64(entry)}`, `index ${index}`, ...hashes.map(toBase64)]
  return `${lines.join('\n')}\n\n${note}`
}

/** @throws Refusal `malformed` */
export function parseProof(text: string): TlogProof {
  const end = text.indexOf('\n\n')
  const [first, extra, index, ...hashes] = text.slice(0, Math.max(0, end)).split('\n')
  if (first !== magic) throw malformed(`its first line is not ${magic}`)
  const entry = extra?.startsWith('extra ') === true ? strictBase64(extra.slice(6)) : null
  if (!entry) throw malformed('it does not carry the entry in an extra line')
  const [, digits] = /^index (0|[1-9][0-9]*)$/.exec(index ?? '') ?? []
  if (digits === undefined || !Number.isSafeInteger(Number(digits)))
    throw malformed('its index is not a whole number')
  if (hashes.length > maxHashes) throw malformed('it has more hashes than any tree needs')
  const path = hashes.map((line) => {
    const hash = strictBase64(line)
    if (hash?.byteLength !== hashBytes) throw malformed('one of its hashes has not 32 bytes')
    return hash
  })
  return { entry, index: Number(digits), hashes: path, note: text.slice(end + 2) }
}

/**
 * @returns the entry, of which it is now certain that it is in the log under the signed checkpoint
 * @throws Refusal `malformed`, `bad-signature` when the key did not sign the checkpoint, `audit-invalid` when the entry
 *   is not in that log at that place
 */
export function verifyProof(text: string, verifier: NoteVerifier): ProvenEntry {
  const { entry, index, hashes, note } = parseProof(text)
  const checkpoint = openCheckpoint(note, verifier)
  const { size, rootHash: root } = checkpoint
  if (!verifyInclusion({ leaf: leafHash(entry), index, size, proof: hashes, root })) {
    throw new Refusal(
      'audit-invalid',
      `the proof does not show that the entry is number ${index} of the ${size} signed`,
    )
  }
  return { entry, index, checkpoint }
}

// fromBase64 passes over white space, which a canonical text has none of
function strictBase64(line: string): Uint8Array | null {
  return /\s/.test(line) ? null : fromBase64(line)
}

function malformed(why: string): Refusal {
  return new Refusal('malformed', `not a proof of the audit log: ${why}`)
}
