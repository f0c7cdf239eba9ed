/** How far a simulation has come: the virtual date, devices per second, and when it will be through. */
import type { Progress as SimProgress } from '../sim/simulate.ts'
import type { CliContext } from './context.ts'
import type { Progress } from './progress.ts'

const labels = {
  loading: 'Loading the fleet',
  drawing: 'Drawing the campaign',
  running: 'Simulating',
} as const

export interface SimulationProgress {
  update(progress: SimProgress): void
  end(): void
}

export function progressOf(cli: CliContext): SimulationProgress {
  let shown: Progress | null = null
  let step = ''
  return {
    update(progress) {
      const { run, done, total } = progress
      if (`${run} ${progress.step}` !== step) {
        shown?.end()
        step = `${run} ${progress.step}`
        shown = cli.progress(labels[progress.step], total)
      }
      shown?.update(done, { label: labelOf(progress) })
    },
    end: () => shown?.end(),
  }
}

function labelOf({ run, step, at, done, total, elapsedMs, devices }: SimProgress): string {
  if (at === null) return labels[step]
  const share = Math.max(done / total, 1e-6)
  const perSecond = Math.round((devices * share * 1_000) / Math.max(1, elapsedMs))
  const leftMs = (elapsedMs * (1 - share)) / share
  const date = new Date(at).toISOString().slice(0, 10)
  return `${run}  ${date}  ${perSecond.toLocaleString('en-US')} devices/s, ${minutes(leftMs)} left`
}

function minutes(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`
}
