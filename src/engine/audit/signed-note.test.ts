import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { toBase64 } from '../../base/bytes.ts'
import {
  encodeVerifierKey,
  noteKey,
  noteVerifier,
  openNote,
  parseVerifierKey,
  signNote,
  type NoteSigner,
} from './signed-note.ts'

// The example of the documentation of golang.org/x/mod/sumdb/note: seed, verifier key and signed note.
const seed = Buffer.from('gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=', 'base64')
const vkey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const text =
  "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
const signatureLine =
  '— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n'

function signerFromSeed(name: string, from: Uint8Array): NoteSigner {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex')
  const privateKey = createPrivateKey({ key: Buffer.concat([prefix, from]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  return { ...noteKey(name, spki), sign: async (bytes) => sign(null, bytes, privateKey) }
}

test("Go's example: the same key gives the same verifier key and the same note", async () => {
  const signer = signerFromSeed('PeterNeumann', seed)
  assert.equal(encodeVerifierKey(signer), vkey)
  assert.equal(await signNote(text, signer), `${text}\n${signatureLine}`)
})

test("Go's example verifies", () => {
  const opened = openNote(`${text}\n${signatureLine}`, [parseVerifierKey(vkey)])
  assert.equal(opened.text, text)
  assert.equal(opened.signedBy[0]?.name, 'PeterNeumann')
})

test('a verifier key comes apart and together unchanged', () => {
  assert.equal(encodeVerifierKey(parseVerifierKey(vkey)), vkey)
  assert.equal(encodeVerifierKey(parseVerifierKey(`${vkey}\n`)), vkey)
})

for (const [what, key] of [
  ['a hash that is not its own', vkey.replace('c74f20a3', 'c74f20a4')],
  ['a name that is not its own', vkey.replace('Peter', 'Paula')],
  ['no name', vkey.replace('PeterNeumann', '')],
  ['a short key', 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10Q='],
  ['another signature type', 'PeterNeumann+c74f20a3+Ahpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'],
  ['no parts', 'PeterNeumann'],
  ['a space in the name', vkey.replace('PeterNeumann', 'Peter Neumann')],
  ['nothing', ''],
] as const) {
  test(`refuses a verifier key with ${what}`, () => {
    assert.throws(() => parseVerifierKey(key), { code: 'invalid-input' })
  })
}

const note = `${text}\n${signatureLine}`
for (const [what, bad, code] of [
  ['a changed text', note.replace('answer', 'Answer'), 'bad-signature'],
  ['a changed signature', note.replace('x08go/ZJ', 'x08go/ZK'), 'bad-signature'],
  ['a signature by another name only', note.replace('— PeterNeumann', '— Paul'), 'bad-signature'],
  ['no blank line', text + signatureLine, 'malformed'],
  ['no newline at its end', note.slice(0, -1), 'malformed'],
  ['a hyphen for the dash', note.replace('— ', '- '), 'malformed'],
  ['a carriage return', note.replace('\n', '\r\n'), 'malformed'],
  ['a tab', note.replace('If you', 'If\tyou'), 'malformed'],
  ['base64 that is not canonical', note.replace('wJnAM=', 'wJnAN='), 'malformed'],
  ['a signature of four bytes', `${text}\n— PeterNeumann x08gow==\n`, 'malformed'],
  ['more than 100 signatures', note + '— a AAAAAAA=\n'.repeat(100), 'malformed'],
  ['nothing in it', '', 'malformed'],
] as const) {
  test(`refuses a note with ${what}`, () => {
    assert.throws(() => openNote(bad, [parseVerifierKey(vkey)]), { code })
  })
}

test('accepts 100 signatures, passing over those by unknown keys and with unknown key ids', () => {
  const many = `${text}\n${'— PeterNeumann AAAAAAA=\n'.repeat(99)}${signatureLine}`
  assert.equal(openNote(many, [parseVerifierKey(vkey)]).signedBy.length, 1)
})

test('one bad signature by a known key spoils the note, even beside a good one', () => {
  const other = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })
  const paul = noteVerifier(noteKey('Paul', other))
  const bad = `— Paul ${toBase64(Buffer.concat([paul.keyId, Buffer.alloc(64)]))}\n`
  assert.throws(() => openNote(note + bad, [parseVerifierKey(vkey), paul]), { code: 'bad-signature' })
  assert.equal(openNote(note + bad, [parseVerifierKey(vkey)]).signedBy.length, 1)
})

test('the text of a note may have empty lines', async () => {
  const signer = signerFromSeed('PeterNeumann', seed)
  const signed = await signNote('one\n\ntwo\n', signer)
  assert.equal(openNote(signed, [noteVerifier(signer)]).text, 'one\n\ntwo\n')
})

test('refuses to sign a text without a newline at its end', async () => {
  await assert.rejects(signNote('text', signerFromSeed('PeterNeumann', seed)), /printable text/)
})

test('refuses a key that is not Ed25519 and a name that cannot be written', () => {
  const ed25519 = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })
  const p256 = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
    type: 'spki',
    format: 'der',
  })
  assert.throws(() => noteKey('log', p256), { code: 'bad-algorithm' })
  assert.throws(() => noteKey('log', ed25519.subarray(0, -1)), { code: 'bad-algorithm' })
  for (const name of ['', 'a b', 'a+b', 'a\nb', 'a\u00a0b']) {
    assert.throws(() => noteKey(name, ed25519), { code: 'invalid-input' })
  }
  assert.equal(noteKey('example.com/log42', ed25519).keyId.byteLength, 4)
})
