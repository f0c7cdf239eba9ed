/** The fallback by SMS, from a due renewal to the message and back: over SMPP, through Kannel, and to a Twilio-like sink. */
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { dayMs, systemClock, VirtualClock } from '../../src/base/clock.ts'
import type { Engine } from '../../src/engine/context.ts'
import type { DeliveryReceipt, TriggerChannel } from '../../src/engine/ports.ts'
import { stepDueRenewals } from '../../src/engine/renewals/renewals.ts'
import { recordReceipt } from '../../src/engine/triggers/trigger-receipts.ts'
import { sendTriggers } from '../../src/engine/triggers/trigger-tasks.ts'
import {
  createSmsReceipts,
  smsReceiptsPrefix,
  twilioSignature,
  type SmsReceiptKeys,
} from '../../src/protocols/sms-receipts.ts'
import { attemptsOf } from '../../src/store/renewal-attempts.ts'
import { findRenewal } from '../../src/store/renewals.ts'
import { createSmsChannel, type SmsProvider } from '../../src/triggers/sms.ts'
import { enrolDevice, testEngine, testStart } from '../helpers/app.ts'
import { httpPeer } from '../helpers/http-peer.ts'
import { startKannel } from '../helpers/kannel.ts'
import { putRenewal } from '../helpers/renewals.ts'
import { missing } from '../helpers/require.ts'
import { receiptText, smscAccount, startSmsc, type Smsc } from '../helpers/smsc.ts'
import { testTriggerHost } from '../helpers/trigger-host.ts'

const never = new AbortController().signal
/** One node: nobody else runs the pass. */
const noFence = async () => {}
const smsOnly = [
  { channel: 'sms', waitMs: 3 * dayMs, repeats: 2, beforeMs: null },
  { channel: 'field', waitMs: 0, repeats: 1, beforeMs: 7 * dayMs },
] as const

interface Rig {
  readonly engine: Engine
  readonly renewalId: number
  /** Passes until nothing is due. */
  pass(): Promise<void>
  /** What became of each attempt. */
  attempts(): Promise<string[]>
  /** Waits until the only attempt has this state. */
  settled(status: string): Promise<void>
  record(receipt: DeliveryReceipt): Promise<void>
}

/** A device with a number whose renewal is due, on a ladder that begins with SMS. The engine's time stands still. */
async function startRig(
  t: TestContext,
  open: (rig: Pick<Rig, 'record'>) => Promise<TriggerChannel>,
): Promise<Rig> {
  const record = async (receipt: DeliveryReceipt) => await recordReceipt(app.engine, 'sms', receipt)
  const channel = await open({ record: async (receipt) => await record(receipt) })
  const clock = new VirtualClock(testStart)
  const app = await testEngine({
    clock,
    connectivity: new Map([['weekly', { checkInMs: 7 * dayMs, ladder: smsOnly }]]),
    triggers: new Map([['sms', channel]]),
  })
  t.after(async () => {
    await channel.close()
    await app.close()
  })
  const { engine } = app
  const device = await enrolDevice(engine, 'meter-1', {
    connectivity: 'weekly',
    tags: { msisdn: '+491701234567' },
  })
  const { id: renewalId } = await putRenewal(engine, device, { nextAt: testStart })
  const attempts = async () =>
    (await attemptsOf(engine.store.db, renewalId)).map(({ status, detail }) =>
      detail ? `${status}: ${detail}` : status,
    )
  return {
    engine,
    renewalId,
    attempts,
    record,
    async pass() {
      const now = engine.clock.now()
      await stepDueRenewals(engine, now, never, noFence)
      await sendTriggers(engine, 'sms', now, never)
    },
    async settled(status) {
      for (let left = 400; left > 0; left--) {
        if ((await attempts())[0]?.startsWith(status)) return
        await systemClock.sleep(25)
      }
      assert.fail(`the attempt is ${String(await attempts())}, not ${status}`)
    },
  }
}

async function channelOf(gateway: SmsProvider, onReceipt?: Rig['record']): Promise<TriggerChannel> {
  const secrets = { smpp: smscAccount.password, kannel: 'foobar', twilio: 'token' }
  const host = testTriggerHost({ secrets, ...(onReceipt ? { onReceipt } : {}) })
  return await createSmsChannel({ numberTag: 'msisdn', template: 'PERENNIAL RENEW {renewal}', gateway }, host)
}

async function smscOf(t: TestContext): Promise<Smsc> {
  const smsc = await startSmsc()
  t.after(() => smsc.stop())
  return smsc
}

function smppTo({ port }: Smsc): SmsProvider {
  return {
    provider: 'smpp',
    host: '127.0.0.1',
    port,
    tls: false,
    systemType: '',
    password: 'smpp',
    systemId: smscAccount.systemId,
    from: '+4915100000',
    maximumPerSecond: 100,
    enquireMs: 30_000,
    timeoutMs: 20_000,
  }
}

test('SMPP: a due renewal leaves as a message, and its receipt makes the attempt delivered', async (t) => {
  const smsc = await smscOf(t)
  const rig = await startRig(t, async ({ record }) => await channelOf(smppTo(smsc), record))
  await rig.pass()
  assert.equal(smsc.taken[0]?.text, `PERENNIAL RENEW ${rig.renewalId}`)
  assert.deepEqual(await rig.attempts(), ['sent'])
  await smsc.deliver({ esm_class: 4, short_message: receiptText('m1', 'ACCEPTD') })
  assert.deepEqual(await rig.attempts(), ['sent'])
  await smsc.deliver({ esm_class: 4, short_message: receiptText('m1', 'DELIVRD') })
  assert.deepEqual(await rig.attempts(), ['delivered: DELIVRD'])
})

test('SMPP: a message that will never arrive puts the device on the next rung at once, here the field list', async (t) => {
  const smsc = await smscOf(t)
  const rig = await startRig(t, async ({ record }) => await channelOf(smppTo(smsc), record))
  await rig.pass()
  await smsc.deliver({ esm_class: 4, short_message: receiptText('m1', 'UNDELIV', '011') })
  assert.deepEqual(await rig.attempts(), ['failed: UNDELIV, error 011'])
  const before = await findRenewal(rig.engine.store.db, rig.renewalId)
  assert.equal(before?.nextAt, testStart, 'it is due at once, not in three days')
  await rig.pass()
  const after = await findRenewal(rig.engine.store.db, rig.renewalId)
  assert.deepEqual([after?.rung, smsc.taken.length], [1, 1])
})

test('Kannel: our message, its SMSC, its delivery reports', { skip: missing('kannel') }, async (t) => {
  const smsc = await smscOf(t)
  const directory = await mkdtemp(join(tmpdir(), 'perennial-kannel-'))
  const kannel = await startKannel(directory, smsc.port)
  t.after(async () => {
    await kannel.stop()
    await rm(directory, { recursive: true, force: true })
  })
  for (let left = 400; smsc.bound === 0 && left > 0; left--) await systemClock.sleep(25)
  assert.equal(smsc.bound, 1, kannel.log())
  const keys: SmsReceiptKeys = { twilio: null, kannel: { password: kannel.password } }
  const receipts = await receiptServer(t, keys)
  const rig = await startRig(t, async ({ record }) => {
    receipts.record = record
    return await channelOf({
      provider: 'kannel',
      url: kannel.url,
      username: kannel.username,
      password: 'kannel',
      from: '+4915100000',
      smsc: 'smpp1',
      reportUrl: `${receipts.url}${smsReceiptsPrefix}kannel`,
      timeoutMs: 20_000,
      insecureHttp: false,
    })
  })
  await rig.pass()
  assert.deepEqual(await rig.attempts(), ['sent'], kannel.log())
  for (let left = 400; smsc.taken.length === 0 && left > 0; left--) await systemClock.sleep(25)
  const [message] = smsc.taken
  assert.match(message?.to ?? 'nothing', /^\+?491701234567$/)
  assert.equal(message?.text, `PERENNIAL RENEW ${rig.renewalId}`)
  const receipt = { esm_class: 4, source_addr: message?.to, destination_addr: message?.from }
  await smsc.deliver({ ...receipt, short_message: receiptText(message?.id ?? '', 'DELIVRD') })
  await rig.settled('delivered')
})

test('Twilio: a sink that answers and reports as Twilio does', async (t) => {
  const url = `https://est.example:8443${smsReceiptsPrefix}twilio`
  const basic = `Basic ${Buffer.from('AC1:token').toString('base64')}`
  const sink = await httpPeer(({ headers }) =>
    headers.authorization === basic
      ? { status: 201, body: '{"sid":"SM1","status":"queued"}' }
      : { status: 401 },
  )
  t.after(() => sink.stop())
  const rig = await startRig(
    t,
    async () =>
      await channelOf({
        provider: 'twilio',
        baseUrl: sink.url,
        accountSid: 'AC1',
        authToken: 'twilio',
        from: '+15005550006',
        statusCallback: url,
        timeoutMs: 20_000,
        insecureHttp: false,
      }),
  )
  await rig.pass()
  assert.deepEqual(await rig.attempts(), ['sent'])
  const sent = new URLSearchParams(sink.taken[0]?.body)
  assert.equal(sent.get('Body'), `PERENNIAL RENEW ${rig.renewalId}`)

  const { handle } = createSmsReceipts({ twilio: { authToken: 'token', url }, kannel: null }, rig.record)
  for (const status of ['sent', 'delivered']) {
    const form = new URLSearchParams({ MessageSid: 'SM1', MessageStatus: status, To: sent.get('To') ?? '' })
    const answer = await handle({
      method: 'POST',
      path: new URL(sent.get('StatusCallback') ?? '').pathname,
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'x-twilio-signature': twilioSignature(url, form, 'token'),
      },
      body: Buffer.from(form.toString()),
    })
    assert.equal(answer.status, 204)
  }
  assert.deepEqual(await rig.attempts(), ['delivered: delivered'])
})

/** The receipts of the device port, on a plain socket. */
async function receiptServer(
  t: TestContext,
  keys: SmsReceiptKeys,
): Promise<{ readonly url: string; record: Rig['record'] }> {
  const receiver = { url: '', record: async (_receipt: DeliveryReceipt): Promise<void> => {} }
  const receipts = createSmsReceipts(keys, async (receipt) => await receiver.record(receipt))
  const server = createServer((request, response) => {
    const { method = '', url: path = '', headers } = request
    const answer = receipts.handle({ method, path, headers, body: Buffer.alloc(0) })
    answer.then(
      ({ status }) => response.writeHead(status).end(),
      () => response.writeHead(500).end(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  receiver.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return receiver
}
