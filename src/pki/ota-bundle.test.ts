import assert from 'node:assert/strict'
import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { assert as check, json, property } from 'fast-check'
import { dayMs, secondMs } from '../base/clock.ts'
import { Refusal, type RefusalCode } from '../base/errors.ts'
import type { DeviceId } from '../base/id.ts'
import {
  isForDevice,
  maxOtaBundle,
  openOtaBundle,
  otaKeyId,
  signOtaBundle,
  type OtaBundle,
  type OtaExpectation,
  type OtaSigner,
} from './ota-bundle.ts'
import { encodePem } from './pem.ts'

const now = Date.UTC(2026, 10, 20, 12)
const meter1 = 'meter-1' as DeviceId
const ours = newSigner()
const theirs = newSigner()

const trigger: OtaBundle = {
  device: 'meter-1',
  version: 7,
  notBefore: now,
  expiresAt: now + dayMs,
  payload: {
    kind: 'trigger',
    trigger: {
      renewal: 4711,
      certificate: 'issuing/0a1b',
      notAfter: now + 90 * dayMs,
      window: { start: now, end: now + 30 * dayMs },
    },
  },
}
const pem = encodePem('CERTIFICATE', Buffer.from('not looked at here'))
const trust: OtaBundle = { ...trigger, device: '*', payload: { kind: 'trust', certificates: [pem, pem] } }
const certificate: OtaBundle = { ...trigger, payload: { kind: 'certificate', certificates: [pem] } }

for (const bundle of [trigger, trust, certificate]) {
  test(`a ${bundle.payload.kind} bundle is read as it was signed`, async () => {
    const text = await signOtaBundle(bundle, ours)
    assert.deepEqual(openOtaBundle(text, expecting()), { bundle, isRepeat: false })
    assert.equal(await signOtaBundle(bundle, ours), text)
  })
}

test('white space and the order of keys do not count', async () => {
  const { bundle, signature } = JSON.parse(await signOtaBundle(trigger, ours))
  const reordered = Object.fromEntries(Object.entries(bundle).toReversed())
  const text = `\n${JSON.stringify({ signature, bundle: reordered }, null, 2)}\n`
  assert.deepEqual(openOtaBundle(text, expecting()).bundle, trigger)
})

test('a key of a later version of the format is passed over, but covered by the signature', async () => {
  const text = await signed({ ...(await valueOf(trigger)), hurry: true })
  assert.deepEqual(openOtaBundle(text, expecting()).bundle, trigger)
  refused('bad-signature', text.replace('"hurry":true', '"hurry":false'))
})

test('while a key is being replaced, both count', async () => {
  const keys = [theirs.spki, ours.spki]
  openOtaBundle(await signOtaBundle(trigger, ours), expecting({ keys }))
  openOtaBundle(await signOtaBundle(trigger, theirs), expecting({ keys }))
})

test('refuses the signature of another key, also under the name of the right one', async () => {
  const text = await signOtaBundle(trigger, theirs)
  refused('bad-signature', text)
  refused('bad-signature', text.replace(otaKeyId(theirs.spki), otaKeyId(ours.spki)))
  refused('bad-signature', await signOtaBundle(trigger, ours), { keys: [] })
})

test('refuses a bundle of which anything was changed', async () => {
  for (const [from, to] of [
    ['4711', '4712'],
    ['meter-1', 'meter-2'],
    ['"version":7', '"version":8'],
    ['2026-11-21', '2036-11-21'],
    ['"kind":"trigger"', '"kind":"trust"'],
  ] as const) {
    const text = await signOtaBundle(trigger, ours)
    assert.ok(text.includes(from), from)
    refused('bad-signature', text.replace(from, to))
  }
})

test('refuses a good signature of the same key over the same JSON without its context', async () => {
  const value = await valueOf(trigger)
  const { signature } = JSON.parse(await signOtaBundle(trigger, ours))
  const bare = Buffer.from(await ours.sign(Buffer.from(JSON.stringify(value)))).toString('base64')
  refused('bad-signature', JSON.stringify({ bundle: value, signature: { ...signature, value: bare } }))
})

test('refuses a bundle for another device', async () => {
  refused('bundle-refused', await signOtaBundle({ ...trigger, device: 'meter-10' }, ours))
  refused('bundle-refused', await signOtaBundle({ ...trust, device: 'pump-*' }, ours))
  openOtaBundle(await signOtaBundle({ ...trust, device: 'meter-*' }, ours), expecting())
})

test('is valid from its first instant until just before its last', async () => {
  const text = await signOtaBundle(trigger, ours)
  refused('bundle-refused', text, { now: trigger.notBefore - 1 })
  openOtaBundle(text, expecting({ now: trigger.notBefore }))
  openOtaBundle(text, expecting({ now: trigger.expiresAt - 1 }))
  refused('bundle-refused', text, { now: trigger.expiresAt })
})

test('refuses an older version, tells the last one come again, takes a higher one', async () => {
  const text = await signOtaBundle(trigger, ours)
  refused('bundle-refused', text, { lastVersion: () => 8 })
  assert.equal(openOtaBundle(text, expecting({ lastVersion: () => 7 })).isRepeat, true)
  assert.equal(openOtaBundle(text, expecting({ lastVersion: () => 6 })).isRepeat, false)
  const ofAnotherKind = expecting({ lastVersion: (kind) => (kind === 'trust' ? 99 : null) })
  assert.equal(openOtaBundle(text, ofAnotherKind).isRepeat, false)
})

test('a trigger or a certificate is for one device, whoever signed it', async () => {
  refused('malformed', await signOtaBundle({ ...trigger, device: '*' }, ours))
  refused('malformed', await signOtaBundle({ ...certificate, device: 'meter-*' }, ours))
})

const broken: readonly (readonly [string, (value: Record<string, unknown>) => unknown])[] = [
  ['another version of the format', (value) => ({ ...value, v: 2 })],
  ['no version', (value) => ({ ...value, version: undefined })],
  ['a version below zero', (value) => ({ ...value, version: -1 })],
  ['a version as text', (value) => ({ ...value, version: '7' })],
  ['an unknown kind', (value) => ({ ...value, kind: 'firmware' })],
  ['a kind without its content', (value) => ({ ...value, kind: 'trust' })],
  ['no certificates', (value) => ({ ...value, kind: 'trust', certificates: [] })],
  ['too many certificates', (value) => ({ ...value, kind: 'trust', certificates: Array(17).fill(pem) })],
  ['two certificates in one text', (value) => ({ ...value, kind: 'trust', certificates: [pem + pem] })],
  [
    'a private key as a certificate',
    (value) => ({ ...value, kind: 'trust', certificates: [pem.replaceAll('CERTIFICATE', 'PRIVATE KEY')] }),
  ],
  ['an instant with an offset', (value) => ({ ...value, notBefore: '2026-11-20T12:00:00+01:00' })],
  ['a day that does not exist', (value) => ({ ...value, expiresAt: '2026-13-40T12:00:00Z' })],
  ['a device that is none', (value) => ({ ...value, device: '../meter-1' })],
  ['a star in the middle', (value) => ({ ...value, kind: 'trust', certificates: [pem], device: 'm*1' })],
  ['no window', (value) => ({ ...value, trigger: { ...(value['trigger'] as object), window: null } })],
  ['a list', () => [1]],
]
for (const [what, change] of broken) {
  test(`refuses, although it is signed: ${what}`, async () => {
    refused('malformed', await signed(change(await valueOf(trigger))))
  })
}

test('refuses what is no bundle at all', async () => {
  const text = await signOtaBundle(trigger, ours)
  for (const other of [
    '',
    'null',
    '[]',
    '{}',
    '{"bundle":{}}',
    text.slice(0, -1),
    `${text}x`,
    '['.repeat(100_000),
    text.replace('"version":7', '"version":7.5'),
    text.replace('"version":7', '"version":1e300'),
    text.replace('4711', '9007199254740993'),
    text.replace('issuing/0a1b', '\\ud800'),
    text.replace('"version":7', `"version":${'['.repeat(20)}${']'.repeat(20)}`),
    text.replace('"ed25519"', '"none"'),
    text.replace(/"value":"[^"]*"/, '"value":""'),
    text.replace(/"value":"[^"]*"/, '"value":"AAAA"'),
  ]) {
    refused('malformed', other)
  }
  refused('too-large', ' '.repeat(maxOtaBundle + 1))
})

test('no input makes it do anything but refuse', () => {
  check(
    property(json({ maxDepth: 12 }), json({ maxDepth: 4 }), (bundle, signature) => {
      const text = `{"bundle":${bundle},"signature":${signature}}`
      assert.throws(() => openOtaBundle(text, expecting()), Refusal)
    }),
    { numRuns: 300 },
  )
})

test('whom a bundle is for', () => {
  assert.ok(isForDevice('*', meter1))
  assert.ok(isForDevice('meter-*', meter1))
  assert.ok(isForDevice('meter-1', meter1))
  assert.ok(!isForDevice('meter-', meter1))
  assert.ok(!isForDevice('meter-11', meter1))
  assert.ok(!isForDevice('pump-*', meter1))
})

function expecting(changes: Partial<OtaExpectation> = {}): OtaExpectation {
  return {
    keys: [ours.spki],
    deviceId: meter1,
    now: now + secondMs,
    lastVersion: () => null,
    ...changes,
  }
}

function refused(code: RefusalCode, text: string, changes: Partial<OtaExpectation> = {}): void {
  assert.throws(
    () => openOtaBundle(text, expecting(changes)),
    (error: unknown) => {
      assert.ok(error instanceof Refusal, String(error))
      assert.equal(error.code, code, `${error.message}: ${text.slice(0, 60)}`)
      return true
    },
  )
}

async function valueOf(bundle: OtaBundle): Promise<Record<string, unknown>> {
  return JSON.parse(await signOtaBundle(bundle, ours)).bundle
}

/** Any value under a good signature, made without the code under test. */
async function signed(value: unknown): Promise<string> {
  const sorted = JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
  const signature = await ours.sign(Buffer.from(`perennial-ota-bundle-v1\0${sorted}`))
  const value64 = Buffer.from(signature).toString('base64')
  const envelope = { algorithm: 'ed25519', keyId: otaKeyId(ours.spki), value: value64 }
  return JSON.stringify({ bundle: value, signature: envelope })
}

function newSigner(): OtaSigner {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'der' },
  })
  const key = createPrivateKey(privateKey)
  return { spki: publicKey, sign: async (bytes) => sign(null, bytes, key) }
}
