/** Processes that die: between any two commits, with what they held in memory. What they had committed stays. */
import type { Store } from '../store/open.ts'

export class Dead extends Error {
  constructor() {
    super('this process has been killed')
  }
}

export interface CrashPlan {
  /** Dies at the n-th commit from now on. */
  readonly atCommit: number
  /** `before`: what was to be committed is lost. `after`: it is there, and nobody was told. */
  readonly when: 'before' | 'after'
  readonly onDeath: () => void
}

/** The store as a process sees it that dies as planned: from then on it can neither read nor write. */
export function mortalStore(store: Store, { atCommit, when, onDeath }: CrashPlan): Store {
  let isDead = false
  let commits = 0
  const die = (): never => {
    if (!isDead) {
      isDead = true
      onDeath()
    }
    throw new Dead()
  }
  return {
    engine: store.engine,
    get db() {
      return isDead ? die() : store.db
    },
    async transaction(work) {
      if (isDead) die()
      commits += 1
      const isLast = commits === atCommit
      if (isLast && when === 'before') die()
      const value = await store.transaction(work)
      if (isLast || isDead) die()
      return value
    },
    migrate: () => store.migrate(),
    schemaVersion: () => store.schemaVersion(),
    backup: (path) => store.backup(path),
    close: () => store.close(),
  }
}
