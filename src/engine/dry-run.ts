/** What a write would do, said by doing it in transactions that are taken back. */
import { assert } from '../base/errors.ts'
import type { Store } from '../store/open.ts'
import type { Tx } from '../store/schema.ts'
import type { Engine } from './context.ts'

/**
 * An engine whose transactions leave nothing behind. Only for work whose every effect is in them: a key that is made, or a
 * message that is sent outside, would stay. A second transaction does not see what the first one wrote.
 */
export function dryRunOf(engine: Engine): Engine {
  const { store } = engine
  const dry: Store = {
    engine: store.engine,
    get db() {
      return store.db
    },
    transaction: async (work) => await takenBack(store, work),
    migrate: () => store.migrate(),
    schemaVersion: () => store.schemaVersion(),
    backup: (path) => store.backup(path),
    close: () => store.close(),
  }
  return { ...engine, store: dry }
}

async function takenBack<T>(store: Store, work: (tx: Tx) => Promise<T>): Promise<T> {
  const done: { result: T }[] = []
  const end = new Error('a dry run is taken back')
  try {
    await store.transaction(async (tx) => {
      done[0] = { result: await work(tx) }
      throw end
    })
  } catch (error) {
    if (error !== end) throw error
  }
  const [outcome] = done
  assert(outcome, 'a unit of work that ends has a result')
  return outcome.result
}
