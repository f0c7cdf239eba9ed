/** Which wave opens when. Pure. */
import type { Instant } from '../../base/clock.ts'
import type { WaveRecord } from '../../store/campaigns.ts'
import type { CampaignDefinition } from './campaign-definition.ts'
import { noCounts, waveVerdict, type CampaignProgress } from './campaign-sums.ts'

export interface WaveInput {
  readonly definition: CampaignDefinition
  /** In order. */
  readonly waves: readonly WaveRecord[]
  readonly progress: Pick<CampaignProgress, 'waves'>
  readonly now: Instant
}

export interface WaveMoves {
  /** As they are afterwards. */
  readonly changed: readonly WaveRecord[]
  readonly opened: readonly WaveRecord[]
}

/**
 * One wave at a time: it opens, all its devices are let in, it soaks, it meets its success rule, and the next one opens,
 * when it was approved if that is asked for. The last wave has nothing to soak for.
 */
export function movedWaves({ definition, waves, progress, now }: WaveInput): WaveMoves {
  const changed: WaveRecord[] = []
  const opened: WaveRecord[] = []
  for (const wave of waves) {
    const isLast = wave.wave === (waves.findLast(({ size }) => size > 0)?.wave ?? 0)
    const moved = wave.status === 'done' ? wave : moveWave(wave, { definition, progress, now, isLast })
    if (moved !== wave) changed.push(moved)
    if (wave.openedAt === null && moved.openedAt !== null) opened.push(moved)
    if (moved.status !== 'done') break
  }
  return { changed, opened }
}

function moveWave(
  before: WaveRecord,
  input: Pick<WaveInput, 'definition' | 'progress' | 'now'> & { readonly isLast: boolean },
): WaveRecord {
  const { definition, progress, now, isLast } = input
  const rule = definition.waves[before.wave]
  const sums = progress.waves.get(before.wave) ?? { counts: noCounts, outcomes: { failed: 0, rejected: 0 } }
  if (!rule) return before
  let wave = before
  if (wave.status === 'waiting' || wave.status === 'approval') {
    if (rule.approval === 'manual' && wave.approvedAt === null)
      return wave.status === 'approval' ? wave : { ...wave, status: 'approval' }
    wave = { ...wave, status: 'open', openedAt: now }
  }
  if (wave.status === 'open') {
    if (sums.counts.planned > 0) return wave
    wave = { ...wave, status: 'soaking', soakUntil: now + (isLast ? 0 : rule.soakMs) }
  }
  const isSoaked = now >= (wave.soakUntil ?? now)
  if (!isSoaked || !(isLast || waveVerdict(rule, sums).isPassed)) return wave
  return { ...wave, status: 'done', closedAt: now }
}
