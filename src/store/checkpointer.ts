/** Decides when the write-ahead log of SQLite is copied back, and has it done in a thread of its own. */
import { statSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import type { Log } from '../base/log.ts'

/** Commits between two looks at the log: one or two seconds of a burst. */
const commitsBetween = 256
/** A log that was never larger than this, bytes, is left to SQLite: it copies it back when the last process closes. */
const smallLog = 32 * 1024 * 1024

export class Checkpointer {
  readonly #path: string
  readonly #log: Log
  #worker: Worker | null = null
  #isBusy = false
  #commits = 0

  constructor(path: string, log: Log) {
    this.#path = path
    this.#log = log
  }

  /** To be called after each physical commit; takes no time. */
  committed(): void {
    if (++this.#commits < commitsBetween) return
    this.#commits = 0
    if (this.#isBusy || walSize(this.#path) < smallLog) return
    this.#worker ??= this.#start()
    this.#isBusy = true
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage('checkpoint')
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

function walSize(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
}
