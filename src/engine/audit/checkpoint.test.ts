import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  checkpointText,
  fileCheckpoint,
  memoryCheckpoint,
  openCheckpoint,
  parseCheckpointText,
  signCheckpoint,
} from './checkpoint.ts'
import { noteKey, noteVerifier, signNote, type NoteSigner } from './signed-note.ts'

// The example of c2sp.org/tlog-checkpoint.
const example = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n'

function newSigner(name: string): NoteSigner {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = noteKey(name, publicKey.export({ type: 'spki', format: 'der' }))
  return { ...key, sign: async (text) => sign(null, text, privateKey) }
}

test('the example of the specification comes apart and together unchanged', () => {
  const checkpoint = parseCheckpointText(example)
  assert.equal(checkpoint.origin, 'example.com/behind-the-sofa')
  assert.equal(checkpoint.size, 20_852_163)
  assert.equal(checkpointText(checkpoint), example)
})

test('accepts extension lines, which others may write', () => {
  assert.equal(parseCheckpointText(`${example}extension\n`).size, 20_852_163)
})

for (const [what, text] of [
  ['a leading zero in the size', example.replace('2085', '02085')],
  ['a sign before the size', example.replace('2085', '+2085')],
  ['a size over 2^53', example.replace('20852163', '9007199254740993')],
  ['no size', example.replace('20852163', '')],
  ['a short root hash', example.replace('CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=', 'CsUYapGG')],
  ['a root hash that is not base64', example.replace('CsUY', '!sUY')],
  ['no newline at its end', example.slice(0, -1)],
  ['two lines', 'example.com/log\n1\n'],
  ['an empty line', `${example}\nextension\n`],
  ['an empty origin', example.replace('example.com/behind-the-sofa', '')],
] as const) {
  test(`refuses a checkpoint with ${what}`, () => {
    assert.throws(() => parseCheckpointText(text), { code: 'malformed' })
  })
}

test('opens what its signer signed, and nothing of another log', async () => {
  const signer = newSigner('example.com/log')
  const checkpoint = { size: 7, rootHash: Buffer.alloc(32, 7) }
  const note = await signCheckpoint(checkpoint, signer)
  assert.deepEqual(openCheckpoint(note, noteVerifier(signer)), { origin: 'example.com/log', ...checkpoint })
  assert.throws(() => openCheckpoint(note, noteVerifier(newSigner('example.com/log'))), {
    code: 'bad-signature',
  })
  assert.throws(() => openCheckpoint(note, noteVerifier(newSigner('example.com/other'))), {
    code: 'bad-signature',
  })
  const borrowed = await signNote(checkpointText({ origin: 'example.com/other', ...checkpoint }), signer)
  assert.throws(() => openCheckpoint(borrowed, noteVerifier(signer)), { code: 'bad-signature' })
})

test('signing the same checkpoint twice gives the same note', async () => {
  const signer = newSigner('example.com/log')
  const checkpoint = { size: 7, rootHash: Buffer.alloc(32, 7) }
  assert.equal(await signCheckpoint(checkpoint, signer), await signCheckpoint(checkpoint, signer))
})

test('a checkpoint file is null until it is written, and then what was written last', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'perennial-checkpoint-'))
  t.after(() => rm(directory, { recursive: true }))
  for (const file of [fileCheckpoint(join(directory, 'audit-checkpoint')), memoryCheckpoint()]) {
    assert.equal(await file.read(), null)
    await file.write('one')
    await file.write('two')
    assert.equal(await file.read(), 'two')
  }
})
