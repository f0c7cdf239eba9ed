import assert from 'node:assert/strict'
import { test } from 'node:test'
import { equalBytes } from '../../base/bytes.ts'
import { hourMs, secondMs } from '../../base/clock.ts'
import type { DeviceId, SerialNumber } from '../../base/id.ts'
import { enrolDevice, forEachEngine, issuingId, testActor, testEngine } from '../../../test/helpers/app.ts'
import { makeCertificate } from '../../../test/helpers/certificates.ts'
import { certId, ocspRequest, readOcsp } from '../../../test/helpers/ocsp.ts'
import type { Engine } from '../context.ts'
import { createJobs } from '../jobs.ts'
import { answerOcsp } from './ocsp.ts'
import { storeAnswers } from './ocsp-answers.ts'
import { ocspLifetimeMs } from './ocsp-settings.ts'
import { revokeDevice } from './revoke.ts'

const theft = { reason: 'keyCompromise', actor: testActor } as const
const serial = (n: number): SerialNumber => n.toString(16).padStart(32, '4') as SerialNumber

async function requestAbout(
  engine: Engine,
  serialNumbers: readonly SerialNumber[],
  nonce?: Uint8Array,
): Promise<Uint8Array> {
  const issuer = await engine.issuers.find(issuingId)
  assert.ok(issuer)
  return ocspRequest(
    serialNumbers.map((each) => certId(issuer.certificate, each)),
    nonce,
  )
}

async function store(engine: Engine): Promise<number> {
  return (await createJobs(engine, [storeAnswers]).pass(storeAnswers.name))?.worked ?? -1
}

forEachEngine((start) => {
  test('what one process has signed another one gives, also when nobody can sign any more', async () => {
    const { engine, another, authority, clock, close } = await start()
    const { record } = await enrolDevice(engine, 'SN-1')
    const request = await requestAbout(engine, [record.serialNumber])
    const first = await answerOcsp(engine, request)
    assert.equal(await store(engine), 1)
    authority.beforeSign = () => {
      throw new Error('the token is out of its slot')
    }
    const restarted = another()
    assert.ok(equalBytes((await answerOcsp(restarted, request)).der, first.der))
    // what takes a signature has to wait
    const withNonce = await requestAbout(restarted, [record.serialNumber], new Uint8Array(32))
    assert.equal(readOcsp((await answerOcsp(restarted, withNonce)).der).status, 3)
    // not fresh any more, and in force to its last second
    await clock.advance(ocspLifetimeMs - 13 * secondMs)
    for (const process of [restarted, another()]) {
      assert.ok(equalBytes((await answerOcsp(process, request)).der, first.der))
    }
    await clock.advance(13 * secondMs)
    assert.equal(readOcsp((await answerOcsp(restarted, request)).der).status, 3)
    assert.equal(await store(engine), 0)
    await clock.advance(secondMs)
    assert.equal(await store(engine), 1, 'what has lapsed is deleted')
    await close()
  })

  test('a revocation in one process is known to every other one at once, whatever they have kept', async () => {
    const { engine, another, authority, close } = await start()
    const other = another()
    const { record } = await enrolDevice(engine, 'SN-1')
    const { record: neighbour } = await enrolDevice(engine, 'SN-2')
    const request = await requestAbout(engine, [record.serialNumber])
    const about = await requestAbout(engine, [neighbour.serialNumber])
    const ask = async (process: Engine, what = request) => readOcsp((await answerOcsp(process, what)).der)
    for (const process of [engine, other]) {
      assert.deepEqual((await ask(process)).singles, ['good'])
      await store(process)
    }
    const kept = await answerOcsp(other, about)
    await revokeDevice(engine, 'SN-1' as DeviceId, theft)
    for (const process of [other, engine, another()]) {
      assert.deepEqual((await ask(process)).singles, ['revoked 1'])
    }
    assert.equal(await answerOcsp(other, about), kept, 'the answers about others stay')
    // a process without a signer says nothing rather than what is not true any more
    const signerless = another()
    authority.beforeSign = () => {
      throw new Error('the token is out of its slot')
    }
    assert.equal((await ask(signerless)).status, 3)
    await close()
  })
})

test('two nodes whose clocks are 10 minutes off: each gives what the other has signed', async () => {
  const { engine, another, clock, close } = await testEngine()
  const { record } = await enrolDevice(engine, 'SN-1')
  const request = await requestAbout(engine, [record.serialNumber])
  const shifted = (ms: number): Engine =>
    another({ clock: { now: () => clock.now() + ms, sleep: (time, signal) => clock.sleep(time, signal) } })
  const [ahead, behind] = [shifted(10 * 60 * secondMs), shifted(-10 * 60 * secondMs)]
  const answer = await answerOcsp(ahead, request)
  await store(ahead)
  assert.ok(equalBytes((await answerOcsp(behind, request)).der, answer.der))
  await close()
})

test('a flood that takes signatures gets so many in a second and no more; what is kept is given all the same', async () => {
  const settings = { ocsp: { liveSignaturesPerSecond: 20 } }
  const { engine, clock, close } = await testEngine({ settings })
  const { record } = await enrolDevice(engine, 'SN-1')
  const known = await requestAbout(engine, [record.serialNumber])
  const good = await answerOcsp(engine, known)
  const statuses = async (requests: readonly Uint8Array[]): Promise<number[]> => {
    const answers = await Promise.all(requests.map((each) => answerOcsp(engine, each)))
    return answers.map(({ der }) => readOcsp(der).status)
  }
  const strangers = await Promise.all(Array.from({ length: 50 }, (_, n) => requestAbout(engine, [serial(n)])))
  const several = await requestAbout(
    engine,
    Array.from({ length: 100 }, (_, n) => serial(n)),
  )
  assert.equal((await statuses(strangers)).filter((status) => status === 0).length, 20)
  assert.deepEqual(await statuses([several]), [3])
  const nonce = await answerOcsp(
    engine,
    await requestAbout(engine, [record.serialNumber], new Uint8Array(16)),
  )
  assert.ok(nonce.kind === 'signed' && !nonce.hasNonce, 'a nonce may be passed over (RFC 9654 §2.1)')
  assert.deepEqual(readOcsp(nonce.der).singles, ['good'])
  assert.equal(await answerOcsp(engine, known), good)
  await clock.advance(secondMs)
  assert.deepEqual(await statuses([several]), [0])
  await close()
})

test('a flood about issuers that are not ours takes no signature and keeps nothing', async () => {
  const rig = await testEngine()
  const { engine, authority, close } = rig
  await enrolDevice(engine, 'SN-1')
  const before = authority.signatures.length
  const stranger = makeCertificate().certificate
  const answers = await Promise.all(
    Array.from({ length: 5_000 }, (_, n) =>
      answerOcsp(engine, ocspRequest([certId(stranger, serial(n))], new Uint8Array(n % 2 ? 32 : 200))),
    ),
  )
  const errors = answers.map((answer) => (answer.kind === 'error' ? answer.error : 'signed'))
  assert.deepEqual([...new Set(errors)].toSorted(), ['malformedRequest', 'unauthorized'])
  assert.equal(authority.signatures.length, before)
  assert.equal(await store(engine), 0)
  await close()
})

test('an answer is renewed when half of its time is gone', async () => {
  const { engine, clock, close } = await testEngine()
  const { record } = await enrolDevice(engine, 'SN-1')
  const request = await requestAbout(engine, [record.serialNumber])
  const first = await answerOcsp(engine, request)
  await clock.advance(6 * hourMs)
  assert.equal(await answerOcsp(engine, request), first)
  await clock.advance(secondMs)
  const second = await answerOcsp(engine, request)
  assert.ok(first.kind === 'signed' && second.kind === 'signed' && second.producedAt > first.producedAt)
  await close()
})
