import assert from 'node:assert/strict'
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openApp, type App } from './app.ts'
import { dayMs, VirtualClock } from './base/clock.ts'
import { silentLog } from './base/log.ts'
import { openDataDirectory } from './data-directory.ts'
import { initialise } from './initialise.ts'
import { ensureServerCertificate } from './server-certificate.ts'

const start = Date.parse('2026-11-20T12:00:00Z')
const clock = new VirtualClock(start)
const folder = mkdtempSync(join(tmpdir(), 'perennial-server-'))
const path = join(folder, 'data')
after(() => rmSync(folder, { recursive: true }))

await initialise({
  path,
  env: {},
  passphrase: null,
  settings: { 'est.names': ['est.example.com'] },
  actor: 'cli:test',
  clock,
})

async function withApp<Value>(
  env: Record<string, string>,
  work: (app: App) => Promise<Value>,
): Promise<Value> {
  const dataDirectory = await openDataDirectory(path)
  const passphrase = async () => readFileSync(dataDirectory.passphraseFile, 'utf8').trim()
  const app = await openApp({ dataDirectory, env, passphrase, clock, log: silentLog })
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

const serialOf = (chainPem: string) => new X509Certificate(chainPem).serialNumber

test('what is there and good is left as it is', async () => {
  await withApp({}, async (app) => {
    const first = await ensureServerCertificate(app)
    assert.deepEqual(await ensureServerCertificate(app), first)
    const certificate = new X509Certificate(first.chainPem)
    assert.equal(
      certificate.subjectAltName,
      'DNS:est.example.com, DNS:localhost, IP Address:127.0.0.1, IP Address:0:0:0:0:0:0:0:1',
    )
    assert.ok(certificate.checkPrivateKey(createPrivateKey(first.keyPem)))
    assert.equal(
      first.chainPem.match(/BEGIN CERTIFICATE/g)?.length,
      2,
      'the root is not sent: clients have it',
    )
    assert.equal(statSync(app.dataDirectory.serverKeyFile).mode & 0o077, 0)
  })
})

test('other names, a lost key and a key that does not fit each give a new one', async () => {
  const first = await withApp({}, ensureServerCertificate)
  const renamed = await withApp({ PERENNIAL_EST__NAMES: 'est.example.com,10.1.2.3' }, ensureServerCertificate)
  assert.notEqual(serialOf(renamed.chainPem), serialOf(first.chainPem))
  assert.ok(new X509Certificate(renamed.chainPem).checkIP('10.1.2.3'))
  const back = await withApp({}, ensureServerCertificate)
  await withApp({}, async (app) => {
    rmSync(app.dataDirectory.serverKeyFile)
    const again = await ensureServerCertificate(app)
    assert.notEqual(serialOf(again.chainPem), serialOf(back.chainPem))
    writeFileSync(app.dataDirectory.serverKeyFile, first.keyPem)
    const repaired = await ensureServerCertificate(app)
    assert.notEqual(serialOf(repaired.chainPem), serialOf(again.chainPem))
    assert.ok(new X509Certificate(repaired.chainPem).checkPrivateKey(createPrivateKey(repaired.keyPem)))
  })
})

test('it is renewed 30 days before its end, and not a minute earlier', async () => {
  await withApp({}, async (app) => {
    const first = await ensureServerCertificate(app)
    const end = Date.parse(new X509Certificate(first.chainPem).validTo)
    await clock.advance(end - 30 * dayMs - 60_000 - clock.now())
    assert.equal(serialOf((await ensureServerCertificate(app)).chainPem), serialOf(first.chainPem))
    await clock.advance(60_000)
    const second = await ensureServerCertificate(app)
    assert.notEqual(serialOf(second.chainPem), serialOf(first.chainPem))
    assert.ok(Date.parse(new X509Certificate(second.chainPem).validTo) > end)
  })
})
