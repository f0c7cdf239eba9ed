/**
 * A process that writes to a store until it is killed or done: `node store-writer.ts URL PREFIX COUNT`. Each device id is
 * printed once its unit of work is acknowledged.
 */
import { writeSync } from 'node:fs'
import type { DeviceId } from '../../src/base/id.ts'
import { insertDevice } from '../../src/store/devices.ts'
import { appendFacts } from '../../src/store/facts.ts'
import { openStore } from '../../src/store/open.ts'
import { sampleDevice, start } from './store-samples.ts'

const inFlight = 16

const [url = '', prefix = '', count = '0'] = process.argv.slice(2)
const store = await openStore({ url })
let next = 0

async function work(): Promise<void> {
  for (;;) {
    const n = next++
    if (n >= Number(count)) return
    const id = `${prefix}-${n}` as DeviceId
    await store.transaction(async (tx) => {
      await insertDevice(tx, sampleDevice(n, { id }))
      await appendFacts(tx, [{ at: start, action: 'device.added', subject: id, entry: Buffer.from(id) }])
    })
    // synchronous: what is printed was acknowledged, however this process ends
    print(`${id}\n`)
  }
}

function print(line: string): void {
  for (;;) {
    try {
      writeSync(1, line)
      return
    } catch (error) {
      // the pipe is full for the moment
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
    }
  }
}

await Promise.all(Array.from({ length: inFlight }, work))
await store.close()
