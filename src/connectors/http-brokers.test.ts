/**
 * EMQX and HiveMQ cannot be installed here: behind the connectors stands a web server that answers as their REST APIs are
 * documented, with sessions and bans in memory.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createHmac } from 'node:crypto'
import { disconnectorConformance, type DisconnectorUnderTest } from '../../test/conformance/disconnector.ts'
import { refusal } from '../../test/helpers/app.ts'
import { httpPeer, type HttpPeer, type PeerAnswer, type PeerRequest } from '../../test/helpers/http-peer.ts'
import { testTriggerHost } from '../../test/helpers/trigger-host.ts'
import type { DeviceId } from '../base/id.ts'
import type { Disconnector } from '../engine/ports.ts'
import { createEmqxDisconnector } from './emqx.ts'
import { createHiveMqDisconnector } from './hivemq.ts'
import { createWebhookDisconnector } from './webhook.ts'

const key = 'api-key'
const secret = 's3cret-of-the-key'
const bearer = 'Bearer 0123456789'
const signing = `whsec_${Buffer.alloc(32, 7).toString('base64')}`
const host = testTriggerHost({ secrets: { key: secret, bearer, signing } })
const never = new AbortController().signal
const common = { timeoutMs: 2_000, insecureHttp: true }

/** Sessions by client id, and who is kept out. */
class Sessions {
  readonly open = new Map<string, string>()
  readonly banned = new Set<string>()

  connect(device: string, clientId = device): boolean {
    if (this.banned.has(device)) return false
    this.open.set(clientId, device)
    return true
  }

  of(device: string): number {
    return [...this.open.values()].filter((each) => each === device).length
  }
}

function json(status: number, value: unknown): PeerAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) }
}

/** The part of EMQX's API v5 that is used: clients, banned; HTTP Basic with an API key. */
function emqx(sessions: Sessions) {
  return ({ method, url, headers, body }: PeerRequest): PeerAnswer => {
    const wanted = `Basic ${Buffer.from(`${key}:${secret}`).toString('base64')}`
    if (headers.authorization !== wanted) return json(401, { code: 'BAD_API_KEY_OR_SECRET' })
    const { pathname, searchParams } = new URL(url, 'http://emqx')
    const parts = pathname.split('/').slice(3).map(decodeURIComponent)
    if (method === 'GET' && parts[0] === 'clients') {
      const data = [...sessions.open]
        .filter(([, device]) => device === searchParams.get('username'))
        .map(([clientid, username]) => ({ clientid, username, connected: true }))
      return json(200, { data: data.slice(0, Number(searchParams.get('limit'))), meta: { page: 1 } })
    }
    if (method === 'DELETE' && parts[0] === 'clients') {
      return sessions.open.delete(parts[1] ?? '')
        ? { status: 204 }
        : json(404, { code: 'CLIENT_ID_NOT_FOUND' })
    }
    if (method === 'POST' && parts[0] === 'banned') {
      const { as, who, until } = JSON.parse(body) as Record<string, string>
      if (as !== 'username' || !who || !until) return json(400, { code: 'BAD_REQUEST' })
      if (sessions.banned.has(who)) return json(400, { code: 'ALREADY_EXISTS' })
      sessions.banned.add(who)
      return json(200, { as, who, until })
    }
    if (method === 'DELETE' && parts[0] === 'banned' && parts[1] === 'username') {
      return sessions.banned.delete(parts[2] ?? '') ? { status: 204 } : json(404, { code: 'NOT_FOUND' })
    }
    return json(404, { code: 'NOT_FOUND' })
  }
}

/** HiveMQ: DELETE /api/v1/mqtt/clients/{clientId}/connection. */
function hivemq(sessions: Sessions) {
  return ({ method, url, headers }: PeerRequest): PeerAnswer => {
    if (headers.authorization !== bearer) return json(401, { errors: [] })
    const match = /^\/api\/v1\/mqtt\/clients\/([^/]+)\/connection$/.exec(url)
    if (method !== 'DELETE' || !match) return json(404, { errors: [{ title: 'no such endpoint' }] })
    const isKnown = sessions.open.delete(decodeURIComponent(match[1] as string))
    return isKnown ? { status: 200 } : json(404, { errors: [{ title: 'Client not found' }] })
  }
}

/** A receiver of the webhook that believes nothing without its signature. */
function receiver(sessions: Sessions) {
  return ({ headers, body }: PeerRequest): PeerAnswer => {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`
    const signature = createHmac('sha256', Buffer.alloc(32, 7)).update(signed).digest('base64')
    if (headers['webhook-signature'] !== `v1,${signature}`) return { status: 401 }
    const { type, data } = JSON.parse(body) as { type: string; data: { device: string; isBarred: boolean } }
    if (type === 'device.admit') sessions.banned.delete(data.device)
    else {
      for (const [client, device] of sessions.open) if (device === data.device) sessions.open.delete(client)
      if (data.isBarred) sessions.banned.add(data.device)
    }
    return { status: 204 }
  }
}

async function under(
  peerOf: (sessions: Sessions) => HttpPeer['answer'],
  create: (peer: HttpPeer) => Promise<Disconnector>,
): Promise<DisconnectorUnderTest> {
  const sessions = new Sessions()
  const peer = await httpPeer(peerOf(sessions))
  return {
    disconnector: await create(peer),
    connect: async (device) => sessions.connect(device),
    sessions: async (device) => sessions.of(device),
    breakPeer: () => peer.stop(),
    repairPeer: () => peer.start(),
    secrets: [secret, bearer, signing, Buffer.from(`${key}:${secret}`).toString('base64')],
    close: () => peer.stop(),
  }
}

const createEmqx = async ({ url }: Pick<HttpPeer, 'url'>) =>
  await createEmqxDisconnector({ ...common, url, apiKey: key, apiSecret: 'key' }, host)

suite('EMQX', () => {
  disconnectorConformance({ name: 'emqx', open: async () => await under(emqx, createEmqx) })

  test('every client of the device is ended, also where they are more than one page', async (t) => {
    const sessions = new Sessions()
    for (let n = 0; n < 230; n++) sessions.connect('meter-1', `client/${n}`)
    sessions.connect('meter-2')
    const peer = await httpPeer(emqx(sessions))
    t.after(() => peer.stop())
    const target = { deviceId: 'meter-1' as DeviceId, why: 'revoked', cutId: 1, requestedAt: 0 } as const
    assert.equal(await (await createEmqx(peer)).cut({ ...target, isBarred: true }, never), 230)
    assert.deepEqual([sessions.of('meter-1'), sessions.of('meter-2')], [0, 1])
  })

  test('a ban that is not taken, and an answer that is none, are failures', async (t) => {
    const peer = await httpPeer(() => json(400, { code: 'BAD_REQUEST' }))
    t.after(() => peer.stop())
    const connector = await createEmqx(peer)
    const target = { deviceId: 'meter-1' as DeviceId, why: 'revoked', cutId: 1, requestedAt: 0 } as const
    assert.equal(
      (await refusal(connector.cut({ ...target, isBarred: true }, never))).code,
      'connector-failed',
    )
    peer.answer = () => ({ status: 200, body: '<html>' })
    assert.equal(
      (await refusal(connector.cut({ ...target, isBarred: false }, never))).code,
      'connector-failed',
    )
  })
})

suite('HiveMQ', () => {
  disconnectorConformance({
    name: 'hivemq',
    without: ['bar'],
    open: async () =>
      await under(
        hivemq,
        async ({ url }) =>
          await createHiveMqDisconnector(
            { ...common, url, clientId: '{device}', authorization: 'bearer' },
            host,
          ),
      ),
  })
})

suite('a webhook', () => {
  disconnectorConformance({
    name: 'webhook',
    open: async () =>
      await under(
        receiver,
        async ({ url }) => await createWebhookDisconnector({ ...common, url, secret: 'signing' }, host),
      ),
  })
})

test('plain http to another machine is refused', async () => {
  const options = { ...common, url: 'http://broker.example.com', insecureHttp: false }
  for (const create of [
    () => createEmqxDisconnector({ ...options, apiKey: key, apiSecret: 'key' }, host),
    () => createHiveMqDisconnector({ ...options, clientId: '{device}', authorization: null }, host),
    () => createWebhookDisconnector({ ...options, secret: 'signing' }, host),
  ]) {
    assert.equal((await refusal(create())).code, 'configuration-invalid')
  }
})
