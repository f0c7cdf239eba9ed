import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openApp, type App } from './app.ts'
import { silentLog } from './base/log.ts'
import { openDataDirectory } from './data-directory.ts'
import { readFact } from './engine/audit/audit.ts'
import { initialise } from './initialise.ts'
import { recordSettingsChanges, requirePolicy } from './start-checks.ts'
import { recentFacts } from './store/facts.ts'

const folder = mkdtempSync(join(tmpdir(), 'perennial-start-'))
const path = join(folder, 'data')
after(() => rmSync(folder, { recursive: true }))
await initialise({ path, env: {}, passphrase: null, actor: 'cli:test' })

async function withYaml<Value>(yaml: string, work: (app: App) => Promise<Value>): Promise<Value> {
  const dataDirectory = await openDataDirectory(path)
  writeFileSync(dataDirectory.configFile, yaml)
  const passphrase = async () => readFileSync(dataDirectory.passphraseFile, 'utf8').trim()
  const app = await openApp({ dataDirectory, env: {}, passphrase, log: silentLog })
  try {
    return await work(app)
  } finally {
    await app.close()
  }
}

/** What a start with this configuration puts on record. */
async function recorded(yaml: string): Promise<unknown[]> {
  return await withYaml(yaml, async (app) => {
    const [last] = await recentFacts(app.engine.store.db, { limit: 1 })
    await recordSettingsChanges(app)
    const facts = await recentFacts(app.engine.store.db, { limit: 20 })
    const added = facts.filter(({ id }) => id > (last?.id ?? 0)).toReversed()
    return added.map(({ entry }) => {
      const { action, subject, details } = readFact(entry)
      return { action, subject, details }
    })
  })
}

test('a start with other settings or profiles puts on record what changed, once', async () => {
  assert.deepEqual(await recorded(''), [])
  const yaml = 'organization: Acme\nprofiles: { consumer: { validity: 1y }, own: { extends: meter } }\n'
  const [consumer, own, settings, ...others] = (await recorded(yaml)) as { details: { before: unknown } }[]
  assert.deepEqual(others, [])
  assert.deepEqual(
    { ...consumer, details: null },
    { action: 'profile.changed', subject: 'profile:consumer', details: null },
  )
  assert.match(String(consumer?.details.before), /^[0-9a-f]{64}$/)
  assert.equal(own?.details.before, null)
  assert.deepEqual(settings, {
    action: 'configuration.changed',
    subject: 'instance',
    details: { changes: [{ key: 'organization', before: 'Perennial', after: 'Acme' }] },
  })
  assert.deepEqual(await recorded(yaml), [])
})

test('a port is not worth a fact, and a removed profile is', async () => {
  await recorded('')
  assert.deepEqual(await recorded('est: { port: 9443 }'), [])
  const [gone] = (await recorded('profiles: { gateway: { enabled: false } }')) as {
    subject: string
    details: { after: unknown }
  }[]
  assert.deepEqual([gone?.subject, gone?.details.after], ['profile:gateway', null])
})

test('refuses to start with a profile that breaks a rule, and with its name', async () => {
  await withYaml('', requirePolicy)
  const yaml = 'profiles: { gateway: { issuer: nobody } }'
  await assert.rejects(withYaml(yaml, requirePolicy), {
    code: 'configuration-invalid',
    message: /^profile gateway: issuer "nobody"/,
  })
})
