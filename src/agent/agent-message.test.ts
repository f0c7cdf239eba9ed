import assert from 'node:assert/strict'
import { createPrivateKey, sign } from 'node:crypto'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { sampleTrigger } from '../../test/conformance/trigger.ts'
import { dayMs, iso } from '../base/clock.ts'
import { toBase64 } from '../base/bytes.ts'
import { Refusal, type RefusalCode } from '../base/errors.ts'
import type { DeviceId, IssuerId, SerialNumber } from '../base/id.ts'
import { hintMessage } from '../engine/renewals/renewal-info.ts'
import { generateKeyPair } from '../pki/key.ts'
import { signOtaBundle, type OtaBundle } from '../pki/ota-bundle.ts'
import { triggerPayload } from '../triggers/mqtt.ts'
import { emptyInbox, type InboxState } from './agent-inbox.ts'
import { parseWindowHeader, receiveMessage, type AgentMessage, type Reading } from './agent-message.ts'

const now = Date.UTC(2026, 10, 20, 12)
const keys = generateKeyPair('ed25519')
const reading: Reading = {
  config: { deviceId: 'meter-1' as DeviceId, bundleKeys: [toBase64(keys.spki)] },
  serialNumber: '0a1b',
  now,
}

const window = { start: iso(now), end: iso(now + dayMs) }
const trigger = { v: 1, kind: 'renew', renewal: 7, certificate: 'issuing/0a1b', window, issuedAt: iso(now) }

function message(kind: AgentMessage['kind'], value: unknown): AgentMessage {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return { kind, payload: Buffer.from(text) }
}

const receive = (state: InboxState, kind: AgentMessage['kind'], value: unknown): InboxState =>
  receiveMessage(state, message(kind, value), reading)

suite('triggers and hints', () => {
  const held = receive(emptyInbox, 'renew', trigger)

  test('one about the certificate in use is kept, from each topic, with keys that nobody knows', () => {
    const wanted = { serialNumber: '0a1b', window: { start: now, end: now + dayMs }, issuedAt: now }
    assert.deepEqual(held.trigger, wanted)
    assert.deepEqual(receive(emptyInbox, 'renew', { ...trigger, hurry: [1] }).trigger, wanted)
    const desired = { desired: { perennial: { renewal: trigger }, $version: 3 } }
    assert.deepEqual(receive(emptyInbox, 'desired', desired).trigger, wanted)
    const hint = { v: 1, certificate: 'issuing/0a1b', suggestedWindow: window, issuedAt: iso(now) }
    assert.deepEqual(receive(emptyInbox, 'hint', hint).hint, wanted)
  })

  test('what the platform writes is what is read', () => {
    const certificate = { issuerId: 'issuing' as IssuerId, serialNumber: '0a1b' as SerialNumber }
    const suggestedWindow = { start: now, end: now + dayMs }
    const hint = hintMessage(certificate, { suggestedWindow, retryAfterMs: 1_000 })
    assert.deepEqual(receive(emptyInbox, 'hint', hint).hint?.window, suggestedWindow)
    const asked = sampleTrigger({ deviceId: reading.config.deviceId, renewalId: 7 })
    const payload = triggerPayload({ ...asked, certificate: 'issuing/0a1b', window: suggestedWindow })
    assert.deepEqual(receive(emptyInbox, 'renew', payload).trigger?.window, suggestedWindow)
  })

  test('one about another certificate changes nothing, and so does one for a device without any', () => {
    assert.equal(receive(held, 'renew', { ...trigger, certificate: 'issuing/0a1c' }), held)
    const blank = { ...reading, serialNumber: null }
    assert.equal(receiveMessage(emptyInbox, message('renew', trigger), blank), emptyInbox)
  })

  test('a later one replaces an earlier one, never the other way round', () => {
    const later = {
      ...trigger,
      issuedAt: iso(now + dayMs),
      window: { start: iso(now + dayMs), end: iso(now + 2 * dayMs) },
    }
    const moved = receive(held, 'renew', later)
    assert.equal(moved.trigger?.window.start, now + dayMs)
    assert.equal(receive(moved, 'renew', trigger), moved)
  })

  test('an empty message takes back what stood there', () => {
    assert.equal(receive(held, 'renew', '').trigger, null)
    assert.equal(receive(emptyInbox, 'renew', ''), emptyInbox)
  })

  const garbage: unknown[] = [
    '{',
    'null',
    '[]',
    '"renew"',
    { ...trigger, v: 2 },
    { ...trigger, kind: 'revoke' },
    { ...trigger, certificate: 7 },
    { ...trigger, certificate: 'issuing/' },
    { ...trigger, certificate: `issuing/${'a'.repeat(200)}` },
    { ...trigger, window: { start: window.end, end: window.start } },
    { ...trigger, window: { start: window.start } },
    { ...trigger, window: { start: '2026-02-30', end: window.end } },
    { ...trigger, window: { start: 1, end: 2 } },
    { ...trigger, window: null },
    { ...trigger, pad: 'x'.repeat(20_000) },
    { desired: {} },
  ]
  test('garbage changes nothing', () => {
    for (const value of garbage) {
      for (const kind of ['renew', 'hint', 'desired'] as const) {
        assert.equal(receive(held, kind, value), held, JSON.stringify(value).slice(0, 80))
      }
    }
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom('renew', 'hint', 'desired'),
        (bytes, kind) => {
          const state = receiveMessage(held, { kind, payload: bytes }, reading)
          assert.ok(state === held || bytes.length === 0)
        },
      ),
    )
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value)
        assert.equal(receive(held, 'renew', text), held)
      }),
    )
  })

  test('the header of HTTP answers', () => {
    const start = now / 1000
    assert.deepEqual(parseWindowHeader(`start=@${start}, end=@${start + 60}`), {
      start: now,
      end: now + 60_000,
    })
    for (const text of [
      undefined,
      '',
      'start=@1',
      `start=@${start + 1}, end=@${start}`,
      'start=@1.5, end=@2',
      'start=1, end=2',
    ]) {
      assert.equal(parseWindowHeader(text), null)
    }
  })
})

suite('bundles', () => {
  const signer = {
    spki: keys.spki,
    sign: async (bytes: Uint8Array) =>
      sign(null, bytes, createPrivateKey(keys.privateKey.export({ type: 'pkcs8', format: 'pem' }))),
  }
  const bundle: OtaBundle = {
    device: 'meter-1',
    version: 7,
    notBefore: now,
    expiresAt: now + dayMs,
    payload: {
      kind: 'trigger',
      trigger: {
        renewal: 1,
        certificate: 'issuing/0a1b',
        notAfter: now + 90 * dayMs,
        window: { start: now, end: now + dayMs },
      },
    },
  }
  const pem = '-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n'
  const trust: OtaBundle = { ...bundle, device: '*', payload: { kind: 'trust', certificates: [pem] } }

  function refuses(code: RefusalCode, state: InboxState, text: string, how: Partial<Reading> = {}): void {
    assert.throws(
      () => receiveMessage(state, message('bundle', text), { ...reading, ...how }),
      (error) => error instanceof Refusal && error.code === code,
    )
  }

  test('a trigger counts as one from a topic; its version is kept, and no older bundle of the kind is taken', async () => {
    const state = receive(emptyInbox, 'bundle', await signOtaBundle(bundle, signer))
    assert.equal(state.trigger?.serialNumber, '0a1b')
    assert.deepEqual(state.versions, { trigger: 7 })
    assert.equal(receive(state, 'bundle', await signOtaBundle(bundle, signer)), state)
    refuses('bundle-refused', state, await signOtaBundle({ ...bundle, version: 6 }, signer))
  })

  test('a trigger about another certificate moves the version alone', async () => {
    const state = receiveMessage(emptyInbox, message('bundle', await signOtaBundle(bundle, signer)), {
      ...reading,
      serialNumber: 'ff',
    })
    assert.deepEqual([state.trigger, state.versions], [null, { trigger: 7 }])
  })

  test('trust waits for its step; versions of kinds do not mix', async () => {
    const state = receive(emptyInbox, 'bundle', await signOtaBundle(trust, signer))
    assert.deepEqual([state.bundle?.kind, state.bundle?.version], ['trust', 7])
    receive(state, 'bundle', await signOtaBundle({ ...bundle, version: 1 }, signer))
  })

  test('forged, expired, too early, for another device, or without a pinned key: nothing is taken', async () => {
    const text = await signOtaBundle(bundle, signer)
    const other = generateKeyPair('ed25519')
    const forger = { spki: keys.spki, sign: async (bytes: Uint8Array) => sign(null, bytes, other.privateKey) }
    refuses('bad-signature', emptyInbox, await signOtaBundle(bundle, forger))
    refuses('bad-signature', emptyInbox, text, { config: { ...reading.config, bundleKeys: [] } })
    refuses('bundle-refused', emptyInbox, text, { now: now + dayMs })
    refuses('bundle-refused', emptyInbox, text, { now: now - 1 })
    refuses('bundle-refused', emptyInbox, text, {
      config: { ...reading.config, deviceId: 'meter-2' as DeviceId },
    })
    refuses('malformed', emptyInbox, 'garbage')
    assert.equal(receive(emptyInbox, 'bundle', ''), emptyInbox)
  })
})
