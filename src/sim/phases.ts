/** Where the wall time of the main thread goes. */
import { stopwatch } from '../base/clock.ts'

export class Phases {
  readonly #ms = new Map<string, number>()

  async time<T>(name: string, work: () => Promise<T>): Promise<T> {
    const elapsed = stopwatch()
    try {
      return await work()
    } finally {
      this.#ms.set(name, (this.#ms.get(name) ?? 0) + elapsed())
    }
  }

  list(): { readonly name: string; readonly ms: number }[] {
    return [...this.#ms].map(([name, ms]) => ({ name, ms: Math.round(ms) })).sort((a, b) => b.ms - a.ms)
  }
}
