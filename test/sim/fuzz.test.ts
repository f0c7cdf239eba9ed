/** 200 random worlds in which everything holds. A seed that fails here says how to run it again. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fuzz } from '../../src/sim/fuzz.ts'

const worlds = 200
const inOneTest = 20

suite('random worlds', () => {
  for (let from = 1; from <= worlds; from += inOneTest) {
    test(`seeds ${from} to ${from + inOneTest - 1}`, { timeout: 600_000 }, async () => {
      for (let seed = from; seed < from + inOneTest; seed++) {
        const { violations, replay } = await fuzz({ seed: String(seed) })
        assert.deepEqual(violations, [], `again: ${replay}`)
      }
    })
  }

  test('the same seed is the same history, with deaths and orders', async () => {
    for (const seed of ['7', '76', '93']) {
      const first = await fuzz({ seed })
      const again = await fuzz({ seed })
      assert.equal(again.historyHash, first.historyHash, seed)
      assert.deepEqual(again.actions, first.actions)
    }
    assert.notEqual((await fuzz({ seed: '7' })).historyHash, (await fuzz({ seed: '8' })).historyHash)
  })

  test('a world of another size says so in the command that runs it again', async () => {
    const { replay } = await fuzz({ seed: 'x', devices: 2, days: 3, tickMs: 86_400_000 })
    assert.equal(replay, 'perennial sim fuzz --seed x --devices 2 --days 3 --tick 24h')
  })
})
