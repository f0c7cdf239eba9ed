import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { sampleTrigger, triggerConformance } from '../../test/conformance/trigger.ts'
import { refusal } from '../../test/helpers/app.ts'
import { httpPeer, type HttpPeer, type PeerAnswer, type PeerRequest } from '../../test/helpers/http-peer.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import { smsReceiptToken } from '../base/sms-receipt-token.ts'
import type { TriggerChannel } from '../engine/ports.ts'
import type { KannelOptions } from './kannel.ts'
import { createSmsChannel } from './sms.ts'

// The real Kannel is in test/interop/sms.test.ts; here is what it answers when something is wrong.
const password = 'kannel-password'
const never = new AbortController().signal
const reportUrl = 'http://127.0.0.1:8443/perennial/v1/sms-receipts/kannel'

async function channelTo(url: string, options: Partial<KannelOptions> = {}): Promise<TriggerChannel> {
  const gateway = {
    provider: 'kannel',
    url: `${url}/cgi-bin/sendsms`,
    username: 'tester',
    password: 'kannel',
    from: '12345',
    smsc: null,
    reportUrl,
    timeoutMs: 20_000,
    insecureHttp: false,
    ...options,
  } as const
  const template = 'PERENNIAL RENEW {renewal} {certificate}'
  return await createSmsChannel(
    { numberTag: 'msisdn', template, gateway },
    testTriggerHost({ secrets: { kannel: password } }),
  )
}

function smsbox({ url }: PeerRequest): PeerAnswer {
  const isKnown = queryOf(url).get('password') === password
  return isKnown
    ? { status: 202, body: '0: Accepted for delivery' }
    : { status: 403, body: 'Authorization failed' }
}

function queryOf(url: string | undefined): URLSearchParams {
  return new URL(url ?? '', 'http://127.0.0.1').searchParams
}

async function start(
  t: TestContext,
  options: Partial<KannelOptions> = {},
): Promise<{ peer: HttpPeer; channel: TriggerChannel }> {
  const peer = await httpPeer(smsbox)
  t.after(() => peer.stop())
  return { peer, channel: await channelTo(peer.url, options) }
}

triggerConformance({
  name: 'sms through Kannel',
  async open() {
    const peer = await httpPeer(smsbox)
    return {
      channel: await channelTo(peer.url),
      received: async () => peer.taken.map(({ url }) => queryOf(url).get('text') ?? ''),
      breakPeer: () => peer.stop(),
      repairPeer: async () => {
        peer.answer = smsbox
        await peer.start()
      },
      stallPeer: async () => {
        peer.answer = 'never'
      },
      secrets: [password],
      unreachable: { tags: {} },
      close: () => peer.stop(),
    }
  },
})

test('asks for the reports that decide something, at an address of this message', async (t) => {
  const { peer, channel } = await start(t, { smsc: 'modem-1' })
  const { reference } = await channel.send(sampleTrigger(), never)
  assert.equal(reference, '4711.0.1')
  const query = queryOf(peer.taken[0]?.url)
  assert.equal(query.get('dlr-url'), `${reportUrl}/4711.0.1/${smsReceiptToken('4711.0.1', password)}/%d`)
  assert.equal(query.get('dlr-mask'), '19')
  assert.equal(query.get('smsc'), 'modem-1')
  assert.equal(query.get('to'), '+491701234567')
})

test('without an address for reports, none are asked for and none are waited for', async (t) => {
  const { peer, channel } = await start(t, { reportUrl: null })
  assert.deepEqual(await channel.send(sampleTrigger(), never), { reference: null })
  assert.equal(queryOf(peer.taken[0]?.url).has('dlr-url'), false)
})

for (const [body, isTaken] of [
  ['0: Accepted for delivery', true],
  ['3: Queued for later delivery', true],
  ['4: Queue full', false],
  ['Empty text and blank not allowed, rejected', false],
  ['', false],
  ['03: x', false],
] as const) {
  test(`${JSON.stringify(body)} is ${isTaken ? 'a yes' : 'a no'}, whatever the status says`, async (t) => {
    const { peer, channel } = await start(t)
    peer.answer = () => ({ status: 202, body })
    const sending = channel.send(sampleTrigger(), never)
    if (isTaken) await sending
    else assert.equal((await refusal(sending)).code, 'trigger-failed')
  })
}
