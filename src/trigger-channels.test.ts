import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { sampleTrigger } from '../test/conformance/trigger.ts'
import { memoryAuthority } from '../test/helpers/memory-authority.ts'
import { testTriggerHost } from '../test/helpers/trigger-host.ts'
import { toHex } from './base/bytes.ts'
import { dayMs } from './base/clock.ts'
import { systemRandom } from './base/random.ts'
import type { DeviceId } from './base/id.ts'
import { checkConfig, loadConfig, type Config, type Environment } from './config.ts'
import { openOtaBundle, signOtaBundle } from './pki/ota-bundle.ts'
import {
  configuredTriggers,
  createTriggerChannels,
  openOtaSigner,
  smsReceiptKeys,
  triggerCosts,
} from './trigger-channels.ts'
import { triggerBundle } from './triggers/ota.ts'

const secret = `whsec_${Buffer.alloc(32).toString('base64')}`
const receiptsUrl = 'https://est.example:8443'
const everything: Environment = {
  PERENNIAL_TRIGGERS__WEBHOOK__URL: 'https://hooks.example/renew',
  PERENNIAL_TRIGGERS__WEBHOOK__SECRET: secret,
  PERENNIAL_TRIGGERS__OTA__URL: 'https://ota.example/{device}',
  PERENNIAL_TRIGGERS__OTA__AUTHORIZATION: 'Bearer x',
  PERENNIAL_TRIGGERS__SMS__RECEIPTS_URL: receiptsUrl,
}
const providers = {
  twilio: {
    PERENNIAL_TRIGGERS__SMS__TWILIO__ACCOUNT_SID: 'AC1',
    PERENNIAL_TRIGGERS__SMS__TWILIO__AUTH_TOKEN: 'token',
  },
  smpp: {
    PERENNIAL_TRIGGERS__SMS__SMPP__HOST: 'smpp.example',
    PERENNIAL_TRIGGERS__SMS__SMPP__PASSWORD: 'password',
  },
  kannel: {
    PERENNIAL_TRIGGERS__SMS__KANNEL__URL: 'http://127.0.0.1:13013/cgi-bin/sendsms',
    PERENNIAL_TRIGGERS__SMS__KANNEL__PASSWORD: 'foobar',
  },
} as const

async function configOf(env: Environment): Promise<Config> {
  return await loadConfig({ file: null, env })
}

async function channelsOf(config: Config) {
  const { clock, random, log } = testTriggerHost()
  const otaSigner = async () => await Promise.reject(new Error('nothing is signed here'))
  return await createTriggerChannels({ config, clock, random, log, otaSigner, onSmsReceipt: async () => {} })
}

test('as it comes: MQTT, its twin, bundles over MQTT and the field list; nothing that costs', async () => {
  const config = await configOf({})
  assert.deepEqual([...configuredTriggers(config)].toSorted(), ['field', 'mqtt', 'ota', 'twin'])
  assert.deepEqual([...(await channelsOf(config)).keys()], ['field'])
  assert.deepEqual(smsReceiptKeys(config), { twilio: null, kannel: null })
})

test('without a broker only the field list is left', async () => {
  const config = await configOf({ PERENNIAL_MQTT__BROKER: 'none' })
  assert.deepEqual([...configuredTriggers(config)], ['field'])
})

for (const [provider, keys] of Object.entries(providers)) {
  test(`everything with ${provider}`, async () => {
    const config = await configOf({ ...everything, ...keys, PERENNIAL_TRIGGERS__SMS__PROVIDER: provider })
    const channels = await channelsOf(config)
    assert.deepEqual([...channels.keys()].toSorted(), ['field', 'ota', 'sms', 'webhook'])
    for (const kind of channels.keys()) assert.ok(configuredTriggers(config).has(kind))
    for (const channel of channels.values()) await channel.close()
    const receipts = smsReceiptKeys(config)
    assert.equal(receipts.twilio !== null, provider === 'twilio')
    assert.equal(receipts.kannel !== null, provider === 'kannel')
    if (receipts.twilio) assert.equal(receipts.twilio.url, `${receiptsUrl}/perennial/v1/sms-receipts/twilio`)
  })

  test(`${provider} without what it needs is a problem of the configuration`, async () => {
    const [first = '', second = ''] = Object.keys(keys)
    for (const left of [first, second]) {
      const env: Record<string, string> = { ...keys, PERENNIAL_TRIGGERS__SMS__PROVIDER: provider }
      delete env[left]
      assert.match(await problemOf(env), new RegExp(`needs triggers.sms.${provider}`))
    }
  })
}

for (const [what, env, expected] of [
  ['a webhook without a secret', { PERENNIAL_TRIGGERS__WEBHOOK__URL: 'https://a.example' }, /forged/],
  ['a secret without a webhook', { PERENNIAL_TRIGGERS__WEBHOOK__SECRET: secret }, /no effect/],
  ['an OTA URL for all devices', { PERENNIAL_TRIGGERS__OTA__URL: 'https://a.example' }, /\{device\}/],
  ['a header without an OTA URL', { PERENNIAL_TRIGGERS__OTA__AUTHORIZATION: 'x' }, /no effect/],
  [
    'plain http to another machine',
    { PERENNIAL_TRIGGERS__OTA__URL: 'http://ota.example/{device}' },
    /triggers.ota.insecureHttp/,
  ],
] as const) {
  test(`refuses ${what}`, async () => {
    assert.match(await problemOf(env), expected)
  })
}

test('costs are those of the configuration', async () => {
  const config = await configOf({ PERENNIAL_TRIGGERS__SMS__COST_PER_MESSAGE: '35' })
  assert.deepEqual(triggerCosts(config).get('sms'), {
    perMessage: 35,
    dailyBudget: 100_000,
    campaignBudget: 1_000_000,
  })
})

test('the OTA key is made once, its public half lies in a file, and bundles verify against that', async (t) => {
  const otaKeyFile = join(await temporaryDirectory(t), 'ota-key.pem')
  const authority = memoryAuthority()
  const signers = await Promise.all([1, 2].map(() => openOtaSigner({ otaKeyFile }, authority, systemRandom)))
  const later = await openOtaSigner({ otaKeyFile }, authority, systemRandom)
  for (const signer of signers) assert.equal(toHex(signer.spki), toHex(later.spki))
  assert.match(await readFile(otaKeyFile, 'utf8'), /^-----BEGIN PUBLIC KEY-----/)
  const trigger = sampleTrigger()
  const text = await signOtaBundle(triggerBundle(trigger, dayMs), later)
  const { bundle } = openOtaBundle(text, {
    keys: [later.spki],
    deviceId: 'meter-1' as DeviceId,
    now: trigger.issuedAt,
    lastVersion: () => null,
  })
  assert.equal(bundle.payload.kind, 'trigger')
})

async function problemOf(env: Environment): Promise<string> {
  const { problems } = await checkConfig({ file: null, env })
  return problems.map(({ message }) => message).join('; ')
}

async function temporaryDirectory(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'perennial-ota-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}
