/**
 * Decides when the write-ahead log of SQLite is copied back, and has it done in a thread of its own. When the log reaches
 * `wal_autocheckpoint` pages, a commit copies what is left by itself and the log begins anew; the thread sees to it that
 * little is left then.
 */
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { Worker } from 'node:worker_threads'
import type { Log } from '../base/log.ts'
import { walPages } from './dialects/sqlite.ts'

/** Commits between two looks at the log. */
const commitsBetween = 32
/** Pages that are worth a run of the thread: in a burst, few enough runs that hot pages are not copied over and over. */
const worthwhile = 32_000
/** When the log is nearly full, so that the commit that finds it full has little left to do. */
const worthwhileAtEnd = 4_000
const nearEnd = walPages * 0.8

export class Checkpointer {
  readonly #path: string
  readonly #log: Log
  readonly #look: StatementSync
  #worker: Worker | null = null
  #isBusy = false
  #commits = 0

  /** @param writer the connection that commits */
  constructor(path: string, writer: DatabaseSync, log: Log) {
    this.#path = path
    this.#log = log
    this.#look = writer.prepare('pragma wal_checkpoint(noop)')
  }

  /** To be called after each physical commit, outside a transaction; takes no time. */
  committed(): void {
    if (this.#isBusy || ++this.#commits < commitsBetween) return
    this.#commits = 0
    if (!this.#isWorthwhile()) return
    this.#worker ??= this.#start()
    this.#isBusy = true
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage('checkpoint')
  }

  #isWorthwhile(): boolean {
    try {
      const { log, checkpointed } = this.#look.get() ?? {}
      const pages = Number(log)
      return pages - Number(checkpointed) >= (pages < nearEnd ? worthwhile : worthwhileAtEnd)
    } catch (error) {
      // the units that were committed just now are; SQLite's own limit takes care of the log
      this.#log.warn({ error }, 'the log of the database could not be looked at')
      return false
    }
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = null
    if (!worker) return
    const ended = new Promise((resolve) => {
      worker.once('exit', resolve)
    })
    worker.ref()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    worker.postMessage('close')
    await ended
  }

  #start(): Worker {
    const worker = new Worker(new URL('checkpoint-worker.ts', import.meta.url), {
      workerData: { path: this.#path },
    })
    worker.unref()
    worker.on('message', () => (this.#isBusy = false))
    // The log only grows until SQLite's own limit (wal_autocheckpoint), where a commit copies it back by itself.
    worker.on('error', (error: unknown) => {
      this.#log.warn({ error }, 'the log of the database is not copied back in the background')
      this.#worker = null
      this.#isBusy = false
    })
    return worker
  }
}
