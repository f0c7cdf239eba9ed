import assert from 'node:assert/strict'
import { chmod, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { authorityConformance } from '../../test/conformance/authority.ts'
import { Refusal, type RefusalCode } from '../base/errors.ts'
import { seededRandom, systemRandom } from '../base/random.ts'
import { parsePublicKey } from '../pki/key.ts'
import { verifySignature } from '../pki/signature.ts'
import { authorityExtensions } from './index.ts'
import { createSoftwareAuthority, type SoftwareAuthority } from './software.ts'

const cost = { memoryKiB: 64, passes: 1, parallelism: 1 }
const right = 'correct horse battery'

interface Opened {
  readonly authority: SoftwareAuthority
  /** How often the passphrase was asked for. */
  readonly asked: () => number
}

function openIn(directory: string, ...answers: readonly string[]): Opened {
  let asked = 0
  const passphrase = async (): Promise<string> => answers[asked++] ?? answers.at(-1) ?? right
  const authority = createSoftwareAuthority({ directory, passphrase, random: systemRandom, cost })
  return { authority, asked: () => asked }
}

async function temporary(t: TestContext): Promise<string> {
  const parent = await mkdtemp(join(tmpdir(), 'perennial-keys-'))
  t.after(() => rm(parent, { recursive: true }))
  return join(parent, 'keys')
}

async function rejects(code: RefusalCode, work: Promise<unknown>, message = /./): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof Refusal, `expected a Refusal, got ${String(error)}`)
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  })
}

authorityConformance({
  name: 'software',
  algorithms: ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'ed25519', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'],
  open: async (t) => {
    const directory = await temporary(t)
    return { authority: openIn(directory).authority, reopen: async () => openIn(directory).authority }
  },
})

test('the directory has mode 0700, files 0600, and nothing of a private key is readable', async (t) => {
  const directory = await temporary(t)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  assert.equal((await stat(directory)).mode & 0o777, 0o700)
  assert.deepEqual((await readdir(directory)).sort(), ['master.json', 'root.key.json'])
  for (const name of await readdir(directory)) {
    assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600)
    const text = await readFile(join(directory, name), 'utf8')
    assert.doesNotMatch(text, /PRIVATE|MIGHAgEA|correct horse/)
  }
})

test('a wrong passphrase is refused with advice, and the next answer may be right', async (t) => {
  const directory = await temporary(t)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  const { authority, asked } = openIn(directory, 'wrong horse', right)
  await rejects('passphrase-wrong', authority.publicKey('root'), /give the one that was set last/)
  await authority.publicKey('root')
  assert.equal(asked(), 2)
})

test('the passphrase is asked for once, however many keys are used at once', async (t) => {
  const directory = await temporary(t)
  const maker = openIn(directory)
  for (const reference of ['a', 'b', 'c']) await maker.authority.createKey(reference, 'ec-p256')
  assert.equal(maker.asked(), 1)
  const { authority, asked } = openIn(directory)
  await Promise.all(
    ['a', 'b', 'c', 'a'].map((reference) => authority.sign(reference, 'ecdsa-sha256', Buffer.of(1))),
  )
  assert.equal(asked(), 1)
})

test('looking for keys needs no passphrase', async (t) => {
  const directory = await temporary(t)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  const { authority, asked } = openIn(directory)
  assert.equal(await authority.hasKey('root'), true)
  assert.equal(await authority.hasKey('other'), false)
  assert.equal(asked(), 0)
})

test('unlock checks the passphrase at once, and does nothing where there are no keys', async (t) => {
  const directory = await temporary(t)
  const empty = openIn(directory)
  await empty.authority.unlock()
  assert.equal(empty.asked(), 0)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  await rejects('passphrase-wrong', openIn(directory, 'wrong horse').authority.unlock())
  await openIn(directory).authority.unlock()
})

test('a new passphrase opens the same keys, the old one no longer does', async (t) => {
  const directory = await temporary(t)
  const { authority } = openIn(directory)
  const { spki } = await authority.createKey('root', 'ec-p256')
  const keyFile = await readFile(join(directory, 'root.key.json'), 'utf8')
  await rejects('invalid-input', authority.changePassphrase('1234567'), /at least 8/)
  await authority.changePassphrase('12345678')
  await rejects('passphrase-wrong', openIn(directory).authority.publicKey('root'))
  assert.deepEqual(await openIn(directory, '12345678').authority.publicKey('root'), spki)
  assert.equal(await readFile(join(directory, 'root.key.json'), 'utf8'), keyFile)
  const signature = await authority.sign('root', 'ecdsa-sha256', Buffer.of(1))
  const key = parsePublicKey(spki)
  assert.ok(verifySignature({ key, algorithm: 'ecdsa-sha256', data: Buffer.of(1), signature }))
})

test('accents count the same however they were typed', async (t) => {
  const directory = await temporary(t)
  await openIn(directory, 'caf\u00e9 au lait').authority.createKey('root', 'ec-p256')
  await openIn(directory, 'cafe\u0301 au lait').authority.publicKey('root')
})

test('a passphrase that is too short is refused before anything is written', async (t) => {
  const directory = await temporary(t)
  await rejects('invalid-input', openIn(directory, 'short').authority.createKey('root', 'ec-p256'))
  assert.deepEqual(await readdir(directory), [])
})

test('refuses a seeded random source', () => {
  assert.throws(
    () =>
      createSoftwareAuthority({
        directory: '/nowhere',
        passphrase: async () => right,
        random: seededRandom('x'),
      }),
    (error) => error instanceof Refusal && error.code === 'configuration-invalid',
  )
})

test('refuses a directory and files that others may read', async (t) => {
  const directory = await temporary(t)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  for (const [name, open, closed] of [
    ['', 0o750, 0o700],
    ['root.key.json', 0o640, 0o600],
    ['master.json', 0o604, 0o600],
  ] as const) {
    await chmod(join(directory, name), open)
    await rejects('data-directory-invalid', openIn(directory).authority.publicKey('root'), /chmod (600|700)/)
    await chmod(join(directory, name), closed)
    await openIn(directory).authority.publicKey('root')
  }
})

test('refuses a key file with any changed member, a swapped one, and one of another directory', async (t) => {
  const directory = await temporary(t)
  const { authority } = openIn(directory)
  await authority.createKey('root', 'ec-p256')
  await authority.createKey('issuing', 'ec-p256')
  const path = join(directory, 'root.key.json')
  const text = await readFile(path, 'utf8')
  const envelope = JSON.parse(text) as Record<string, string | number>
  const other = JSON.parse(await readFile(join(directory, 'issuing.key.json'), 'utf8')) as typeof envelope
  const changes: Record<string, string | number | undefined>[] = [
    { reference: 'issuing' },
    { algorithm: 'ed25519' },
    { spki: other['spki'] },
    { cipher: 'none' },
    { nonce: other['nonce'] },
    { sealed: other['sealed'] },
    { sealed: 'AAAA' },
    { masterKey: '0000000000000000' },
    { format: 'perennial-master-key' },
    { added: 1 },
  ]
  for (const change of changes) {
    await writeFile(path, JSON.stringify({ ...envelope, ...change }))
    await rejects('data-directory-invalid', openIn(directory).authority.publicKey('root'), /backup/)
  }
  await writeFile(path, JSON.stringify({ ...envelope, version: 2 }))
  await rejects('data-directory-newer', openIn(directory).authority.publicKey('root'))
  for (const broken of ['', '[]', 'null', text.slice(0, 100), 'x'.repeat(100_000)]) {
    await writeFile(path, broken)
    await rejects('data-directory-invalid', openIn(directory).authority.publicKey('root'))
  }
  await rename(join(directory, 'issuing.key.json'), path)
  await rejects('data-directory-invalid', openIn(directory).authority.publicKey('root'), /was changed/)
})

test('refuses a master key file whose cost is out of bounds', async (t) => {
  const directory = await temporary(t)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  const path = join(directory, 'master.json')
  const envelope = JSON.parse(await readFile(path, 'utf8')) as { kdf: object }
  const kdfs: object[] = [
    { memoryKiB: 1_048_577 },
    { memoryKiB: 7 },
    { memoryKiB: 1_048_576, passes: 9 },
    { passes: 0 },
    { passes: 33 },
    { parallelism: 0 },
    { parallelism: 65 },
    { parallelism: 1.5 },
    { salt: 'AAAA' },
    { name: 'md5' },
  ]
  for (const kdf of kdfs) {
    await writeFile(path, JSON.stringify({ ...envelope, kdf: { ...envelope.kdf, ...kdf } }))
    await rejects('data-directory-invalid', openIn(directory).authority.publicKey('root'), /restore it/)
  }
  await writeFile(path, JSON.stringify({ ...envelope, kdf: { ...envelope.kdf, passes: 2 } }))
  await rejects('passphrase-wrong', openIn(directory).authority.publicKey('root'))
})

test('keys without their master key are refused, not orphaned further', async (t) => {
  const directory = await temporary(t)
  await openIn(directory).authority.createKey('root', 'ec-p256')
  await rm(join(directory, 'master.json'))
  const { authority } = openIn(directory)
  await rejects('data-directory-invalid', authority.publicKey('root'), /master\.json is missing/)
  await rejects('data-directory-invalid', authority.createKey('other', 'ec-p256'), /master\.json is missing/)
})

test('many processes that make the first keys at once agree on one master key', async (t) => {
  const directory = await temporary(t)
  const references = ['a', 'b', 'c', 'd', 'e']
  await Promise.all(
    references.map((reference) => openIn(directory).authority.createKey(reference, 'ec-p256')),
  )
  const { authority } = openIn(directory)
  for (const reference of references) await authority.publicKey(reference)
  assert.equal((await readdir(directory)).length, references.length + 1)
})

test('is listed as an extension and takes its passphrase from the host', async (t) => {
  const directory = await temporary(t)
  const [extension] = authorityExtensions
  const unused = (): never => assert.fail('not for an authority')
  const authority = await extension.create(
    { directory, passphraseSecret: 'ca-passphrase' },
    {
      clock: { now: unused, sleep: unused },
      random: systemRandom,
      log: (await import('../base/log.ts')).silentLog,
      fetch: unused,
      secret: async (name) => `${name} long enough`,
    },
  )
  await authority.createKey('root', 'ec-p256')
  await openIn(directory, 'ca-passphrase long enough').authority.publicKey('root')
})
