import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createKey } from '../../test/helpers/ca.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  registerDevice,
  windowOpensAt,
  type Enrolled,
  type TestEngine,
} from '../../test/helpers/app.ts'
import { enrolMessage } from '../../test/helpers/mqtt-device.ts'
import { fromBase64, toBase64 } from '../base/bytes.ts'
import { dayMs, hourMs } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import type { Engine } from '../engine/context.ts'
import type { ProfileInput } from '../engine/issuing/profile.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { updateDevice } from '../store/devices.ts'
import { handleMqttEnroll, overloadedAnswer, type MqttEnrollRequest } from './mqtt-enroll.ts'

const meter = 'meter-1' as DeviceId

interface Answer {
  readonly leaf: string
  readonly clientToken: string | null
  readonly code?: string
  readonly message?: string
  readonly retryAfterSeconds?: number
  readonly certificate?: string
  readonly chain?: readonly string[]
}

async function ask(
  engine: Engine,
  request: Partial<MqttEnrollRequest> & { payload: Uint8Array },
): Promise<Answer> {
  const { leaf, payload } = await handleMqttEnroll(engine, { deviceId: meter, connection: null, ...request })
  return { leaf, ...(JSON.parse(payload) as Omit<Answer, 'leaf'>) }
}

const over = (device: Enrolled) => ({ address: '192.0.2.7', certificate: device.certificate })

/** A device whose renewal window is open. */
async function dueDevice(
  start: () => Promise<TestEngine>,
): Promise<{ engine: Engine; device: Enrolled; app: TestEngine }> {
  const app = await start()
  const device = await enrolDevice(app.engine, meter)
  await app.clock.advance(windowOpensAt(app.engine, device) - app.clock.now())
  return { engine: app.engine, device, app }
}

const open: ProfileInput = {
  name: 'open',
  issuer: issuingId,
  validityMs: 30 * dayMs,
  renewBeforeMs: 30 * dayMs,
}

const malformed: readonly (readonly [string, Buffer | Readonly<Record<string, unknown>>, string])[] = [
  ['nothing', Buffer.alloc(0), 'malformed'],
  ['what is no JSON', Buffer.from('{"v":1'), 'malformed'],
  ['bytes that are no UTF-8', Buffer.from([0x22, 0xff, 0x22]), 'malformed'],
  ['a list', Buffer.from('[]'), 'malformed'],
  ['null', Buffer.from('null'), 'malformed'],
  ['very deep JSON', Buffer.from('['.repeat(60_000)), 'malformed'],
  ['a message without a version', { v: undefined }, 'malformed'],
  ['a version as text', { v: '1' }, 'malformed'],
  ['a version of tomorrow', { v: 2 }, 'not-implemented'],
  ['a message without a token', { clientToken: undefined }, 'malformed'],
  ['an empty token', { clientToken: '' }, 'malformed'],
  ['a token of 65 characters', { clientToken: 'a'.repeat(65) }, 'malformed'],
  ['a token with a slash', { clientToken: 'a/b' }, 'malformed'],
  ['an unknown operation', { operation: 'revoke' }, 'malformed'],
  ['a missing CSR', { csr: undefined }, 'malformed'],
  ['a CSR that is no base64', { csr: '????' }, 'malformed'],
  ['a CSR that is no text', { csr: 5 }, 'malformed'],
  ['a certificate that is none', { certificate: 'MAA=' }, 'malformed'],
  ['a chain that is no list', { chain: 'MAA=' }, 'malformed'],
  ['a chain of nine', { chain: Array.from({ length: 9 }, () => 'MAA=') }, 'malformed'],
  ['a signature that is no base64', { signature: '!' }, 'malformed'],
  ['a signature of nothing', { signature: 'AA==' }, 'bad-signature'],
]

forEachEngine((start) => {
  test('renews with the certificate of the connection', async () => {
    const { engine, device } = await dueDevice(start)
    const answer = await ask(engine, { payload: enrolMessage({ device }), connection: over(device) })
    assert.equal(answer.leaf, 'csr/accepted')
    assert.equal(answer.clientToken, 'token-1')
    const certificate = parseCertificate(fromBase64(answer.certificate as string) as Uint8Array)
    assert.notEqual(certificate.serialNumber, device.record.serialNumber)
    assert.deepEqual(certificate.subject, parseCertificate(device.certificate).subject)
    assert.equal(answer.chain?.length, 1, 'the issuing CA; the root is trusted already')
  })

  test('renews with a signature by the key of the certificate, over a broker that nobody trusts', async () => {
    const { engine, device } = await dueDevice(start)
    const answer = await ask(engine, { payload: enrolMessage({ device, signed: true }) })
    assert.equal(answer.leaf, 'csr/accepted', answer.message ?? '')
  })

  test('the same message again, three days late, gets the same certificate and makes no second one', async () => {
    const { engine, device, app } = await dueDevice(start)
    const payload = enrolMessage({ device, signed: true })
    const first = await ask(engine, { payload })
    await app.clock.advance(72 * hourMs)
    const [second, third] = await Promise.all([ask(engine, { payload }), ask(engine, { payload })])
    assert.equal(second.certificate, first.certificate)
    assert.equal(third.certificate, first.certificate)
    assert.equal(app.seen.filter((each) => each.kind === 'issued' && !each.repeated).length, 2)
  })

  test('refuses a signature by another key, another token or another topic', async () => {
    const { engine, device } = await dueDevice(start)
    const stranger = { ...device, key: createKey() }
    const forged = await ask(engine, { payload: enrolMessage({ device: stranger, signed: true }) })
    assert.equal(forged.code, 'bad-signature')
    const payload = enrolMessage({ device, signed: true, change: { clientToken: 'token-2' } })
    assert.equal((await ask(engine, { payload })).code, 'bad-signature')
    await registerDevice(engine, 'meter-2')
    const elsewhere = await ask(engine, {
      deviceId: 'meter-2' as DeviceId,
      payload: enrolMessage({ device, signed: true }),
    })
    assert.equal(elsewhere.code, 'bad-signature')
  })

  test('refuses a device on the topic of another, however well it signs', async () => {
    const { engine, device } = await dueDevice(start)
    const other = await enrolDevice(engine, 'meter-2')
    const message = enrolMessage({ device: other, deviceId: meter, signed: true })
    assert.equal((await ask(engine, { payload: message })).code, 'unauthenticated')
    const connected = await ask(engine, { payload: enrolMessage({ device: other }), connection: over(other) })
    assert.equal(connected.code, 'unauthenticated')
    assert.equal(
      (await ask(engine, { payload: enrolMessage({ device, signed: true }) })).leaf,
      'csr/accepted',
    )
  })

  test('refuses a request without a signature where no connection proves anything', async () => {
    const { engine, device } = await dueDevice(start)
    const unsigned = enrolMessage({ device, change: { certificate: toBase64(device.certificate) } })
    assert.equal((await ask(engine, { payload: unsigned })).code, 'unauthenticated')
    assert.equal((await ask(engine, { payload: enrolMessage({ device }) })).code, 'unauthenticated')
  })

  test('policy has the last word, with the hint when to come back', async () => {
    const app = await start()
    const device = await enrolDevice(app.engine, meter)
    const early = await ask(app.engine, { payload: enrolMessage({ device, signed: true }) })
    assert.equal(early.code, 'too-early')
    assert.ok((early.retryAfterSeconds ?? 0) > 0)
  })

  test('what waits for a person is said with the code pending', async () => {
    const app = await start({ profiles: [open, { ...open, name: 'manual', approval: 'manual' }] })
    const device = await enrolDevice(app.engine, meter, { profile: 'open' })
    const { engine } = app
    await engine.store.transaction(async (tx) => void (await updateDevice(tx, meter, { profile: 'manual' })))
    const answer = await ask(engine, { payload: enrolMessage({ device, signed: true }) })
    assert.deepEqual([answer.leaf, answer.code], ['csr/rejected', 'pending'])
    assert.equal(answer.retryAfterSeconds, 600)
  })

  test('an overloaded server says so, and when to come back', async () => {
    const { engine, device } = await dueDevice(start)
    const request = { deviceId: meter, payload: enrolMessage({ device }), connection: over(device) }
    const { leaf, payload } = overloadedAnswer(engine, request, 30_000)
    assert.equal(leaf, 'csr/rejected')
    assert.deepEqual(JSON.parse(payload), {
      v: 1,
      clientToken: 'token-1',
      code: 'overloaded',
      message: 'too many requests at once: ask again later',
      retryAfterSeconds: 30,
    })
  })

  for (const [what, change, code] of malformed) {
    test(`refuses ${what}`, async () => {
      const { engine, device } = await dueDevice(start)
      const payload = Buffer.isBuffer(change) ? change : enrolMessage({ device, signed: true, change })
      const answer = await ask(engine, { payload })
      assert.equal(answer.leaf, 'csr/rejected')
      assert.equal(answer.code, code)
    })
  }
})
