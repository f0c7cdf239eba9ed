/** What a verifier holds after loading: `node --expose-gc load.ts crl|set FILE`. */
import { readFileSync } from 'node:fs'
import { stopwatch } from '../../src/base/clock.ts'
import { CompactSet } from '../../src/pki/compact-set.ts'
import { parseCrl } from '../../src/pki/crl-read.ts'

function held(): number {
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const [kind, file = ''] = process.argv.slice(2)
const before = held()
const elapsed = stopwatch()
const bytes = readFileSync(file)
const loaded = kind === 'set' ? CompactSet.decode(bytes) : parseCrl(bytes)
const ms = elapsed()
const after = held()
process.stdout.write(
  JSON.stringify({ heldBytes: after - before, ms, isThere: loaded !== null && bytes.length > 0 }),
)
