/** Logging in against a real OpenID provider, the npm package oidc-provider, over HTTP. */
import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import type { FastifyInstance } from 'fastify'
import { Provider } from 'oidc-provider'
import { parseGrant } from '../../src/engine/operators/grants.ts'
import { addOperator } from '../../src/engine/operators/operator.ts'
import { createAdminServer } from '../../src/api/server.ts'
import { testActor, testEngine, type TestEngine } from '../helpers/app.ts'

let rig: TestEngine
let provider: Server
let server: FastifyInstance
let issuer: string
let url: string

async function listening(started: Server): Promise<string> {
  await new Promise<void>((resolve) => started.listen(0, '127.0.0.1', resolve))
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}`
}

before(async () => {
  rig = await testEngine({ withIssuers: false })
  provider = createServer()
  issuer = await listening(provider)
  // its port is needed for the redirect URI before it listens
  const placeholder = createServer()
  url = await listening(placeholder)
  await new Promise((resolve) => placeholder.close(resolve))
  const oidc = new Provider(issuer, {
    clients: [
      {
        client_id: 'perennial',
        client_secret: 'known-to-both',
        redirect_uris: [`${url}/auth/oidc/callback`],
        response_types: ['code'],
        grant_types: ['authorization_code'],
      },
    ],
    pkce: { required: () => true },
    findAccount: async (_context: unknown, id: string) => ({
      accountId: id,
      claims: async () => ({ sub: id }),
    }),
  })
  provider.on('request', oidc.callback())
  await addOperator(rig.engine, {
    name: 'bert',
    grants: [parseGrant('officer')],
    actor: testActor,
    oidcSubject: `${issuer}|7f3a`,
  })
  server = await createAdminServer({
    version: '1',
    healthChecks: [],
    snapshots: async () => [],
    rest: {
      engine: rig.engine,
      url,
      oidc: { issuer, clientId: 'perennial', clientSecret: 'known-to-both', url },
    },
  })
  await server.listen({ host: '127.0.0.1', port: Number(new URL(url).port) })
})
after(async () => {
  await server.close()
  provider.closeAllConnections()
  provider.close()
  await rig.close()
})

/** A browser: follows redirects by hand, keeps cookies by host, fills the provider's forms. */
class Browser {
  readonly cookies = new Map<string, Map<string, string>>()

  async go(target: string, form?: Record<string, string>): Promise<Response> {
    const at = new URL(target)
    const jar = this.cookies.get(at.host) ?? new Map<string, string>()
    this.cookies.set(at.host, jar)
    const answer = await fetch(target, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(form === undefined ? {} : { method: 'POST', body: new URLSearchParams(form) }),
    })
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      jar.set(name, value)
    }
    return answer
  }

  /** Logs in at the provider and agrees. @returns where it sends the browser in the end: our callback */
  async logIn(login: string): Promise<string> {
    let next = (await this.go(`${url}/auth/oidc/start`)).headers.get('location') ?? ''
    for (let steps = 0; steps < 12; steps++) {
      if (next.startsWith(`${url}/auth/oidc/callback`)) return next
      const page = await this.go(next)
      const location = page.headers.get('location')
      if (location !== null) {
        next = new URL(location, next).href
        continue
      }
      const html = await page.text()
      const action = /action="([^"]+)"/.exec(html)?.[1] ?? ''
      const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1] ?? ''
      const sent = await this.go(new URL(action, next).href, { prompt, login, password: 'any' })
      next = new URL(sent.headers.get('location') ?? '', next).href
    }
    throw new Error(`the provider does not send the browser back: ${next}`)
  }
}

test('an account of the provider that has an account here is let in', async () => {
  const browser = new Browser()
  const callback = await browser.logIn('7f3a')
  const answer = await browser.go(callback)
  assert.deepEqual([answer.status, answer.headers.get('location')], [302, '/'])
  assert.match(answer.headers.getSetCookie()[0] ?? '', /^perennial=[\w-]{43}; HttpOnly; SameSite=Strict/)
  const session = await (await browser.go(`${url}/api/v1/session`)).json()
  assert.equal((session as { operator: string }).operator, 'bert')
})

test('the same answer of the provider is not taken twice', async () => {
  const browser = new Browser()
  const callback = await browser.logIn('7f3a')
  assert.equal((await browser.go(callback)).status, 302)
  assert.equal((await browser.go(callback)).status, 401)
})

test('an account that nobody has added here is not let in', async () => {
  const browser = new Browser()
  const answer = await browser.go(await browser.logIn('stranger'))
  assert.equal(answer.status, 401)
  assert.equal(((await answer.json()) as { code: string }).code, 'login-failed')
  assert.deepEqual(answer.headers.getSetCookie(), [])
})

test('an answer that was begun in another browser, or has another state or code, is refused', async () => {
  const victim = new Browser()
  const callback = await new Browser().logIn('7f3a')
  assert.equal((await victim.go(callback)).status, 401)
  for (const name of ['state', 'code', 'iss']) {
    const browser = new Browser()
    const forged = new URL(await browser.logIn('7f3a'))
    forged.searchParams.set(name, 'forged')
    assert.equal((await browser.go(forged.href)).status, 401, name)
  }
})

test('the request has PKCE with S256, a state and a nonce', async () => {
  const location = new URL((await new Browser().go(`${url}/auth/oidc/start`)).headers.get('location') ?? '')
  assert.equal(location.searchParams.get('code_challenge_method'), 'S256')
  for (const name of ['code_challenge', 'state', 'nonce']) {
    assert.ok((location.searchParams.get(name)?.length ?? 0) >= 43, name)
  }
})
