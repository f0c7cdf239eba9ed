import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import * as fc from 'fast-check'
import { PowerCut, Rig, work } from '../../test/helpers/agent-rig.ts'
import { dayMs } from '../base/clock.ts'
import { activeCredential } from './agent-state.ts'

const phases = ['before', 'half', 'after'] as const

suite('power cuts', () => {
  test('at every effect of a renewal: a working credential, one certificate, and the renewal is finished', async () => {
    let isThrough = false
    for (let at = 0; !isThrough; at++) {
      for (const phase of phases) {
        const rig = await new Rig().enrolled()
        const before = await rig.activeSerial()
        await rig.toRenewal()
        const agent = await rig.boot()
        rig.cut = { at, phase }
        isThrough = await work(rig, agent).then(
          () => true,
          (error: unknown) => {
            assert.ok(error instanceof PowerCut, String(error))
            return false
          },
        )
        rig.cut = null
        await rig.assertWorking()
        await work(rig, await rig.boot())
        assert.notEqual(await rig.activeSerial(), before)
        assert.equal(rig.server.issued.length, 2, `cut ${at} ${phase}: one key, one request, one certificate`)
      }
      assert.ok(at < 40)
      if (isThrough) assert.ok(at > 8, 'there was something to cut')
    }
  })

  test('at every effect of the first enrolment: the same secret finishes it', async () => {
    let isThrough = false
    for (let at = 0; !isThrough; at++) {
      for (const phase of phases) {
        const rig = await new Rig().setUp()
        const agent = await rig.boot()
        rig.cut = { at, phase }
        isThrough = await agent.settle('enrol').then(
          () => true,
          (error: unknown) => {
            assert.ok(error instanceof PowerCut, String(error))
            return false
          },
        )
        rig.cut = null
        if (!isThrough) {
          const again = await rig.boot()
          if (activeCredential(await again.state()) === null) await again.settle('enrol')
        }
        await rig.assertWorking()
        assert.equal(rig.server.issued.length, 1)
      }
    }
  })

  test('any sequence of cuts and outages over several renewals', async () => {
    const trouble = fc.record({
      at: fc.integer({ min: 0, max: 14 }),
      phase: fc.constantFrom(...phases),
      isDown: fc.boolean(),
      isStrict: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(trouble, { minLength: 1, maxLength: 8 }), async (troubles) => {
        const rig = await new Rig().enrolled()
        for (const { isDown, isStrict, ...cut } of troubles) {
          await rig.toRenewal()
          rig.server.isStrict = isStrict
          rig.server.says = isDown ? () => ({ kind: 'failed', detail: 'down', serverNow: null }) : null
          const agent = await rig.boot()
          rig.cut = cut
          for (let steps = 0; steps < 6; steps++) {
            const isCut = await agent.step().then(
              () => false,
              (error: unknown) => assert.ok(error instanceof PowerCut, String(error)) === undefined,
            )
            if (isCut) break
          }
          rig.cut = null
          await rig.assertWorking()
        }
        rig.server.says = null
        rig.clock.at += dayMs
        await work(rig, await rig.boot())
        await rig.activeSerial()
        const live = rig.server.issued.filter(({ certificate }) => rig.server.accepts(certificate))
        assert.equal(live.length, 1)
      }),
      { numRuns: 12 },
    )
  })
})
