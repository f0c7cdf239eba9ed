/** Notifiers over HTTP, against a real server: what each one sends, and what must not leave. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { notifierConformance, refusal, sampleAlert, sampleMessage } from '../../test/conformance/notifier.ts'
import { startReceiver, type HttpReceiver } from '../../test/helpers/http-receiver.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import { hourMs, systemClock } from '../base/clock.ts'
import type { Notifier, NotifierMessage } from '../engine/ports.ts'
import { createOpsgenie } from './opsgenie.ts'
import { createPagerDuty } from './pagerduty.ts'
import { slack } from './slack.ts'
import { teams } from './teams.ts'
import { createWebhookNotifier } from './webhook.ts'

const name = 'notifiers.x'
const http = { name, timeoutMs: 5_000, allow: ['127.0.0.1'], insecureHttp: false }
const webhookKey = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const signal = new AbortController().signal

type Make = (receiver: HttpReceiver, options?: Partial<typeof http>) => Promise<Notifier>

function host(secrets: Readonly<Record<string, string>>) {
  return testTriggerHost({ secrets })
}

const kinds: Readonly<Record<string, Make>> = {
  webhook: async ({ url }, options) =>
    await createWebhookNotifier(
      { ...http, ...options },
      host({ [`${name}.url`]: `${url}/hook?token=s3cret`, [`${name}.secret`]: webhookKey }),
    ),
  slack: async ({ url }, options) =>
    await slack.create({ ...http, ...options }, host({ [`${name}.url`]: `${url}/services/s3cret` })),
  teams: async ({ url }, options) =>
    await teams.create({ ...http, ...options }, host({ [`${name}.url`]: `${url}/workflows/s3cret` })),
  pagerduty: async ({ url }, options) =>
    await createPagerDuty({ ...http, ...options, baseUrl: url }, host({ [`${name}.secret`]: 's3cret' })),
  opsgenie: async ({ url }, options) =>
    await createOpsgenie(
      { ...http, ...options, baseUrl: url, teams: ['pki'] },
      host({ [`${name}.secret`]: 's3cret' }),
    ),
}

for (const [kind, make] of Object.entries(kinds)) {
  notifierConformance(kind, async () => {
    const receiver = await startReceiver()
    return {
      notifier: await make(receiver),
      received: () => receiver.requests.map(({ path, body }) => `${path}\n${body}`),
      setFailing: (isFailing) => void (receiver.answer = { status: isFailing ? 503 : 202 }),
      secrets: ['s3cret', webhookKey],
      close: async () => await receiver.close(),
    }
  })

  test(`${kind}: an address inside the network is refused, however it is written`, async () => {
    const receiver = await startReceiver()
    const { port } = new URL(receiver.url)
    for (const inside of ['127.0.0.1', 'localhost', '[::1]', '[::ffff:127.0.0.1]', '0x7f.1', '2130706433']) {
      const url = `http://${inside}:${port}`
      const notifier = await make({ ...receiver, url }, { allow: [], insecureHttp: true })
      const refused = await refusal(notifier.notify(sampleMessage(), signal))
      assert.equal(refused.code, 'notify-impossible', inside)
      assert.match(refused.message, /not public/)
    }
    assert.equal(receiver.requests.length, 0)
    await receiver.close()
  })

  test(`${kind}: a redirect is not followed, and a no is not repeated`, async () => {
    const receiver = await startReceiver()
    const other = await startReceiver()
    receiver.answer = { status: 302, headers: { location: other.url } }
    const notifier = await make(receiver)
    assert.equal((await refusal(notifier.notify(sampleMessage(), signal))).code, 'notify-impossible')
    assert.equal(other.requests.length, 0)
    receiver.answer = { status: 400, body: 'bad \u001b[31mkey' }
    const refused = await refusal(notifier.notify(sampleMessage(), signal))
    assert.equal(refused.code, 'notify-impossible')
    assert.ok(!refused.message.includes('\u001b'))
    receiver.answer = { status: 429, headers: { 'retry-after': '7200' } }
    const later = await refusal(notifier.notify(sampleMessage(), signal))
    assert.equal(later.code, 'notify-failed')
    assert.equal(later.retryAfterMs, 2 * hourMs)
    await receiver.close()
    await other.close()
  })
}

async function sent(kind: string, message: NotifierMessage): Promise<{ path: string; body: never }[]> {
  const receiver = await startReceiver()
  await (await kinds[kind]?.(receiver))?.notify(message, signal)
  await receiver.close()
  return receiver.requests.map(({ path, body }) => ({ path, body: JSON.parse(body) as never }))
}

test('webhook: what is signed is what standardwebhooks verifies; a forged or an old one it does not', async () => {
  const receiver = await startReceiver()
  const notifier = await kinds['webhook']?.(receiver)
  await notifier?.notify(sampleMessage(), signal)
  const [request] = receiver.requests
  assert.ok(request)
  const headers = request.headers as Record<string, string>
  const verifier = new Webhook(webhookKey)
  const body = verifier.verify(request.body, headers) as { type: string; data: { alerts: { id: number }[] } }
  assert.equal(body.type, 'alert.opened')
  assert.equal(body.data.alerts[0]?.id, sampleAlert.id)
  assert.equal(headers['webhook-id'], 'notification-1')
  const forged = request.body.replace('critical', 'notice')
  assert.throws(() => verifier.verify(forged, headers))
  assert.throws(() => verifier.verify(request.body, { ...headers, 'webhook-id': 'notification-2' }))
  const old = String(Math.floor(systemClock.now() / 1_000) - 3_600)
  assert.throws(() => verifier.verify(request.body, { ...headers, 'webhook-timestamp': old }))
  assert.throws(() =>
    new Webhook(`whsec_${Buffer.alloc(32, 8).toString('base64')}`).verify(request.body, headers),
  )
  await receiver.close()
})

test('webhook: a repeat has the same id and the same body, and a signature of its own time', async () => {
  const receiver = await startReceiver()
  const notifier = await kinds['webhook']?.(receiver)
  await notifier?.notify(sampleMessage(), signal)
  await notifier?.notify(sampleMessage(), signal)
  const [first, second] = receiver.requests
  assert.equal(first?.body, second?.body)
  assert.equal(first?.headers['webhook-id'], second?.headers['webhook-id'])
  await receiver.close()
})

test('slack: no name of a device mentions a channel, makes a link or bold text', async () => {
  const hostile = { ...sampleAlert, summary: '<!channel> <https://evil.example|ok> & *x*' }
  const [request] = await sent('slack', sampleMessage({ alerts: [hostile] }))
  const text = JSON.stringify(request?.body)
  assert.ok(!text.includes('<!channel>') && !text.includes('<https://'), text)
  assert.ok(text.includes('&lt;!channel&gt;'))
})

test('teams: an Adaptive Card in a message, its Markdown escaped', async () => {
  const hostile = { ...sampleAlert, summary: '[click](https://evil.example) # head' }
  const [request] = await sent('teams', sampleMessage({ alerts: [hostile] }))
  const body = request?.body as unknown as {
    type: string
    attachments: {
      contentType: string
      content: { type: string; body: { text?: string }[]; actions: { url: string }[] }
    }[]
  }
  assert.equal(body.type, 'message')
  const [attachment] = body.attachments
  assert.equal(attachment?.contentType, 'application/vnd.microsoft.card.adaptive')
  assert.equal(attachment?.content.type, 'AdaptiveCard')
  assert.ok(!JSON.stringify(attachment?.content.body).includes('[click]('))
  assert.equal(attachment?.content.actions[0]?.url, sampleAlert.runbookUrl)
})

test('pagerduty: one key ties trigger, acknowledgement and resolution; a test leaves nothing open', async () => {
  const actions: string[] = []
  const keys = new Set<string>()
  for (const event of ['opened', 'raised', 'acknowledged', 'resolved'] as const) {
    for (const { path, body } of await sent('pagerduty', sampleMessage({ event }))) {
      const { event_action: action, dedup_key: key, routing_key: routing } = body as Record<string, string>
      assert.equal(path, '/v2/enqueue')
      assert.equal(routing, 's3cret')
      actions.push(action ?? '')
      keys.add(key ?? '')
    }
  }
  assert.deepEqual(actions, ['trigger', 'trigger', 'acknowledge', 'resolve'])
  assert.equal(keys.size, 1)
  const tried = await sent('pagerduty', sampleMessage({ event: 'test' }))
  assert.deepEqual(
    tried.map(({ body }) => (body as Record<string, string>)['event_action']),
    ['trigger', 'resolve'],
  )
})

test('opsgenie: created, acknowledged and closed under one alias, with the key in the header', async () => {
  const receiver = await startReceiver()
  const notifier = await kinds['opsgenie']?.(receiver)
  for (const event of ['opened', 'acknowledged', 'resolved'] as const)
    await notifier?.notify(sampleMessage({ event }), signal)
  const alias = encodeURIComponent('Example/alert/17')
  assert.deepEqual(
    receiver.requests.map(({ path }) => path),
    [
      '/v2/alerts',
      `/v2/alerts/${alias}/acknowledge?identifierType=alias`,
      `/v2/alerts/${alias}/close?identifierType=alias`,
    ],
  )
  assert.equal(receiver.requests[0]?.headers.authorization, 'GenieKey s3cret')
  assert.equal((JSON.parse(receiver.requests[0]?.body ?? '') as { priority: string }).priority, 'P1')
  await receiver.close()
})

test('plain http to another machine is refused when it is set up', async () => {
  const make = slack.create({ ...http, allow: [] }, host({ [`${name}.url`]: 'http://chat.example/x' }))
  assert.equal((await refusal(make)).code, 'configuration-invalid')
})
