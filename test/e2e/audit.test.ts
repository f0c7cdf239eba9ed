/** The audit log from the command line: an installation, its auditor on another machine, and somebody who tampers. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { after, before, test } from 'node:test'

const main = resolve(import.meta.dirname, '../../src/main.ts')
let directory: string

interface Ended {
  readonly exit: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs `perennial` with the arguments; `--data` only where the test gives it. */
function perennial(...words: string[]): Promise<Ended> {
  return new Promise((done) => {
    execFile(process.execPath, [main, ...words], { cwd: directory }, (error, stdout, stderr) => {
      const exit = typeof error?.code === 'number' ? error.code : 0
      done({ exit, stdout, stderr })
    })
  })
}

async function succeed(...words: string[]): Promise<Ended> {
  const ended = await perennial(...words)
  assert.equal(ended.exit, 0, `${words.join(' ')}\n${ended.stderr}`)
  return ended
}

/** A copy of the installation, to be damaged. */
async function copyOfInstallation(name: string): Promise<string> {
  const copy = join(directory, name)
  await cp(join(directory, 'data'), copy, { recursive: true })
  return copy
}

function damage(data: string, sql: string): void {
  const database = new DatabaseSync(join(data, 'perennial.db'))
  database.exec(sql)
  database.close()
}

const key = async (): Promise<string> => (await readFile(join(directory, 'data/audit-key'), 'utf8')).trim()

before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'perennial-audit-'))
  await succeed('init', '--data', 'data')
  for (const id of ['SN-1', 'SN-2', 'SN-3']) {
    await succeed('device', 'add', id, '--profile', 'industrial', '--data', 'data')
  }
  await succeed('audit', 'seal', '--data', 'data')
})

after(async () => await rm(directory, { recursive: true }))

test('an installation verifies, and says so with its key', async () => {
  const { stdout } = await succeed('audit', 'verify', '--data', 'data', '--json')
  const report = JSON.parse(stdout) as Record<string, unknown>
  assert.equal(report['isValid'], true)
  assert.deepEqual(report['findings'], [])
  assert.equal(report['key'], await key())
  assert.equal(report['unsealed'], 0)
})

test('tail shows the latest facts, newest last, of everything or of one device', async () => {
  const { stdout } = await succeed('audit', 'tail', '-n', '3', '--data', 'data', '--json')
  const facts = JSON.parse(stdout) as { action: string; subject: string; logIndex: number }[]
  assert.deepEqual(
    facts.map(({ action, subject }) => `${action} ${subject}`),
    ['device.added device:SN-1', 'device.added device:SN-2', 'device.added device:SN-3'],
  )
  const one = await succeed('audit', 'tail', '--device', 'SN-2', '--data', 'data', '--json')
  assert.deepEqual(
    (JSON.parse(one.stdout) as { subject: string }[]).map(({ subject }) => subject),
    ['device:SN-2'],
  )
})

test('an export verifies without the installation, and not after a byte of it was changed', async () => {
  const exported = await succeed('audit', 'export', 'export', '--data', 'data', '--json')
  const { size } = JSON.parse(exported.stdout) as { size: number }
  const audit = ['audit', 'verify', '--export', 'export', '--key', await key()]
  await succeed(...audit)
  await succeed(...audit, '--checkpoint', 'data/audit-checkpoint')
  const file = join(directory, `export/tile/entries/000.p/${size}`)
  const bytes = await readFile(file)
  bytes[300] = (bytes[300] as number) ^ 1
  await writeFile(file, bytes)
  const { exit, stdout } = await perennial(...audit, '--json')
  assert.equal(exit, 8)
  assert.equal((JSON.parse(stdout) as { findings: { kind: string }[] }).findings[0]?.kind, 'changed')
})

test('the issuance of a certificate is proved to anyone who has the key', async () => {
  const { stdout } = await succeed('cert', 'list', '--data', 'data', '--json')
  const { serialNumber } = (JSON.parse(stdout) as { serialNumber: string }[])[0] as { serialNumber: string }
  await succeed('audit', 'prove', serialNumber, '--out', 'c.tlog-proof', '--data', 'data')
  const proven = await succeed('audit', 'verify', '--proof', 'c.tlog-proof', '--key', await key(), '--json')
  const { fact } = JSON.parse(proven.stdout) as { fact: { action: string; subject: string } }
  assert.equal(fact.action, 'certificate.issued')
  assert.ok(fact.subject.endsWith(`/${serialNumber}`))
  const unknown = await perennial('audit', 'prove', 'ffffff', '--data', 'data')
  assert.equal(unknown.exit, 5)
})

test('a tampered database ends verify with exit code 8 and names the entry', async () => {
  const data = await copyOfInstallation('tampered')
  damage(
    data,
    "update facts set entry = cast(replace(cast(entry as text), 'SN-2', 'SN-X') as blob) where subject = 'device:SN-2'",
  )
  const { exit, stdout } = await perennial('audit', 'verify', '--data', 'tampered', '--json')
  assert.equal(exit, 8)
  const { findings } = JSON.parse(stdout) as { findings: { kind: string; index: number }[] }
  assert.ok(findings.some(({ kind }) => kind === 'changed'))
})

test('a certificate put into the inventory by hand is found', async () => {
  const data = await copyOfInstallation('inserted')
  damage(
    data,
    `create temp table c as select * from certificates limit 1;
     update c set id = 1000, serial_number = x'0badc0de', spki_hash = x'00', predecessor_id = null;
     insert into certificates select * from c;`,
  )
  const { exit, stdout } = await perennial('audit', 'verify', '--data', 'inserted')
  assert.equal(exit, 8)
  assert.match(stdout, /certificate-without-fact.*0badc0de/)
})

test('a database behind its checkpoint is found, seals nothing, and goes on only with the loss on record', async () => {
  await copyOfInstallation('restored')
  const backup = await readFile(join(directory, 'restored/perennial.db'))
  await succeed('device', 'add', 'SN-4', '--profile', 'industrial', '--data', 'restored')
  await succeed('audit', 'seal', '--data', 'restored')
  await writeFile(join(directory, 'restored/perennial.db'), backup)

  const verified = await perennial('audit', 'verify', '--data', 'restored')
  assert.equal(verified.exit, 8)
  assert.match(verified.stdout, /rolled-back/)
  await succeed('device', 'add', 'SN-5', '--profile', 'industrial', '--data', 'restored')
  const sealed = await perennial('audit', 'seal', '--data', 'restored')
  assert.equal(sealed.exit, 8)
  assert.match(sealed.stderr, /audit restart/)

  await succeed('audit', 'restart', '--reason', 'drill', '--dry-run', '--data', 'restored')
  assert.equal((await perennial('audit', 'verify', '--data', 'restored')).exit, 8)
  await succeed('audit', 'restart', '--reason', 'drill', '--data', 'restored')
  const { stdout } = await succeed('audit', 'verify', '--data', 'restored', '--json')
  assert.match((JSON.parse(stdout) as { origin: string }).origin, /\/audit\.2$/)
  assert.equal((await perennial('audit', 'restart', '--reason', 'again', '--data', 'restored')).exit, 3)
})

test('a key and a checkpoint that were kept elsewhere count for more than those in the data directory', async () => {
  await copyOfInstallation('doubtful')
  const kept = join(directory, 'kept-checkpoint')
  await succeed('device', 'add', 'SN-6', '--profile', 'industrial', '--data', 'doubtful')
  await succeed('audit', 'seal', '--data', 'doubtful')
  await writeFile(kept, await readFile(join(directory, 'doubtful/audit-checkpoint')))
  const verify = ['audit', 'verify', '--key', await key(), '--checkpoint', kept]
  await succeed(...verify, '--data', 'doubtful')
  // the whole data directory was rolled back, file and all: by itself it looks good
  await succeed('audit', 'verify', '--data', 'data')
  const behind = await perennial(...verify, '--data', 'data')
  assert.equal(behind.exit, 8)
  assert.match(behind.stdout, /rolled-back/)
  const other = (await key()).replace(/.{4}$/, 'AAA=')
  assert.equal((await perennial('audit', 'verify', '--key', other, '--data', 'data')).exit, 3)
})

test('a wrong key, a missing key and contradicting options are refused', async () => {
  const other = (await key()).replace('/audit+', '/other+')
  assert.equal((await perennial('audit', 'verify', '--export', 'export', '--key', other)).exit, 3)
  assert.equal((await perennial('audit', 'verify', '--export', 'export')).exit, 3)
  assert.equal((await perennial('audit', 'verify', '--export', 'nowhere', '--key', await key())).exit, 5)
  assert.equal((await perennial('audit', 'verify', '--export', 'a', '--proof', 'b')).exit, 2)
  assert.equal((await perennial('audit', 'verify', '--checkpoint', 'a', '--proof', 'b')).exit, 3)
})
