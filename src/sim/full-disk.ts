/** A disk that is full stops a run: the platform would go on and refuse, and what came of that would be no outcome. */
import { Refusal } from '../base/errors.ts'
import type { Store } from '../store/open.ts'

/** @param onFull called with the reason when a transaction could not be stored */
export function watchDisk(store: Store, onFull: (reason: string) => void): Store {
  return {
    engine: store.engine,
    db: store.db,
    async transaction(work) {
      try {
        return await store.transaction(work)
      } catch (error) {
        if (error instanceof Refusal && error.code === 'disk-full') onFull(error.message)
        throw error
      }
    },
    migrate: async () => await store.migrate(),
    schemaVersion: async () => await store.schemaVersion(),
    backup: async (path) => await store.backup(path),
    close: async () => await store.close(),
  }
}
