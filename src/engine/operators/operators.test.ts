/** Accounts, log-ins, sessions and tokens, on every store. */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, suite, test } from 'node:test'
import { dayMs, hourMs, minuteMs, secondMs } from '../../base/clock.ts'
import { recentFacts } from '../../store/facts.ts'
import { findOperator } from '../../store/operators.ts'
import { forEachEngine, refusal, testActor, type TestEngine } from '../../../test/helpers/app.ts'
import { readFact } from '../audit/audit.ts'
import { createToken, revokeToken, tokenIdentity } from './api-token.ts'
import { formatGrant, parseGrant } from './grants.ts'
import { addOperator, requireOperator, resetOperator, setDisabled, setGrants } from './operator.ts'
import {
  endSessionsJob,
  isCsrfToken,
  csrfToken,
  logIn,
  logInBySubject,
  logOut,
  proveAgain,
  sessionIdentity,
} from './session.ts'
import { finishSetup, firstStartLink, openSetup } from './setup.ts'
import { totpCodeAt } from './totp.ts'

const password = 'correct horse battery'

forEachEngine((start) => {
  let rig: TestEngine
  beforeEach(async () => {
    rig = await start({ withIssuers: false })
  })
  afterEach(() => rig.close())

  /** An account that is set up, and its authenticator app. */
  async function account(
    name = 'anna',
    roles = ['operator'],
  ): Promise<{ code: () => string; totpKey: Uint8Array }> {
    const { engine, clock } = rig
    const link = await addOperator(engine, { name, grants: roles.map(parseGrant), actor: testActor })
    const { totpKey } = await openSetup(engine, link?.token ?? '')
    await finishSetup(engine, { token: link?.token ?? '', password, code: totpCodeAt(totpKey, clock.now()) })
    await clock.advance(minuteMs)
    return { totpKey, code: () => totpCodeAt(totpKey, clock.now()) }
  }

  const actionsOf = async (subject: string) =>
    (await recentFacts(rig.engine.store.db, { subject, limit: 100 })).map(({ action }) => action).toReversed()

  suite('the first account', () => {
    test('is made on a link of the first start, once, and then there is no such link', async () => {
      const { engine, clock } = rig
      const earlier = await firstStartLink(engine)
      const link = await firstStartLink(engine)
      assert.ok(earlier && link)
      assert.equal((await refusal(openSetup(engine, earlier.token))).code, 'link-invalid')
      const offer = await openSetup(engine, link.token)
      assert.equal(offer.operator, null)
      const code = totpCodeAt(offer.totpKey, clock.now())
      const made = await finishSetup(engine, { token: link.token, name: 'anna', password, code })
      assert.deepEqual(made.grants.map(formatGrant), ['administrator', 'officer'])
      const again = await refusal(finishSetup(engine, { token: link.token, name: 'eve', password, code }))
      assert.equal(again.code, 'link-invalid')
      assert.equal(await firstStartLink(engine), null)
    })

    test('the link lapses after thirty minutes', async () => {
      const { engine, clock } = rig
      const link = await firstStartLink(engine)
      await clock.advance(30 * minuteMs - 1)
      await openSetup(engine, link?.token ?? '')
      await clock.advance(1)
      assert.equal((await refusal(openSetup(engine, link?.token ?? ''))).code, 'link-invalid')
    })

    test('of two who open the link, one makes it', async () => {
      const { engine, clock } = rig
      const token = (await firstStartLink(engine))?.token ?? ''
      const code = totpCodeAt((await openSetup(engine, token)).totpKey, clock.now())
      const tries = ['anna', 'eve'].map((name) => finishSetup(engine, { token, name, password, code }))
      const results = await Promise.allSettled(tries)
      assert.deepEqual(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    })
  })

  suite('passwords and codes', () => {
    test('a weak password or a wrong code is refused, and the link stays usable', async () => {
      const { engine, clock } = rig
      const link = await addOperator(engine, {
        name: 'anna',
        grants: [parseGrant('viewer')],
        actor: testActor,
      })
      const token = link?.token ?? ''
      const code = totpCodeAt((await openSetup(engine, token)).totpKey, clock.now())
      for (const weak of ['short', 'aaaaaaaaaaaaaaaa', 'anna-anna-anna1', 'x'.repeat(257)]) {
        assert.equal(
          (await refusal(finishSetup(engine, { token, password: weak, code }))).code,
          'invalid-input',
          weak,
        )
      }
      assert.match((await refusal(finishSetup(engine, { token, password, code: '000000' }))).message, /code/)
      assert.match((await refusal(finishSetup(engine, { token, password }))).message, /code .* is needed/)
      assert.equal((await finishSetup(engine, { token, password, code })).status, 'active')
    })

    test('only the hash is kept: argon2id', async () => {
      await account()
      const record = await findOperator(rig.engine.store.db, 'anna')
      assert.match(record?.password ?? '', /^\$argon2id\$v=19\$m=65536,t=3,p=1\$/)
    })

    test('opens a session with both, and with neither, one, or a used code it does not', async () => {
      const { engine } = rig
      const { code } = await account()
      for (const wrong of [
        { password },
        { password, code: '000000' },
        { password: 'wrong horse battery', code: code() },
      ]) {
        assert.equal((await refusal(logIn(engine, { name: 'anna', ...wrong }))).code, 'login-failed')
      }
      const used = code()
      const { id } = await logIn(engine, { name: 'anna', password, code: used })
      assert.equal((await sessionIdentity(engine, id))?.operator, 'anna')
      assert.equal(
        (await refusal(logIn(engine, { name: 'anna', password, code: used }))).code,
        'login-failed',
      )
    })

    test('an unknown, an invited and a disabled account are refused in the same words', async () => {
      const { engine, clock } = rig
      const { code } = await account()
      await addOperator(engine, { name: 'new', grants: [parseGrant('viewer')], actor: testActor })
      const words = async (name: string) =>
        (await refusal(logIn(engine, { name, password, code: code() }))).message
      const texts = [await words('nobody'), await words('new')]
      await setDisabled(engine, { name: 'anna', isDisabled: true, actor: testActor })
      await clock.advance(minuteMs)
      assert.deepEqual(new Set([...texts, await words('anna')]).size, 1)
    })

    test('after five wrong ones the account waits, longer each time, and the right password does not help', async () => {
      const { engine, clock } = rig
      const { code } = await account()
      const guess = () =>
        refusal(logIn(engine, { name: 'anna', password: 'wrong horse battery', code: code() }))
      for (let count = 0; count < 5; count++) await guess()
      const waits = async () => ((await requireOperator(engine, 'anna')).lockedUntil ?? 0) - clock.now()
      assert.equal(await waits(), 30 * secondMs)
      assert.equal(
        (await refusal(logIn(engine, { name: 'anna', password, code: code() }))).code,
        'login-failed',
      )
      // what is tried while it waits does not make it wait longer: nobody can lock somebody out for ever
      assert.equal(await waits(), 30 * secondMs)
      await clock.advance(30 * secondMs)
      await guess()
      assert.equal(await waits(), minuteMs)
      await clock.advance(minuteMs)
      await logIn(engine, { name: 'anna', password, code: code() })
      assert.equal((await requireOperator(engine, 'anna')).lockedUntil, null)
    })

    test('many guesses at once count as many', async () => {
      const { engine } = rig
      const { code } = await account()
      const wrong = { name: 'anna', password: 'wrong horse battery', code: code() }
      await Promise.allSettled(Array.from({ length: 8 }, () => logIn(engine, wrong)))
      assert.notEqual((await requireOperator(engine, 'anna')).lockedUntil, null)
      assert.equal((await findOperator(engine.store.db, 'anna'))?.failures, 5)
    })
  })

  suite('sessions', () => {
    test('end when they are not used, at their end, when logged out, and when the account is disabled', async () => {
      const { engine, clock } = rig
      const { code } = await account()
      const open = async () => (await logIn(engine, { name: 'anna', password, code: code() })).id
      const idle = await open()
      await clock.advance(30 * minuteMs - 1)
      assert.ok(await sessionIdentity(engine, idle))
      await clock.advance(30 * minuteMs)
      assert.equal(await sessionIdentity(engine, idle), null)

      const long = await open()
      for (let minutes = 0; minutes < 12 * 60 - 20; minutes += 20) {
        await clock.advance(20 * minuteMs)
        assert.ok(await sessionIdentity(engine, long), `${minutes} minutes`)
      }
      await clock.advance(20 * minuteMs)
      assert.equal(await sessionIdentity(engine, long), null)

      const left = await open()
      await logOut(engine, left)
      assert.equal(await sessionIdentity(engine, left), null)

      await clock.advance(minuteMs)
      const other = await open()
      await setDisabled(engine, { name: 'anna', isDisabled: true, actor: testActor })
      assert.equal(await sessionIdentity(engine, other), null)
    })

    test('password and code again give a new id and ten minutes of dangerous acts', async () => {
      const { engine, clock } = rig
      const { code } = await account()
      const { id } = await logIn(engine, { name: 'anna', password, code: code() })
      assert.equal((await sessionIdentity(engine, id))?.isProved, true)
      await clock.advance(10 * minuteMs)
      assert.equal((await sessionIdentity(engine, id))?.isProved, false)
      assert.equal(
        (await refusal(proveAgain(engine, { id, password: 'wrong horse battery', code: code() }))).code,
        'login-failed',
      )
      const next = await proveAgain(engine, { id, password, code: code() })
      assert.equal(await sessionIdentity(engine, id), null)
      assert.equal((await sessionIdentity(engine, next.id))?.isProved, true)
    })

    test('the CSRF token belongs to its session', async () => {
      assert.ok(isCsrfToken('a', csrfToken('a')))
      for (const wrong of ['', csrfToken('b'), `${csrfToken('a')}x`]) assert.ok(!isCsrfToken('a', wrong))
    })

    test('the job deletes those that have ended', async () => {
      const { engine, clock } = rig
      const { code } = await account()
      await logIn(engine, { name: 'anna', password, code: code() })
      const run = async () =>
        await endSessionsJob.run(engine, clock.now(), new AbortController().signal, async () => undefined)
      assert.equal((await run()).worked, 0)
      await clock.advance(12 * hourMs)
      assert.equal((await run()).worked, 1)
    })

    test('a login of an OpenID provider opens the account that has it, and no other', async () => {
      const { engine } = rig
      const oidcSubject = 'https://id.example|7'
      await addOperator(engine, {
        name: 'bert',
        grants: [parseGrant('viewer')],
        actor: testActor,
        oidcSubject,
      })
      assert.equal((await logInBySubject(engine, oidcSubject)).operator, 'bert')
      assert.equal((await refusal(logInBySubject(engine, 'https://id.example|8'))).code, 'login-failed')
      await setDisabled(engine, { name: 'bert', isDisabled: true, actor: testActor })
      assert.equal((await refusal(logInBySubject(engine, oidcSubject))).code, 'login-failed')
    })
  })

  suite('accounts', () => {
    test('nobody changes his own, and an auditor cannot also write', async () => {
      const { engine } = rig
      await account()
      const actor = 'operator:anna'
      const own = setGrants(engine, { name: 'anna', grants: [parseGrant('administrator')], actor })
      assert.equal((await refusal(own)).code, 'own-account')
      assert.equal((await refusal(resetOperator(engine, { name: 'anna', actor }))).code, 'own-account')
      const grants = ['auditor', 'operator'].map(parseGrant)
      const both = addOperator(engine, { name: 'x', grants, actor: testActor })
      assert.match((await refusal(both)).message, /auditor writes nothing/)
    })

    test('a login or a certificate belongs to one account', async () => {
      const { engine } = rig
      for (const login of [{ oidcSubject: 'https://id.example|7' }, { certificateHash: 'ab'.repeat(32) }]) {
        const add = (name: string) =>
          addOperator(engine, { name, grants: [parseGrant('viewer')], actor: testActor, ...login })
        await add(`one-${Object.keys(login)[0]?.toLowerCase()}`)
        assert.equal((await refusal(add('two'))).code, 'already-exists')
      }
    })

    test('a reset ends everything and makes a link', async () => {
      const { engine, clock } = rig
      const { code } = await account()
      const { id } = await logIn(engine, { name: 'anna', password, code: code() })
      const grants = [parseGrant('operator')]
      const { token } = await createToken(engine, {
        operator: 'anna',
        name: 't',
        grants,
        lifetimeMs: dayMs,
        actor: testActor,
      })
      const link = await resetOperator(engine, { name: 'anna', actor: testActor })
      assert.equal(await sessionIdentity(engine, id), null)
      assert.equal(await tokenIdentity(engine, token), null)
      await clock.advance(minuteMs)
      assert.equal(
        (await refusal(logIn(engine, { name: 'anna', password, code: code() }))).code,
        'login-failed',
      )
      assert.equal((await openSetup(engine, link.token)).operator, 'anna')
    })

    test('every step is a fact, and none carries a secret', async () => {
      const { engine } = rig
      const { code } = await account()
      await refusal(logIn(engine, { name: 'anna', password: 'wrong horse battery', code: code() }))
      const { id } = await logIn(engine, { name: 'anna', password, code: code() })
      await logOut(engine, id)
      await setDisabled(engine, { name: 'anna', isDisabled: true, actor: testActor })
      assert.deepEqual(await actionsOf('operator:anna'), [
        'operator.added',
        'operator.set-up',
        'operator.login-failed',
        'operator.logged-in',
        'operator.logged-out',
        'operator.disabled',
      ])
      for (const { entry } of await recentFacts(engine.store.db, { limit: 100 })) {
        assert.doesNotMatch(Buffer.from(entry).toString(), new RegExp(`${password}|${id}|argon2`))
      }
    })
  })

  suite('API tokens', () => {
    const create = async (roles: string[], lifetimeMs = dayMs) =>
      await createToken(rig.engine, {
        operator: 'anna',
        name: 'board',
        grants: roles.map(parseGrant),
        lifetimeMs,
        actor: testActor,
      })

    test('carry what they were given, until they expire or are revoked', async () => {
      const { engine, clock } = rig
      await account()
      const { token, record } = await create(['viewer@site:kl'])
      assert.match(token, /^prn_[A-Za-z0-9_-]{43}$/)
      const identity = await tokenIdentity(engine, token)
      assert.deepEqual(
        [identity?.operator, identity?.grants.map(formatGrant), identity?.isProved],
        ['anna', ['viewer@site:kl'], false],
      )
      await clock.advance(dayMs - 1)
      assert.ok(await tokenIdentity(engine, token))
      await clock.advance(1)
      assert.equal(await tokenIdentity(engine, token), null)
      const other = await create(['viewer'])
      await revokeToken(engine, { id: other.record.id, actor: testActor })
      assert.equal(await tokenIdentity(engine, other.token), null)
      assert.deepEqual(await actionsOf(`token:${other.record.id}`), ['token.created', 'token.revoked'])
      assert.doesNotMatch(JSON.stringify(record), new RegExp(token.slice(4)))
    })

    test('carry no more than their account may do, when made and when used', async () => {
      const { engine } = rig
      await account('anna', ['operator@site:kl'])
      for (const more of ['officer@site:kl', 'operator', 'operator@site:ms', 'auditor@site:kl']) {
        assert.equal((await refusal(create([more]))).code, 'permission-missing', more)
      }
      const { token } = await create(['operator@site:kl', 'viewer@site:kl'])
      await setGrants(engine, { name: 'anna', grants: [parseGrant('viewer')], actor: testActor })
      assert.deepEqual((await tokenIdentity(engine, token))?.grants.map(formatGrant), ['viewer@site:kl'])
    })

    test('of others are not revoked by whoever may only revoke his own', async () => {
      const { engine } = rig
      await account()
      const { record } = await create(['viewer'])
      const work = revokeToken(engine, { id: record.id, actor: 'operator:eve', operator: 'eve' })
      assert.equal((await refusal(work)).code, 'not-found')
    })

    test('one that is not ours is nobody', async () => {
      for (const wrong of [
        '',
        'prn_',
        'prn_x',
        `prn_${'A'.repeat(43)}`,
        `prn_${'A'.repeat(5000)}`,
        "prn_' or 1=1 --",
      ]) {
        assert.equal(await tokenIdentity(rig.engine, wrong), null, wrong.slice(0, 20))
      }
    })
  })

  test('a fact about an account names the account that did it', async () => {
    const { engine } = rig
    await account()
    await setGrants(engine, { name: 'anna', grants: [parseGrant('viewer')], actor: 'operator:bert' })
    const [last] = await recentFacts(engine.store.db, { subject: 'operator:anna', limit: 1 })
    const { actor, details } = readFact(last?.entry ?? new Uint8Array())
    assert.deepEqual([actor, details], ['operator:bert', { before: ['operator'], grants: ['viewer'] }])
  })
})
