/** `canary:` and `waves:` of a definition. */
import { dayMs } from '../../base/clock.ts'
import { campaignDefaults, type WaveDefinition } from './campaign-definition.ts'
import { child, invalid, type Given } from './campaign-given.ts'

const waveKeys = [
  'name',
  'percentage',
  'minimum',
  'soak',
  'successPercentage',
  'finishedPercentage',
  'approval',
]
const maxWaves = 50

/** The canary, the waves of the list, and one more for what they leave. @throws Refusal `campaign-invalid` */
export function readWaves(top: Given): WaveDefinition[] {
  const canary = top.brake('canary', waveKeys)
  const waves = top.list('waves')
  const first =
    canary === 'off'
      ? []
      : [readWave(canary ?? child({}, 'canary', waveKeys), 'canary', campaignDefaults.canary)]
  const listed = waves.map((value, at) => {
    const given = child(value, `waves[${at}]`, waveKeys)
    const isLast = at === waves.length - 1
    if (!isLast || given.has('percentage'))
      given.required('percentage', given.number('percentage', 0.001, 100))
    return readWave(given, `wave ${at + 1}`, { percentage: null, minimum: 1 })
  })
  const total = [...first, ...listed].reduce((sum, { percentage }) => sum + (percentage ?? 0), 0)
  const percent = Math.round(total * 1_000) / 1_000
  if (percent > 100) {
    const parts = [...first, ...listed].map(({ name, percentage }) => `${name} ${percentage} %`)
    throw invalid(`the waves add up to ${percent} %, more than 100 %: ${parts.join(' + ')}`)
  }
  const last = listed.at(-1) ?? first.at(-1)
  // what rounding leaves belongs to the last of waves that add up to everything
  if (last && (last.percentage === null || percent === 100))
    return named([...[...first, ...listed].slice(0, -1), { ...last, percentage: null }])
  return named([...first, ...listed, rest(listed.length)])
}

function rest(listed: number): WaveDefinition {
  const name = listed === 0 ? 'wave 1' : `wave ${listed + 1}`
  return { ...campaignDefaults.wave, name, percentage: null, minimum: 1 }
}

function named(waves: readonly WaveDefinition[]): WaveDefinition[] {
  if (waves.length > maxWaves) throw invalid(`there are ${waves.length} waves; at most ${maxWaves}`)
  const names = waves.map(({ name }) => name)
  const twice = names.find((name, at) => names.indexOf(name) !== at)
  if (twice !== undefined) throw invalid(`two waves have the name ${twice}`)
  return [...waves]
}

function readWave(
  given: Given,
  name: string,
  defaults: Pick<WaveDefinition, 'percentage' | 'minimum'>,
): WaveDefinition {
  const { wave } = campaignDefaults
  return {
    name: given.text('name', 40) ?? name,
    percentage: given.number('percentage', 0.001, 100) ?? defaults.percentage,
    minimum: given.integer('minimum', 1, 100_000_000) ?? defaults.minimum,
    soakMs: given.duration('soak', 0, 365 * dayMs) ?? wave.soakMs,
    successPercentage: given.number('successPercentage', 0, 100) ?? wave.successPercentage,
    finishedPercentage: given.number('finishedPercentage', 0, 100) ?? wave.finishedPercentage,
    approval: given.choice('approval', ['manual', 'automatic']) ?? wave.approval,
  }
}

/** `approvals: { '2': manual }`, by the number of the wave from 0 (the canary) or by its name. */
export function readApprovals(waves: readonly WaveDefinition[], top: Given): WaveDefinition[] {
  const changed = [...waves]
  const entries = Object.keys(top.map('approvals'))
  const given = child(top.map('approvals'), 'approvals', entries)
  for (const key of entries) {
    const at = /^[0-9]{1,3}$/.test(key) ? Number(key) : waves.findIndex(({ name }) => name === key)
    const wave = changed[at]
    if (!wave)
      throw invalid(
        `approvals: there is no wave ${key}; there are ${waves.map(({ name }) => name).join(', ')}`,
      )
    const approval = given.required(key, given.choice(key, ['manual', 'automatic']))
    changed[at] = { ...wave, approval }
  }
  return changed
}
