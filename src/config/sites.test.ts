import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { checkConfig } from '../config.ts'

const folder = mkdtempSync(join(tmpdir(), 'perennial-sites-'))
after(() => rmSync(folder, { recursive: true, force: true }))

async function check(text: string) {
  const file = join(folder, 'perennial.yaml')
  writeFileSync(file, text)
  const { config, problems } = await checkConfig({ file, env: {} })
  return { config, problems: problems.map(({ where, message }) => `${where}: ${message}`) }
}

test('sites have a time zone, under the names that device records use', async () => {
  const { config, problems } = await check(
    'sites:\n  Werk Graz 2:\n    timeZone: Europe/Vienna\n  plant-7: { timeZone: America/Sao_Paulo }\n',
  )
  assert.deepEqual(problems, [])
  assert.deepEqual(
    [...config.sites],
    [
      ['Werk Graz 2', { timeZone: 'Europe/Vienna' }],
      ['plant-7', { timeZone: 'America/Sao_Paulo' }],
    ],
  )
  assert.equal(config.campaigns.timeZone, 'UTC')
})

const wrong = [
  ['sites: { graz: { timeZone: Europe/Wien } }', 'sites.graz.timeZone: Europe/Wien is no time zone'],
  ['sites: { graz: { timeZone: "+02:00" } }', 'sites.graz.timeZone: +02:00 is no time zone'],
  ['sites: { graz: {} }', 'sites.graz needs timeZone, such as Europe/Vienna'],
  ['sites: { graz: { timezon: UTC } }', 'unknown key sites.graz.timezon; did you mean timeZone?'],
  ['sites: [graz]', 'sites must be a section of keys'],
  ['campaigns: { timeZone: Mars/Olympus }', 'campaigns.timeZone: Mars/Olympus is no time zone'],
  ['campaigns: { capacityPerMinute: 0 }', 'campaigns.capacityPerMinute must be a whole number from 1'],
] as const

for (const [text, message] of wrong) {
  test(`refuses ${text}`, async () => {
    const { problems } = await check(text)
    assert.ok(
      problems.some((problem) => problem.startsWith(`perennial.yaml:1: ${message}`)),
      problems.join('\n'),
    )
  })
}
