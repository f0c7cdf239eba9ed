/** One progress bar for each step of a long command, begun when the step first says how far it is. */
import type { CliContext } from './context.ts'
import type { Progress } from './progress.ts'

export interface StepProgress {
  update(label: string, done: number, total: number | null): void
  end(): void
}

export function stepProgress(cli: CliContext): StepProgress {
  let current: { readonly label: string; readonly progress: Progress } | null = null
  return {
    update(label, done, total) {
      if (current?.label !== label) {
        current?.progress.end()
        current = { label, progress: cli.progress(label, total) }
      }
      current.progress.update(done)
    },
    end: () => current?.progress.end(),
  }
}
