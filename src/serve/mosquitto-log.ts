/** Follows the log of a Mosquitto broker while the platform runs: what was added since the last pass. */
import { open } from 'node:fs/promises'
import { secondMs } from '../base/clock.ts'
import type { Engine } from '../engine/context.ts'
import type { Job } from '../engine/jobs.ts'
import { MosquittoContacts } from '../engine/renewals/mosquitto-contacts.ts'

/** In one pass; a busy broker writes less in two seconds. */
const maxBytes = 1_048_576
const intervalMs = 2 * secondMs

/**
 * It begins at the end of the file, and at the beginning of a new one after a rotation. What was written while the
 * platform did not run is passed over: contacts come again.
 */
export function mosquittoLogJob(engine: Engine, file: string): Job {
  const contacts = new MosquittoContacts(engine)
  let place: { readonly inode: number; readonly offset: number } | null = null
  let isMissed = false
  /** The beginning of a line whose end is not written yet. */
  let rest = ''
  return {
    name: 'mosquitto-log',
    intervalMs,
    isShared: true,
    async run() {
      const handle = await open(file).catch((error: NodeJS.ErrnoException) => {
        if (!isMissed) engine.log.warn({ file, reason: error.code }, 'the log of Mosquitto cannot be read')
        isMissed = true
        return null
      })
      if (handle === null) return { worked: 0 }
      isMissed = false
      try {
        const { ino: inode, size } = await handle.stat()
        if (place === null) place = { inode, offset: size }
        else if (place.inode !== inode || size < place.offset) {
          place = { inode, offset: 0 }
          rest = ''
        }
        const wanted = Math.min(maxBytes, size - place.offset)
        if (wanted <= 0) return { worked: 0 }
        const { bytesRead, buffer } = await handle.read(Buffer.alloc(wanted), 0, wanted, place.offset)
        place = { inode, offset: place.offset + bytesRead }
        const lines = (rest + buffer.toString('latin1', 0, bytesRead)).split('\n')
        rest = (lines.pop() ?? '').slice(-maxBytes)
        let worked = 0
        for (const line of lines) if (await contacts.take(line)) worked++
        return { worked, isBehind: bytesRead === maxBytes }
      } finally {
        await handle.close()
      }
    },
  }
}
