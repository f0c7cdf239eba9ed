/** The definitions of docs/campaigns.md are accepted. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { parseCampaignDefinition } from './campaign-read.ts'

const page = readFileSync(join(import.meta.dirname, '../../../docs/campaigns.md'), 'utf8')
const definitions = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)]
  .map((match) => match[1] ?? '')
  .filter((text) => text.startsWith('description:'))

test('docs/campaigns.md has definitions', () => assert.equal(definitions.length, 2))

for (const [n, text] of definitions.entries()) {
  test(`definition ${n + 1} of docs/campaigns.md is accepted`, () => {
    const { waves, rollout } = parseCampaignDefinition(parse(text), Date.UTC(2026, 10, 20))
    assert.deepEqual(
      waves.map(({ percentage }) => percentage),
      [0.1, 1, 10, null],
    )
    assert.equal(rollout.maximumPerMinute, n === 0 ? 60 : 240)
  })
}
