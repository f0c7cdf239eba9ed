import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { sampleTrigger, triggerConformance } from '../../test/conformance/trigger.ts'
import { refusal } from '../../test/helpers/app.ts'
import { createCa } from '../../test/helpers/ca.ts'
import { receiptText, smscAccount, startSmsc, type Smsc } from '../../test/helpers/smsc.ts'
import { testTriggerHost, type TestTriggerHostOptions } from '../../test/helpers/trigger-host.ts'
import { VirtualClock } from '../base/clock.ts'
import type { DeliveryReceipt, TriggerChannel } from '../engine/ports.ts'
import { createSmsChannel } from './sms.ts'
import type { SmppOptions } from './smpp.ts'

const never = new AbortController().signal

interface Started {
  readonly smsc: Smsc
  readonly channel: TriggerChannel
}

async function channelTo(
  smsc: Smsc,
  host: TestTriggerHostOptions = {},
  options: Partial<SmppOptions> = {},
): Promise<TriggerChannel> {
  const gateway = {
    provider: 'smpp',
    host: '127.0.0.1',
    port: smsc.port,
    tls: false,
    systemId: smscAccount.systemId,
    password: 'smpp',
    systemType: '',
    from: '+4915100000',
    maximumPerSecond: 1_000,
    enquireMs: 30_000,
    timeoutMs: 10_000,
    ...options,
  } as const
  return await createSmsChannel(
    { numberTag: 'msisdn', template: 'PERENNIAL RENEW {renewal} {certificate}', gateway },
    testTriggerHost({ secrets: { smpp: smscAccount.password }, ...host }),
  )
}

async function start(
  t: TestContext,
  host: TestTriggerHostOptions = {},
  options: Partial<SmppOptions> = {},
): Promise<Started> {
  const smsc = await startSmsc()
  const channel = await channelTo(smsc, host, options)
  t.after(async () => {
    await channel.close()
    await smsc.stop()
  })
  return { smsc, channel }
}

triggerConformance({
  name: 'sms over SMPP',
  async open() {
    const smsc = await startSmsc()
    const channel = await channelTo(smsc)
    return {
      channel,
      received: async () => smsc.taken.map(({ to, text }) => `${to} ${text}`),
      breakPeer: () => smsc.stop(),
      repairPeer: async () => {
        smsc.status = 0
        await smsc.start()
      },
      stallPeer: async () => {
        smsc.status = 'never'
      },
      secrets: [smscAccount.password],
      unreachable: { tags: {} },
      close: async () => {
        await channel.close()
        await smsc.stop()
      },
    }
  },
})

test('submits to the international number, asks for a receipt, answers with the name of the message', async (t) => {
  const { smsc, channel } = await start(t)
  const { reference } = await channel.send(sampleTrigger(), never)
  const text = 'PERENNIAL RENEW 4711 issuing/0a1b2c3d4e5f60718293a4b5c6d7e8f901'
  assert.deepEqual(smsc.taken, [
    { id: 'm1', to: '491701234567', from: '4915100000', text, registeredDelivery: 1 },
  ])
  assert.equal(reference, 'm1')
})

test('binds once for many messages, and unbinds at the end', async (t) => {
  const { smsc, channel } = await start(t)
  await Promise.all([1, 2, 3, 4].map((renewalId) => channel.send(sampleTrigger({ renewalId }), never)))
  assert.equal(smsc.bound, 1)
  assert.equal(smsc.taken.length, 4)
  await channel.close()
})

test('a wrong password is refused without naming it', async (t) => {
  const { channel } = await start(t, { secrets: { smpp: 'wrong-pw' } })
  const { code, message } = await refusal(channel.send(sampleTrigger(), never))
  assert.equal(code, 'trigger-failed')
  assert.match(message, /ESME_RINVPASWD/)
  assert.doesNotMatch(message, /wrong-pw/)
})

test('a number that the network does not know is impossible, not failed', async (t) => {
  const { smsc, channel } = await start(t)
  smsc.status = 0x0b
  assert.equal((await refusal(channel.send(sampleTrigger(), never))).code, 'trigger-impossible')
  smsc.status = 0x45
  assert.match((await refusal(channel.send(sampleTrigger(), never))).message, /ESME_RSUBMITFAIL/)
})

for (const [name, status] of [
  ['ESME_RTHROTTLED', 0x58],
  ['ESME_RMSGQFUL', 0x14],
] as const) {
  test(`${name}: nothing more is sent until the pause is over`, async (t) => {
    const clock = new VirtualClock(Date.UTC(2026, 10, 20))
    const { smsc, channel } = await start(t, { clock })
    smsc.status = status
    const { code, retryAfterMs } = await refusal(channel.send(sampleTrigger(), never))
    assert.equal(code, 'trigger-failed')
    assert.ok(retryAfterMs !== null && retryAfterMs >= 8_000 && retryAfterMs <= 12_000)
    smsc.status = 0
    assert.equal((await refusal(channel.send(sampleTrigger(), never))).retryAfterMs, retryAfterMs)
    assert.equal(smsc.taken.length, 0)
    await clock.advance(retryAfterMs)
    await channel.send(sampleTrigger(), never)
    assert.equal(smsc.taken.length, 1)
  })
}

test('sends no faster than the contract with the provider allows', async (t) => {
  const clock = new VirtualClock(0)
  const { smsc, channel } = await start(t, { clock }, { maximumPerSecond: 2 })
  await channel.send(sampleTrigger({ renewalId: 1 }), never)
  const later = [2, 3].map((renewalId) => channel.send(sampleTrigger({ renewalId }), never))
  assert.equal(smsc.taken.length, 1)
  await clock.advance(500)
  await later[0]
  assert.equal(smsc.taken.length, 2)
  await clock.advance(500)
  await later[1]
  assert.equal(smsc.taken.length, 3)
})

test('asks an idle SMSC whether it is there, and makes a lost session again by itself', async (t) => {
  const clock = new VirtualClock(0)
  const { smsc, channel } = await start(t, { clock }, { enquireMs: 5_000 })
  await channel.send(sampleTrigger(), never)
  await clock.advance(5_000)
  await until(() => smsc.enquiries === 1)
  smsc.drop()
  await until(() => smsc.bound === 0)
  await until(async () => {
    await clock.advance(1_000)
    return smsc.bound === 1
  })
})

test('an SMSC that stays silent is a time-out of which nobody knows whether the message left', async (t) => {
  const clock = new VirtualClock(0)
  const { smsc, channel } = await start(t, { clock })
  await channel.send(sampleTrigger(), never)
  smsc.status = 'never'
  const sending = refusal(channel.send(sampleTrigger(), never))
  await clock.advance(1)
  await clock.advance(10_000)
  const { cause } = await sending
  assert.ok(cause instanceof Error && cause.name === 'TimeoutError')
})

test('receipts come through, and are acknowledged when they are on record', async (t) => {
  const receipts: DeliveryReceipt[] = []
  const { smsc, channel } = await start(t, { onReceipt: async (receipt) => void receipts.push(receipt) })
  await channel.send(sampleTrigger(), never)
  const receipt = { esm_class: 4, source_addr: '491701234567', short_message: receiptText('m1', 'DELIVRD') }
  assert.equal(await smsc.deliver(receipt), 0)
  assert.deepEqual(receipts, [{ reference: 'm1', outcome: 'delivered', detail: 'DELIVRD' }])
  // a message from a device is no receipt
  assert.equal(await smsc.deliver({ esm_class: 0, short_message: receiptText('m1', 'DELIVRD') }), 0)
  assert.equal(receipts.length, 1)
})

test('a receipt that could not be recorded is asked for again', async (t) => {
  const onReceipt = async () => await Promise.reject(new Error('the store is busy'))
  const { smsc, channel } = await start(t, { onReceipt })
  await channel.send(sampleTrigger(), never)
  const receipt = { esm_class: 4, short_message: receiptText('m1', 'DELIVRD') }
  assert.equal(await smsc.deliver(receipt), 0x64)
})

test('with TLS, an SMSC that cannot prove who it is hears nothing, not even the password', async (t) => {
  const unknown = createCa('CN=Unknown', Date.UTC(2026, 10, 20)).issue({
    subject: 'CN=localhost',
    subjectAltNames: ['dns:localhost'],
  })
  const heard: Buffer[] = []
  const server = createTlsServer({ key: unknown.keyPem, cert: unknown.pem }, (socket) => {
    socket.on('data', (data: Buffer) => void heard.push(data))
  })
  let connections = 0
  server.on('connection', () => void connections++)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const smsc = { port: (server.address() as AddressInfo).port } as Smsc
  const channel = await channelTo(smsc, {}, { host: 'localhost', tls: true })
  t.after(() => channel.close())
  const { code, message } = await refusal(channel.send(sampleTrigger(), never))
  assert.deepEqual([code, message], ['trigger-failed', 'the SMSC could not be reached'])
  assert.equal(connections, 1)
  assert.deepEqual(heard, [])
})

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (let turn = 0; turn < 2_000; turn++) {
    if (await isTrue()) return
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.fail('it did not happen')
}
