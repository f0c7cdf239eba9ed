import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { sampleTrigger, triggerConformance } from '../../test/conformance/trigger.ts'
import { refusal } from '../../test/helpers/app.ts'
import { httpPeer, type HttpPeer, type PeerAnswer, type PeerRequest } from '../../test/helpers/http-peer.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import type { TriggerChannel } from '../engine/ports.ts'
import { createSmsChannel } from './sms.ts'
import type { TwilioOptions } from './twilio.ts'

const accountSid = `AC${'0'.repeat(32)}`
const authToken = 'twilio-secret-token'
const never = new AbortController().signal
const statusCallback = 'https://est.example:8443/perennial/v1/sms-receipts/twilio'

async function channelTo(url: string, options: Partial<TwilioOptions> = {}): Promise<TriggerChannel> {
  const host = testTriggerHost({ secrets: { twilio: authToken } })
  const gateway = {
    provider: 'twilio',
    baseUrl: url,
    accountSid,
    authToken: 'twilio',
    from: '+15005550006',
    statusCallback,
    timeoutMs: 20_000,
    insecureHttp: false,
    ...options,
  } as const
  const template = 'PERENNIAL RENEW {renewal} {certificate}'
  return await createSmsChannel({ numberTag: 'msisdn', template, gateway }, host)
}

/** As api.twilio.com does: 401 without the account, 201 with a SID. */
function twilio({ headers, method, url, body }: PeerRequest): PeerAnswer {
  const basic = Buffer.from(`${accountSid}:${authToken}`).toString('base64')
  if (headers.authorization !== `Basic ${basic}`) return { status: 401, body: '{"code":20003}' }
  if (method !== 'POST' || url !== `/2010-04-01/Accounts/${accountSid}/Messages.json`) return { status: 404 }
  const to = new URLSearchParams(body).get('To')
  return {
    status: 201,
    body: JSON.stringify({ sid: 'SM00000000000000000000000000000001', status: 'queued', to }),
  }
}

async function start(
  t: TestContext,
  options: Partial<TwilioOptions> = {},
): Promise<{ peer: HttpPeer; channel: TriggerChannel }> {
  const peer = await httpPeer(twilio)
  t.after(() => peer.stop())
  return { peer, channel: await channelTo(peer.url, options) }
}

triggerConformance({
  name: 'sms over Twilio',
  async open() {
    const peer = await httpPeer(twilio)
    return {
      channel: await channelTo(peer.url),
      received: async () => peer.taken.map(({ body }) => new URLSearchParams(body).get('Body') ?? ''),
      breakPeer: async () => {
        peer.answer = () => ({ status: 500 })
      },
      repairPeer: async () => {
        peer.answer = twilio
      },
      stallPeer: async () => {
        peer.answer = 'never'
      },
      secrets: [authToken, Buffer.from(`${accountSid}:${authToken}`).toString('base64')],
      unreachable: { tags: { msisdn: '0170 1234567' } },
      close: () => peer.stop(),
    }
  },
})

test('writes the message as the API wants it, and answers with its SID', async (t) => {
  const { peer, channel } = await start(t)
  const { reference } = await channel.send(sampleTrigger({ tags: { msisdn: '+49 170 123-4567' } }), never)
  assert.equal(reference, 'SM00000000000000000000000000000001')
  assert.deepEqual(Object.fromEntries(new URLSearchParams(peer.taken[0]?.body)), {
    To: '+491701234567',
    From: '+15005550006',
    Body: 'PERENNIAL RENEW 4711 issuing/0a1b2c3d4e5f60718293a4b5c6d7e8f901',
    StatusCallback: statusCallback,
  })
})

test('sends through a messaging service, and without receipts, if so configured', async (t) => {
  const { peer, channel } = await start(t, { from: 'MG123', statusCallback: null })
  await channel.send(sampleTrigger(), never)
  const body = new URLSearchParams(peer.taken[0]?.body)
  assert.deepEqual([...body.keys()].toSorted(), ['Body', 'MessagingServiceSid', 'To'])
})

test('a wrong account is a failure', async (t) => {
  const { channel } = await start(t, { accountSid: 'AC1' })
  assert.match((await refusal(channel.send(sampleTrigger(), never))).message, /answered 401/)
})

test('a message that failed at once is a failure, with the code of the provider', async (t) => {
  const { peer, channel } = await start(t)
  const body = '{"sid":"SM1","status":"failed","error_code":30006,"error_message":"Landline"}'
  peer.answer = () => ({ status: 201, body })
  const { code, message } = await refusal(channel.send(sampleTrigger(), never))
  assert.equal(code, 'trigger-failed')
  assert.match(message, /30006/)
})

for (const body of ['', 'null', '[]', '{}', '{"sid":7}', '{"sid":"../x"}', '<html>']) {
  test(`a message that was taken is sent, even if the answer is ${JSON.stringify(body)}`, async (t) => {
    const { peer, channel } = await start(t)
    peer.answer = () => ({ status: 201, body })
    assert.deepEqual(await channel.send(sampleTrigger(), never), { reference: null })
  })
}
