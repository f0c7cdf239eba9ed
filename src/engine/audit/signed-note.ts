/**
 * C2SP signed-note with Ed25519 keys: a text, a blank line, and signature lines `— name base64(key id ‖ signature)`.
 * Go's golang.org/x/mod/sumdb/note reads the same format.
 */
import { createPublicKey, verify, type KeyObject } from 'node:crypto'
import { concatBytes, equalBytes, fromBase64, sha256, toBase64, toHex } from '../../base/bytes.ts'
import { assert, Refusal } from '../../base/errors.ts'
import type { Authority } from '../ports.ts'

/** Signature type identifier of plain Ed25519 note signatures. */
const ed25519Type = 0x01
const keyIdBytes = 4
const publicKeyBytes = 32
const signatureBytes = 64
// SubjectPublicKeyInfo of an Ed25519 key up to the key itself: RFC 8410 §4 leaves no room for another encoding.
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')
// The specification asks for at least 16; more would only make verifying slow.
const maxSignatures = 100

/** A key known by its name; the name of a log's key is the log's origin. */
export interface NoteKey {
  readonly name: string
  /** 4 bytes: SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), cut. A hint for finding the key, not a proof of anything. */
  readonly keyId: Uint8Array
  /** 32 bytes, RFC 8032. */
  readonly publicKey: Uint8Array
}

export interface NoteVerifier extends NoteKey {
  verify(text: Uint8Array, signature: Uint8Array): boolean
}

export interface NoteSigner extends NoteKey {
  /** @returns the 64 bytes of an Ed25519 signature, which are the same each time for the same text */
  sign(text: Uint8Array): Promise<Uint8Array>
}

export interface OpenedNote {
  /** With its last newline. */
  readonly text: string
  /** Of the verifiers given, those whose signature is on the note and good. At least one. */
  readonly signedBy: readonly NoteVerifier[]
}

/**
 * @param spki SubjectPublicKeyInfo, DER
 * @throws Refusal `bad-algorithm` when it is no Ed25519 key, `invalid-input` when the name cannot name a key
 */
export function noteKey(name: string, spki: Uint8Array): NoteKey {
  const hasPrefix = equalBytes(spki.subarray(0, spkiPrefix.byteLength), spkiPrefix)
  if (!hasPrefix || spki.byteLength !== spkiPrefix.byteLength + publicKeyBytes) {
    throw new Refusal('bad-algorithm', `the audit log's key ${name} is not an Ed25519 key`)
  }
  return keyFromRaw(name, spki.subarray(spkiPrefix.byteLength))
}

/** The signer of the audit log: its key lives with an authority, which makes it when it is not there yet. */
export async function openNoteSigner(
  authority: Authority,
  reference: string,
  name: string,
): Promise<NoteSigner> {
  const spki = (await authority.hasKey(reference))
    ? await authority.publicKey(reference)
    : (await authority.createKey(reference, 'ed25519')).spki
  return {
    ...noteKey(name, spki),
    sign: async (text) => await authority.sign(reference, 'ed25519', text),
  }
}

/** The same key under another name, which is another key to everyone who verifies. */
export function renamedSigner(signer: NoteSigner, name: string): NoteSigner {
  return { ...keyFromRaw(name, signer.publicKey), sign: async (text) => await signer.sign(text) }
}

/** `name+hex8+base64(0x01 ‖ public key)`: what a verifier is given, over a way that it trusts. */
export function encodeVerifierKey({ name, keyId, publicKey }: NoteKey): string {
  return `${name}+${toHex(keyId)}+${toBase64(concatBytes(Uint8Array.of(ed25519Type), publicKey))}`
}

/** @throws Refusal `invalid-input` saying what is wrong with the key */
export function parseVerifierKey(text: string): NoteVerifier {
  const [, name, idHex, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text.trim()) ?? []
  const bytes = encoded === undefined ? null : fromBase64(encoded)
  if (name === undefined || idHex === undefined || bytes === null) {
    throw new Refusal(
      'invalid-input',
      'the verifier key is not of the form name+hash+key; copy the whole line',
    )
  }
  if (bytes[0] !== ed25519Type || bytes.byteLength !== 1 + publicKeyBytes) {
    throw new Refusal('invalid-input', 'the verifier key is not an Ed25519 note key')
  }
  const key = keyFromRaw(name, bytes.subarray(1))
  if (toHex(key.keyId) !== idHex) {
    throw new Refusal(
      'invalid-input',
      'the verifier key does not fit its own hash: a character was lost or changed',
    )
  }
  return noteVerifier(key)
}

export function noteVerifier(key: NoteKey): NoteVerifier {
  let keyObject: KeyObject | null = null
  return {
    ...key,
    verify(text, signature) {
      keyObject ??= createPublicKey({
        key: Buffer.concat([spkiPrefix, key.publicKey]),
        format: 'der',
        type: 'spki',
      })
      return signature.byteLength === signatureBytes && verify(null, text, keyObject, signature)
    },
  }
}

/** @param text ends with a newline and has no other control characters */
export async function signNote(text: string, signer: NoteSigner): Promise<string> {
  assert(text.endsWith('\n') && !hasControls(text), 'the text of a note is lines of printable text')
  const signature = await signer.sign(Buffer.from(text, 'utf8'))
  assert(signature.byteLength === signatureBytes, 'an Ed25519 signature has 64 bytes')
  return `${text}\n— ${signer.name} ${toBase64(concatBytes(signer.keyId, signature))}\n`
}

/**
 * Signatures by unknown keys are passed over; one bad signature by a known key spoils the note.
 * @throws Refusal `malformed` when it is not a signed note, `bad-signature` when no known key signed it
 */
export function openNote(note: string, verifiers: readonly NoteVerifier[]): OpenedNote {
  const { text, lines } = splitNote(note)
  const bytes = Buffer.from(text, 'utf8')
  const signedBy: NoteVerifier[] = []
  for (const line of lines) {
    const { name, keyId, signature } = parseSignatureLine(line)
    const verifier = verifiers.find((known) => known.name === name && equalBytes(known.keyId, keyId))
    if (!verifier || signedBy.includes(verifier)) continue
    if (!verifier.verify(bytes, signature)) {
      throw new Refusal('bad-signature', `the signature of ${name} does not fit the text of the note`)
    }
    signedBy.push(verifier)
  }
  if (signedBy.length === 0) {
    const known = verifiers.map((key) => `${key.name}+${toHex(key.keyId)}`).join(', ')
    throw new Refusal('bad-signature', `the note is not signed by ${known || 'any known key'}`)
  }
  return { text, signedBy }
}

function splitNote(note: string): { text: string; lines: readonly string[] } {
  // the text may have empty lines of its own: the last one ends it
  const end = note.lastIndexOf('\n\n')
  if (end < 0 || !note.endsWith('\n') || hasControls(note) || !note.isWellFormed()) {
    throw new Refusal('malformed', 'not a signed note: text, a blank line, and signature lines, each ended')
  }
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > maxSignatures) throw new Refusal('malformed', 'the note has more than 100 signatures')
  return { text: note.slice(0, end + 1), lines }
}

function parseSignatureLine(line: string): { name: string; keyId: Uint8Array; signature: Uint8Array } {
  const [, name, encoded] = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/u.exec(line) ?? []
  const bytes = encoded === undefined ? null : fromBase64(encoded)
  if (name === undefined || bytes === null || bytes.byteLength <= keyIdBytes) {
    throw new Refusal('malformed', 'a signature line of the note is not of the form — name base64')
  }
  return { name, keyId: bytes.subarray(0, keyIdBytes), signature: bytes.subarray(keyIdBytes) }
}

function keyFromRaw(name: string, publicKey: Uint8Array): NoteKey {
  if (name === '' || /[\s+]/u.test(name) || hasControls(name) || !name.isWellFormed()) {
    throw new Refusal('invalid-input', 'the name of the audit log is empty or has a space or a plus')
  }
  const typed = concatBytes(Buffer.from(`${name}\n`, 'utf8'), Uint8Array.of(ed25519Type), publicKey)
  return { name, keyId: sha256(typed).subarray(0, keyIdBytes), publicKey: Uint8Array.from(publicKey) }
}

function hasControls(text: string): boolean {
  // eslint-disable-next-line no-control-regex -- the specification names them: below U+0020 except newline
  return /[\u0000-\u0009\u000b-\u001f]/.test(text)
}
