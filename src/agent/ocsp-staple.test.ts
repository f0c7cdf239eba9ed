import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { bundleKey, makeBundle } from '../../test/helpers/agent-bundle.ts'
import { Rig } from '../../test/helpers/agent-rig.ts'
import { makeCertificate, testNow } from '../../test/helpers/certificates.ts'
import { ocspAnswer } from '../../test/helpers/ocsp-answer.ts'
import { toBase64 } from '../base/bytes.ts'
import { hourMs, minuteMs, secondMs, VirtualClock } from '../base/clock.ts'
import { seededRandom } from '../base/random.ts'
import { ocspFileName } from './agent-ocsp.ts'
import { activeCredential } from './agent-state.ts'
import type { FetchedOcsp } from './ocsp-fetch.ts'
import { OcspStaple } from './ocsp-staple.ts'

const ca = makeCertificate()
const leaf = makeCertificate({ issuer: ca })
const never = new AbortController().signal

suite('a staple', () => {
  const clock = new VirtualClock(testNow)
  let answers: (() => Uint8Array) | null = null
  let asked = 0
  const responder: Server = createServer((_request, response) => {
    asked += 1
    if (answers === null) return void response.writeHead(503).end()
    response.end(Buffer.from(answers()))
  })
  after(() => new Promise((done) => responder.close(done)))

  async function open(onAnswer?: (answer: FetchedOcsp) => Promise<void>): Promise<OcspStaple> {
    if (!responder.listening) await new Promise<void>((done) => responder.listen(0, '127.0.0.1', done))
    const address = responder.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const subject = async () => ({
      leaf: leaf.certificate,
      issuer: ca.certificate,
      url: `http://127.0.0.1:${port}`,
    })
    return new OcspStaple({ clock, random: seededRandom('a'), subject, ...(onAnswer ? { onAnswer } : {}) })
  }
  const good = () => ocspAnswer(leaf.certificate, ca, { now: clock.now() })

  test('is fetched once, again at half of its life, and given until its end while the responder is away', async () => {
    answers = good
    const handed: FetchedOcsp[] = []
    const staple = await open(async (answer) => void handed.push(answer))
    assert.equal(staple.response, null)
    await staple.refresh(never)
    assert.deepEqual(staple.response, handed[0]?.der)
    const before = asked
    await clock.advance(25 * minuteMs)
    await staple.refresh(never)
    assert.equal(asked, before)
    await clock.advance(10 * minuteMs)
    answers = null
    await staple.refresh(never)
    assert.equal(asked, before + 1)
    assert.notEqual(staple.response, null)
    await staple.refresh(never)
    assert.equal(asked, before + 1, 'a responder that is away is not asked at each turn')
    await clock.advance(25 * minuteMs)
    assert.equal(staple.response, null, 'it has lapsed')
    answers = good
    await clock.advance(hourMs)
    await staple.refresh(never)
    assert.notEqual(staple.response, null)
    assert.equal(handed.length, 2)
  })

  test('about another certificate, or signed by others, is never given', async () => {
    const stranger = makeCertificate({ issuer: ca })
    for (const bad of [
      () => ocspAnswer(stranger.certificate, ca, { now: clock.now() }),
      () => ocspAnswer(leaf.certificate, ca, { now: clock.now(), signer: stranger }),
      () => Buffer.from('hello'),
    ]) {
      answers = bad
      const staple = await open()
      await staple.refresh(never)
      assert.equal(staple.response, null)
    }
  })

  test('what a hook throws does not keep the answer from being given', async () => {
    answers = good
    const staple = await open(async () => {
      throw new Error('no space')
    })
    await staple.refresh(never)
    assert.notEqual(staple.response, null)
  })
})

test('a bundle brings the answer to a device that reaches no responder; a wrong one is dropped', async () => {
  const rig = await new Rig({ config: { bundleKeys: [bundleKey] } }).enrolled()
  const held = activeCredential(await (await rig.boot()).state())
  assert.ok(held)
  const now = Math.floor(rig.clock.now() / secondMs) * secondMs
  const give = async (responses: readonly Uint8Array[], version: number): Promise<void> => {
    const payload = { kind: 'ocsp' as const, responses: responses.map(toBase64) }
    const times = { notBefore: now - hourMs, expiresAt: now + hourMs }
    const agent = await rig.boot()
    const bundle = await makeBundle({ device: 'device-1', version, ...times, payload })
    assert.equal(await agent.receive({ kind: 'bundle', payload: bundle }), null)
    await agent.settle('keep')
    assert.equal((await agent.state()).inbox.bundle, null)
  }
  const about = ocspAnswer(held.certificate, rig.server.issuing, { now })
  const wrong = ocspAnswer(makeCertificate({ issuer: rig.server.issuing }).certificate, rig.server.issuing, {
    now,
  })
  await give([wrong], 1)
  assert.equal(await (await rig.boot()).ocspFile?.read(), null)
  await give([wrong, about], 2)
  assert.deepEqual(readFileSync(join(rig.directory, ocspFileName)), Buffer.from(about))
  const revoked = ocspAnswer(held.certificate, rig.server.issuing, {
    now,
    status: { kind: 'revoked', revokedAt: now - hourMs, reason: 'keyCompromise' },
  })
  await give([revoked], 3)
  assert.deepEqual(readFileSync(join(rig.directory, ocspFileName)), Buffer.from(about))
})
