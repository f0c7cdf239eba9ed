/**
 * An agent that kills itself with SIGKILL at its N-th effect: a write to its directory, or an exchange with the server.
 * With N = -1 it goes on until nothing is left to do.
 *
 *     node agent-victim.ts DIRECTORY N keep|renew
 */
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { activeCredential, idleSlot } from '../../src/agent/agent-state.ts'
import { writeFile } from '../../src/agent/agent-directory.ts'
import { EstTransport } from '../../src/agent/est-transport.ts'
import { openAgent, readSetup } from '../../src/agent/open-agent.ts'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'

const [directory = '', at = '-1', wish = 'keep'] = process.argv.slice(2)
let effects = 0

async function orDie<Value>(effect: () => Promise<Value>): Promise<Value> {
  if (effects++ === Number(at)) process.kill(process.pid, 'SIGKILL')
  return await effect()
}

const setup = await readSetup(directory)
if (setup === null) throw new Error('enrol first')
const est = new EstTransport({
  url: setup.config.server,
  label: setup.config.label,
  trustPem: () => readFileSync(join(directory, 'trust.pem'), 'utf8'),
  clock: systemClock,
})
const agent = await openAgent({
  directory,
  clock: systemClock,
  random: systemRandom,
  write: (path, data, mode) => orDie(() => writeFile(path, data, mode)),
  transport: { ask: (request) => orDie(() => est.ask(request)) },
})
const result = await agent.settle(wish === 'renew' ? 'renew' : 'keep')
const state = await agent.state()
const idle = state.slots[idleSlot(state)]
const serialNumber = activeCredential(state)?.certificate.serialNumber ?? null
const isSettled = idle.kind === 'empty' || (idle.kind === 'stored' && idle.isRetired)
if (wish === 'renew' && !result.isActivated) throw new Error(result.detail)
process.stdout.write(`${JSON.stringify({ serialNumber, isSettled })}\n`)
