/** Sessions of browsers against the REST API: cookies, CSRF, fixation, and what an attacker's page can do. */
import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { minuteMs } from '../base/clock.ts'
import { parseGrant } from '../engine/operators/grants.ts'
import { addOperator } from '../engine/operators/operator.ts'
import { firstStartLink } from '../engine/operators/setup.ts'
import { totpCodeAt } from '../engine/operators/totp.ts'
import { testActor, testEngine, type TestEngine } from '../../test/helpers/app.ts'
import { createAdminServer } from './server.ts'

let rig: TestEngine
let server: FastifyInstance
let totpKey: Uint8Array
const password = 'correct horse battery'

const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, options: InjectOptions = {}) =>
  await server.inject({ method, url: `/api/v1${path}`, ...options })

before(async () => {
  rig = await testEngine()
  const unlimited = { perSecond: 1e6, burst: 1e6 }
  const limits = { caller: unlimited, stranger: unlimited }
  const rest = { engine: rig.engine, url: null, limits }
  server = await createAdminServer({ version: '1', healthChecks: [], snapshots: async () => [], rest })
  const token = (await firstStartLink(rig.engine))?.token
  const offer = (await ask('POST', '/setup/offer', { payload: { token } })).json()
  assert.deepEqual([offer.operator, offer.requireTotp], [null, true])
  totpKey = fromBase32(offer.totpSecret)
  const payload = { token, name: 'anna', password, code: totpCodeAt(totpKey, rig.clock.now()) }
  assert.deepEqual((await ask('POST', '/setup', { payload })).json(), { operator: 'anna' })
})
after(() => rig.close())

function fromBase32(text: string): Uint8Array {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const bits = [...text].map((letter) => alphabet.indexOf(letter).toString(2).padStart(5, '0')).join('')
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (group) => Number.parseInt(group, 2))
}

interface Browser {
  readonly cookie: string
  readonly csrf: string
  readonly setCookie: string
}

/** Logs in; each code works once, so the clock goes on. */
async function logIn(headers: Record<string, string> = {}): Promise<Browser> {
  await rig.clock.advance(minuteMs)
  const payload = { name: 'anna', password, code: totpCodeAt(totpKey, rig.clock.now()) }
  const answer = await ask('POST', '/session', { payload, headers })
  assert.equal(answer.statusCode, 200, answer.body)
  const setCookie = answer.headers['set-cookie'] as string
  return { cookie: setCookie.split(';')[0] ?? '', csrf: answer.json().csrfToken, setCookie }
}

const addTo = (browser: Partial<Browser>, name: string, headers: Record<string, string> = {}) =>
  ask('POST', '/operators', {
    payload: { name, grants: [{ role: 'viewer', cohort: null, site: null }] },
    headers: {
      ...(browser.cookie === undefined ? {} : { cookie: browser.cookie }),
      ...(browser.csrf === undefined ? {} : { 'x-csrf-token': browser.csrf }),
      ...headers,
    },
  })

suite('a session', () => {
  test('its cookie is not for scripts and not for other sites', async () => {
    const { setCookie } = await logIn()
    assert.match(setCookie, /^perennial=[\w-]{43}; HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/)
  })

  test('over https its cookie cannot be set by a neighbour or a plain connection', async () => {
    const rest = { engine: rig.engine, url: 'https://perennial.example' }
    const other = await createAdminServer({ version: '1', healthChecks: [], snapshots: async () => [], rest })
    await rig.clock.advance(minuteMs)
    const payload = { name: 'anna', password, code: totpCodeAt(totpKey, rig.clock.now()) }
    const answer = await other.inject({ method: 'POST', url: '/api/v1/session', payload })
    assert.match(
      answer.headers['set-cookie'] as string,
      /^__Host-perennial=[\w-]{43}; Secure; HttpOnly; SameSite=Strict; Path=\/; Max-Age/,
    )
  })

  test('says who is asking and what he may do', async () => {
    const { cookie } = await logIn()
    const answer = (await ask('GET', '/session', { headers: { cookie } })).json()
    assert.deepEqual([answer.operator, answer.kind, answer.isProved], ['anna', 'session', true])
    assert.ok(answer.permissions.includes('operators:write'))
  })

  test('an id that was planted is not taken over, and ends', async () => {
    const planted = 'perennial=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
    const { cookie } = await logIn({ cookie: planted })
    assert.notEqual(cookie, planted)
    assert.equal((await ask('GET', '/session', { headers: { cookie: planted } })).statusCode, 401)
    const next = await logIn({ cookie })
    assert.notEqual(next.cookie, cookie)
    assert.equal((await ask('GET', '/session', { headers: { cookie } })).statusCode, 401)
    assert.equal((await ask('GET', '/session', { headers: { cookie: next.cookie } })).statusCode, 200)
  })

  test('of two cookies of the name, one was planted: neither is taken', async () => {
    const { cookie } = await logIn()
    const both = `perennial=x; ${cookie}`
    assert.equal((await ask('GET', '/session', { headers: { cookie: both } })).statusCode, 401)
  })

  test('ends when logged out, and takes its cookie away', async () => {
    const { cookie, csrf } = await logIn()
    const out = await ask('DELETE', '/session', { headers: { cookie, 'x-csrf-token': csrf } })
    assert.deepEqual([out.statusCode, out.body], [204, ''])
    assert.match(out.headers['set-cookie'] as string, /^perennial=; .*Max-Age=0$/)
    assert.equal((await ask('GET', '/session', { headers: { cookie } })).statusCode, 401)
  })
})

suite('a page of another site', () => {
  test('cannot write with the cookie: it does not know the token', async () => {
    const browser = await logIn()
    const { csrf: _, ...without } = browser
    for (const tried of [without, { ...browser, csrf: 'x' }, { ...browser, csrf: (await logIn()).csrf }]) {
      const answer = await addTo(tried, 'mallory')
      assert.deepEqual([answer.statusCode, answer.json().code], [403, 'cross-site'])
    }
    assert.equal((await addTo(browser, 'clara')).statusCode, 201)
  })

  test('is refused by what the browser says of it, even with the token', async () => {
    const browser = await logIn()
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:80.evil.example' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ] as Record<string, string>[]) {
      const answer = await addTo(browser, 'mallory', headers)
      assert.deepEqual([answer.statusCode, answer.json().code], [403, 'cross-site'], JSON.stringify(headers))
    }
    const own = { origin: 'http://localhost:80', host: 'localhost:80', 'sec-fetch-site': 'same-origin' }
    assert.equal((await addTo(browser, 'doris', own)).statusCode, 201)
  })

  test('cannot log somebody in', async () => {
    const payload = { name: 'anna', password, code: '000000' }
    const answer = await ask('POST', '/session', { payload, headers: { origin: 'https://evil.example' } })
    assert.equal(answer.json().code, 'cross-site')
  })

  test('cannot send a form', async () => {
    const { cookie, csrf } = await logIn()
    for (const type of [
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'text/plain',
    ]) {
      const headers = { cookie, 'x-csrf-token': csrf, 'content-type': type }
      const answer = await ask('POST', '/operators', { payload: '{"name":"x"}', headers })
      assert.equal(answer.statusCode, 415, type)
    }
  })
})

suite('dangerous acts', () => {
  test('need the password again after ten minutes, which changes the cookie', async () => {
    const browser = await logIn()
    await rig.clock.advance(10 * minuteMs)
    const late = await addTo(browser, 'emil')
    assert.deepEqual([late.statusCode, late.json().code], [403, 'step-up-required'])
    const headers = { cookie: browser.cookie, 'x-csrf-token': browser.csrf }
    const wrong = await ask('POST', '/session/proof', {
      payload: { password: 'wrong horse battery' },
      headers,
    })
    assert.equal(wrong.json().code, 'login-failed')
    const payload = { password, code: totpCodeAt(totpKey, rig.clock.now()) }
    const proof = await ask('POST', '/session/proof', { payload, headers })
    assert.equal(proof.statusCode, 200, proof.body)
    const cookie = (proof.headers['set-cookie'] as string).split(';')[0] ?? ''
    assert.equal((await addTo({ cookie, csrf: proof.json().csrfToken }, 'emil')).statusCode, 201)
    assert.equal((await addTo(browser, 'frieda')).statusCode, 401)
  })

  test('a token is made by a person, and does not make tokens', async () => {
    const { cookie, csrf } = await logIn()
    const payload = {
      name: 'board',
      grants: [{ role: 'administrator', cohort: null, site: null }],
      days: 1,
      allowsDangerous: true,
    }
    const made = await ask('POST', '/tokens', { payload, headers: { cookie, 'x-csrf-token': csrf } })
    assert.equal(made.statusCode, 201, made.body)
    const { token } = made.json()
    const authorization = `Bearer ${token}`
    const another = await ask('POST', '/tokens', { payload, headers: { authorization } })
    assert.equal(another.json().code, 'permission-missing')
    const listed = await ask('GET', '/tokens', { headers: { authorization } })
    assert.doesNotMatch(listed.body, new RegExp(token.slice(4)))
    const { id } = made.json()
    assert.equal((await ask('DELETE', `/tokens/${id}`, { headers: { authorization } })).statusCode, 204)
    assert.equal((await ask('GET', '/session', { headers: { authorization } })).statusCode, 401)
  })

  test('a wrong token is refused, also beside a good cookie', async () => {
    const { cookie } = await logIn()
    for (const authorization of ['Bearer prn_x', 'Bearer ', 'Basic YW5uYTp4', 'prn_x', 'Bearer a b']) {
      const answer = await ask('GET', '/session', { headers: { cookie, authorization } })
      assert.equal(answer.statusCode, 401, authorization)
    }
  })
})

test('nobody changes his own account over the API either', async () => {
  const { cookie, csrf } = await logIn()
  const headers = { cookie, 'x-csrf-token': csrf }
  assert.equal((await ask('POST', '/operators/anna/disable', { headers })).json().code, 'own-account')
  await addOperator(rig.engine, { name: 'gerda', grants: [parseGrant('viewer')], actor: testActor })
  assert.equal((await ask('POST', '/operators/gerda/disable', { headers })).json().status, 'disabled')
})
