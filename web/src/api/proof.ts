/**
 * Checks a C2SP tlog-proof with nothing but WebCrypto: the entry is in the log under the signed checkpoint, or it is not. What the
 * server says about it is not asked.
 */

export interface CheckedProof {
  readonly isProved: boolean
  /** In words. */
  readonly why: string
  readonly entry: string
  readonly index: number
  readonly size: number
}

interface Proof {
  readonly entry: Bytes
  readonly index: number
  readonly hashes: readonly Bytes[]
  readonly note: string
}

type Bytes = Uint8Array<ArrayBuffer>

const text = new TextDecoder()

/** @param verifierKey of C2SP signed-note: `name+hash+key` */
export async function checkProof(proofText: string, verifierKey: string): Promise<CheckedProof> {
  const { entry, index, hashes, note } = parseProof(proofText)
  const [body = '', signatures = ''] = splitNote(note)
  const [origin = '', sizeText = '', rootText = ''] = body.split('\n')
  const size = Number(sizeText)
  const shown = { entry: text.decode(entry), index, size }
  const no = (why: string): CheckedProof => ({ ...shown, isProved: false, why })
  if (!(await isSigned(body, signatures, verifierKey))) return no('the checkpoint is not signed by this key')
  const root = await rootOf(await leafHash(entry), { index, size, hashes })
  if (root === null || !isSame(root, bytesOf(rootText)))
    return no('the hashes do not lead to the signed root')
  return {
    ...shown,
    isProved: true,
    why: `${hashes.length} hashes lead from the entry to the root that ${origin} has signed.`,
  }
}

function parseProof(proof: string): Proof {
  const end = proof.indexOf('\n\n')
  const [magic, extra = '', index = '', ...hashes] = proof.slice(0, end).split('\n')
  if (magic !== 'c2sp.org/tlog-proof@v1') throw new Error('this is no proof of a log')
  return {
    entry: bytesOf(extra.replace(/^extra /, '')),
    index: Number(index.replace(/^index /, '')),
    hashes: hashes.map(bytesOf),
    note: proof.slice(end + 2),
  }
}

/** Body with its last line feed, and the lines of signatures. */
function splitNote(note: string): [string, string] {
  const at = note.indexOf('\n\n')
  return [note.slice(0, at + 1), note.slice(at + 2)]
}

async function isSigned(body: string, signatures: string, verifierKey: string): Promise<boolean> {
  const match = /^(.+)\+([0-9a-f]{8})\+(.+)$/.exec(verifierKey.trim())
  if (!match) return false
  const [, name = '', , keyText = ''] = match
  const key = bytesOf(keyText)
  // the first byte is the algorithm: 1 is Ed25519
  if (key[0] !== 1) return false
  const publicKey = await crypto.subtle.importKey('raw', key.slice(1), 'Ed25519', false, ['verify'])
  const signed = new TextEncoder().encode(body)
  for (const line of signatures.split('\n')) {
    const prefix = `\u2014 ${name} `
    if (!line.startsWith(prefix)) continue
    // four bytes of key hash stand before the signature
    const signature = bytesOf(line.slice(prefix.length)).slice(4)
    if (await crypto.subtle.verify('Ed25519', publicKey, signature, signed)) return true
  }
  return false
}

/** RFC 9162 §2.1.3.2. Indexes are below 2^53. @returns null when the path has not the length that it must have */
async function rootOf(
  leaf: Bytes,
  { index, size, hashes }: { index: number; size: number; hashes: readonly Bytes[] },
): Promise<Bytes | null> {
  if (!(index >= 0 && index < size)) return null
  let node = index
  let last = size - 1
  let hash = leaf
  for (const sibling of hashes) {
    if (last === 0) return null
    if (node % 2 === 1 || node === last) {
      hash = await nodeHash(sibling, hash)
      while (node % 2 === 0 && node !== 0) {
        node = Math.floor(node / 2)
        last = Math.floor(last / 2)
      }
    } else hash = await nodeHash(hash, sibling)
    node = Math.floor(node / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? hash : null
}

async function leafHash(entry: Bytes): Promise<Bytes> {
  return await sha256(new Uint8Array([0, ...entry]))
}

async function nodeHash(left: Bytes, right: Bytes): Promise<Bytes> {
  return await sha256(new Uint8Array([1, ...left, ...right]))
}

async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

function bytesOf(base64: string): Bytes {
  return Uint8Array.from(atob(base64.trim()), (character) => character.charCodeAt(0))
}

function isSame(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
