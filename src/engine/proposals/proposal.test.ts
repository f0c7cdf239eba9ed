import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs, hourMs } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { enrolDevice, forEachEngine, refusal, testActor } from '../../../test/helpers/app.ts'
import { findDevice } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { readFact } from '../audit/audit.ts'
import type { Engine } from '../context.ts'
import { addIssuer } from '../issuing/issuer-proposal.ts'
import { createJobs } from '../jobs.ts'
import { orderRevocation, revocationBatches, stepRevocation } from '../revocation/revoke-batch.ts'
import { runTasks } from '../tasks.ts'
import { proposalKindOf, proposalKinds } from './proposal-kinds.ts'
import {
  decideProposal,
  expireProposalsJob,
  proposalHandler,
  proposals,
  propose,
  requireProposal,
} from './proposal.ts'

const other = 'cli:other'
const approval = {
  require: ['revoke-batch', 'issuer-create'],
  fromDevices: 2,
  lifetimeMs: dayMs,
} as const
const settings = { approval }
const selection = { batch: 'B1' }
const payload = { selection, reason: 'keyCompromise', note: 'stolen', delayMs: 0 }
const never = new AbortController().signal

async function carryOut(engine: Engine): Promise<void> {
  await runTasks(engine, [proposalHandler(proposalKinds)], engine.clock.now(), never)
}

async function proposeBatch(engine: Engine) {
  const kind = proposalKindOf('revoke-batch')
  return await propose(engine, { kind, payload, why: 'a van was broken into', actor: testActor })
}

async function steps(engine: Engine): Promise<string[]> {
  const facts = (await recentFacts(engine.store.db, { limit: 100 })).map(({ entry }) => readFact(entry))
  return facts
    .filter(({ action }) => action.startsWith('proposal.'))
    .map(({ action, actor }) => `${action} ${actor}`)
    .toReversed()
}

forEachEngine((start) => {
  test('what one proposes is done when another approves, once, and each step is on record', async () => {
    const { engine, close } = await start({ settings })
    for (const id of ['SN-1', 'SN-2']) await enrolDevice(engine, id, { batch: 'B1' })
    const order = { selection, reason: 'keyCompromise', actor: testActor } as const
    assert.equal((await refusal(orderRevocation(engine, order))).code, 'proposal-needed')
    const { id, summary, state } = await proposeBatch(engine)
    assert.equal(state, 'open')
    assert.match(summary, /revoke 2 certificates of 2 devices \(batch B1; keyCompromise\)/)
    await carryOut(engine)
    assert.deepEqual(await revocationBatches(engine), [])

    const approved = await decideProposal(engine, { id, decision: 'approved', actor: other, note: 'seen' })
    assert.deepEqual([approved.state, approved.decidedBy, approved.note], ['approved', other, 'seen'])
    await carryOut(engine)
    await carryOut(engine)
    const done = await requireProposal(engine, id)
    assert.deepEqual([done.state, done.outcome], ['done', 'revocation 1'])
    const batches = await revocationBatches(engine)
    assert.deepEqual(
      batches.map(({ actor, note }) => [actor, note]),
      [[testActor, 'stolen']],
    )
    await stepRevocation(engine, 1)
    assert.equal((await findDevice(engine.store.db, 'SN-1' as DeviceId))?.state, 'quarantined')
    assert.deepEqual(await steps(engine), [
      `proposal.opened ${testActor}`,
      `proposal.approved ${other}`,
      'proposal.done job:proposal',
    ])
    await close()
  })

  test('nobody decides on his own proposal, and nobody decides twice', async () => {
    const { engine, close } = await start({ settings })
    await enrolDevice(engine, 'SN-1', { batch: 'B1' })
    const { id } = await proposeBatch(engine)
    for (const decision of ['approved', 'rejected'] as const) {
      const own = await refusal(decideProposal(engine, { id, decision, actor: testActor }))
      assert.equal(own.code, 'proposal-own')
    }
    await decideProposal(engine, { id, decision: 'rejected', actor: other })
    const again = await refusal(decideProposal(engine, { id, decision: 'approved', actor: other }))
    assert.equal(again.code, 'proposal-state')
    await carryOut(engine)
    assert.deepEqual(await revocationBatches(engine), [])
    const unknown = await refusal(decideProposal(engine, { id: 77, decision: 'approved', actor: other }))
    assert.equal(unknown.code, 'not-found')
    await close()
  })

  test('a proposal is good until the millisecond before its end, and then expires', async () => {
    const { engine, clock, close } = await start({ settings })
    await enrolDevice(engine, 'SN-1', { batch: 'B1' })
    const first = await proposeBatch(engine)
    const second = await proposeBatch(engine)
    await clock.advance(dayMs - 1)
    const jobs = createJobs(engine, [expireProposalsJob])
    await jobs.pass('expire-proposals')
    await decideProposal(engine, { id: first.id, decision: 'approved', actor: other })
    await clock.advance(1)
    const late = await refusal(decideProposal(engine, { id: second.id, decision: 'approved', actor: other }))
    assert.equal(late.code, 'proposal-state')
    assert.equal((await jobs.pass('expire-proposals'))?.worked, 1)
    const { rows } = await proposals(engine, { limit: 10 })
    assert.deepEqual(
      rows.map(({ id, state }) => [id, state]),
      [
        [second.id, 'expired'],
        [first.id, 'approved'],
      ],
    )
    await close()
  })

  test('two processes that carry out one proposal do it once', async () => {
    const { engine, another, clock, close } = await start({ settings })
    await enrolDevice(engine, 'SN-1', { batch: 'B1' })
    const { id } = await proposeBatch(engine)
    await decideProposal(engine, { id, decision: 'approved', actor: other })
    const handler = proposalHandler(proposalKinds)
    const both = [engine, another()].map((each) => handler.run(each, { proposal: id }, never))
    await Promise.allSettled(both)
    await clock.advance(hourMs)
    await carryOut(engine)
    assert.equal((await revocationBatches(engine)).length, 1)
    assert.equal((await requireProposal(engine, id)).state, 'done')
    await close()
  })

  test('what can no longer be done when it is approved fails, and says why', async () => {
    const { engine, close } = await start({ settings })
    const kind = proposalKindOf('issuer-create')
    const input = { id: 'issuing-2', kind: 'intermediate', parentId: 'root' }
    const { id, summary } = await propose(engine, { kind, payload: input, why: null, actor: testActor })
    assert.equal(summary, 'create the intermediate issuing-2 under root with a new ec-p256 key')
    const twin = await propose(engine, {
      kind,
      payload: { ...input, kind: 'intermediate' },
      why: null,
      actor: other,
    })
    await decideProposal(engine, { id, decision: 'approved', actor: other })
    await carryOut(engine)
    assert.equal((await engine.issuers.list()).length, 3)
    // an issuer of that name is there now; asked for as a root it would be another one
    await engine.store.transaction(async (tx) => {
      await tx
        .updateTable('proposals')
        .set({ payload: JSON.stringify({ ...input, kind: 'root', parentId: null }) })
        .where('id', '=', twin.id)
        .execute()
    })
    await decideProposal(engine, { id: twin.id, decision: 'approved', actor: testActor })
    await carryOut(engine)
    const failed = await requireProposal(engine, twin.id)
    assert.equal(failed.state, 'failed')
    assert.match(failed.outcome ?? '', /^already-exists/)
    const direct = { id: 'x' as never, kind: 'root', parentId: null, actor: testActor } as const
    assert.equal((await refusal(addIssuer(engine, direct))).code, 'proposal-needed')
    await close()
  })

  test('below the number of devices that the policy names, one person is enough', async () => {
    const { engine, close } = await start({ settings })
    await enrolDevice(engine, 'SN-1', { batch: 'B1' })
    const order = { selection, reason: 'keyCompromise', actor: testActor } as const
    assert.equal((await orderRevocation(engine, order)).status, 'waiting')
    await enrolDevice(engine, 'SN-2', { batch: 'B1' })
    assert.equal((await refusal(orderRevocation(engine, order))).code, 'proposal-needed')
    await close()
  })

  for (const [what, wrong] of [
    ['no selection', { ...payload, selection: {} }],
    ['an unknown key of the selection', { ...payload, selection: { id: 'SN-1' } }],
    ['a reason that is none', { ...payload, reason: 'theft' }],
    ['a delay of half a millisecond', { ...payload, delayMs: -1 }],
    ['no object', 'revoke everything'],
  ] as const) {
    test(`nothing is proposed with ${what}`, async () => {
      const { engine, close } = await start({ settings })
      const kind = proposalKindOf('revoke-batch')
      const refused = await refusal(propose(engine, { kind, payload: wrong, why: null, actor: testActor }))
      assert.equal(refused.code, 'invalid-input')
      assert.deepEqual((await proposals(engine, { limit: 10 })).rows, [])
      await close()
    })
  }
})

test('there is no other kind of proposal', () => {
  assert.throws(() => proposalKindOf('delete-everything'), { code: 'invalid-input' })
})
