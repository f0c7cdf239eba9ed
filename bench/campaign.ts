/**
 * `node bench/campaign.ts [--devices 2200000] [--database FILE] [--all]`: the plan of a campaign over a whole fleet on SQLite,
 * and a tick over as many targets with nothing to do. With --database the fleet is kept in that file, or read from it.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { secondMs, stopwatch, VirtualClock } from '../src/base/clock.ts'
import { createCampaign } from '../src/engine/campaigns/campaign-create.ts'
import { planCampaign } from '../src/engine/campaigns/campaign-plan.ts'
import { parseCampaignDefinition } from '../src/engine/campaigns/campaign-read.ts'
import { startCampaign } from '../src/engine/campaigns/campaign-state.ts'
import { tickCampaigns } from '../src/engine/campaigns/campaign-tick.ts'
import { openStore } from '../src/store/open.ts'
import { testSettings } from '../test/helpers/app.ts'
import { plainEngine } from '../test/helpers/plain-engine.ts'
import { loadMeters, meterNow } from './campaign/meters.ts'

/** The limits. */
const aims = { planMs: 10_000, idleTickMs: 50 }

const definition = parseCampaignDefinition(
  {
    selection: { profile: 'meter' },
    canary: { percentage: 0.1, soak: '7d' },
    waves: [{ percentage: 1 }, { percentage: 10 }],
    rollout: { maximumPerMinute: 60 },
  },
  meterNow,
)

async function run(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      devices: { type: 'string', default: '2200000' },
      database: { type: 'string' },
      all: { type: 'boolean', default: false },
    },
  })
  const devices = Number(values.devices)
  const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-campaign-'))
  try {
    const path = values.database ?? join(directory, 'perennial.db')
    if (!existsSync(path)) await loadMeters(path, devices)
    await measure(path, devices, values.all)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function measure(path: string, devices: number, isAll: boolean): Promise<void> {
  const store = await openStore({ url: `sqlite:${path}` })
  await store.migrate()
  const clock = new VirtualClock(meterNow)
  const plain = plainEngine(store, { clock })
  const engine = { ...plain, settings: testSettings() }
  const planned = stopwatch()
  const cpu = process.cpuUsage()
  const plan = await planCampaign(engine, definition, meterNow)
  const { user, system } = process.cpuUsage(cpu)
  report('plan', planned(), aims.planMs)
  print(`  of which ${Math.round((user + system) / 1_000).toLocaleString('en-US')} ms of CPU`)
  print(`  ${plan.targets.toLocaleString('en-US')} targets of ${devices.toLocaleString('en-US')} devices`)
  if (isAll) {
    const created = stopwatch()
    await createCampaign(engine, { id: 'bench', definition, actor: 'bench', now: meterNow })
    report('create: waves drawn and targets inserted', created(), null)
    await startCampaign(engine, { id: 'bench', actor: 'bench', now: meterNow })
    await tickCampaigns(engine, clock.now(), async () => {})
    await clock.advance(secondMs / 2)
    const ticked = stopwatch()
    await tickCampaigns(engine, clock.now(), async () => {})
    report('tick, nothing to let in', ticked(), aims.idleTickMs)
  }
  await store.close()
  print(`  resident memory ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`)
}

function report(what: string, ms: number, limit: number | null): void {
  const isMet = limit === null || ms < limit
  const aim = limit === null ? '' : `  limit ${limit.toLocaleString('en-US')} ms${isMet ? '' : ': NOT MET'}`
  print(`${what.padEnd(44)}${Math.round(ms).toLocaleString('en-US').padStart(10)} ms${aim}`)
  if (!isMet) process.exitCode = 1
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

await run(process.argv.slice(2))
