/**
 * The thread that copies the write-ahead log back into the database file while the main thread goes on committing. A
 * checkpoint of 400 MB of log would stop the event loop, and every handshake with it, for a second.
 */
import { DatabaseSync } from 'node:sqlite'
import { parentPort, workerData } from 'node:worker_threads'

const { path } = workerData as { readonly path: string }
const database = new DatabaseSync(path, { timeout: 0 })
// the copy must be on the disk before the log may be written over
database.exec('pragma synchronous = full')

parentPort?.on('message', (message: 'checkpoint' | 'close') => {
  if (message === 'close') {
    database.close()
    parentPort?.close()
    return
  }
  // PASSIVE waits for nobody: what a reader still needs, or what another process is copying, is left for the next time
  database.prepare('pragma wal_checkpoint(passive)').get()
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort?.postMessage('done')
})
