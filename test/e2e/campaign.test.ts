/**
 * One campaign from trigger to retirement with real parts: the platform as a process, Mosquitto with mutual TLS, 200 agents
 * over real sockets. The power fails everywhere in between: kill -9 of agents, of the platform and of the broker.
 */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { minuteMs, secondMs, systemClock } from '../../src/base/clock.ts'
import { CampaignRig } from '../helpers/campaign-rig.ts'
import { temporaryFolder } from '../helpers/perennial.ts'
import { missing } from '../helpers/require.ts'
import { run } from '../helpers/run.ts'

const inProcess = 194
const asProcesses = 6
const ids = Array.from({ length: inProcess + asProcesses }, (_, at) => `d-${String(at).padStart(3, '0')}`)
const victims = ids.slice(inProcess)
/** Agents that met the platform while it was down come back after one to four minutes. */
const timeout = 6 * minuteMs

interface Status {
  readonly status: string
  readonly counts: Readonly<Record<string, number>>
}

interface Listed {
  readonly deviceId: string
  readonly serialNumber: string
  readonly status: string
}

/** Here, so that it is removed after the suite has stopped its processes. */
const folder = temporaryFolder()

suite('a campaign over Mosquitto', { skip: missing('mosquitto', 'curl') }, () => {
  const rig = new CampaignRig(folder)
  const stopping = new AbortController()
  const running: Promise<void>[] = []
  const processes = new Map<string, ChildProcess>()

  before(async () => {
    await rig.start()
    await rig.register(ids)
    for (let from = 0; from < ids.length; from += 8) {
      await Promise.all(ids.slice(from, from + 8).map(async (id) => await rig.enrol(id)))
    }
    // what the devices had before, as a thief or a restored backup would
    cpSync(join(rig.folder, 'devices'), join(rig.folder, 'before'), { recursive: true })
    for (const id of ids.slice(0, inProcess)) {
      const agent = await rig.open(id)
      running.push(agent.run(stopping.signal))
    }
    for (const id of victims) processes.set(id, rig.startAgent(id))
  })

  after(async () => {
    stopping.abort()
    for (const child of processes.values()) child.kill('SIGKILL')
    await Promise.all(running)
    await rig.close()
  })

  const status = async (): Promise<Status> => await rig.json<Status>('campaign', 'status', 'e2e')
  const count = ({ counts }: Status, ...names: string[]): number =>
    names.reduce((sum, name) => sum + (counts[name] ?? 0), 0)

  /** Looks until the campaign is so; each look is also a check that no target was lost. */
  async function until(isSo: (now: Status) => boolean, ms: number): Promise<Status> {
    let now = await status()
    for (let left = ms / secondMs; left > 0 && !isSo(now); left--) {
      await systemClock.sleep(secondMs)
      now = await status()
      assert.equal(count(now, ...Object.keys(now.counts)), ids.length, 'each target is in exactly one state')
    }
    assert.ok(isSo(now), JSON.stringify(now))
    return now
  }

  /** What our endpoint says to whoever shows the device's certificate from before. */
  async function oldCertificate(id: string): Promise<string> {
    const old = (name: string) => join(rig.folder, 'before', id, name)
    const tls = ['--cacert', join(rig.folder, 'root.pem'), '--cert', old('a.pem'), '--key', old('a.key')]
    const asks = ['-sS', '-o', join(rig.folder, 'answer'), '-w', '%{http_code} %header{perennial-refusal}']
    const { stdout, stderr } = await run('curl', [...asks, ...tls, `${rig.server}/perennial/v1/credential`])
    return stdout.toString().trim() || stderr
  }

  async function confirmedDevice(): Promise<string> {
    const renewals = await rig.json<{ deviceId: string; status: string; confirmedAt: string }[]>(
      'renewal',
      'list',
      '--campaign',
      'e2e',
    )
    // the last one: its grace has hardly begun
    const [last] = renewals
      .filter((each) => each.status === 'confirmed')
      .sort((a, b) => (a.confirmedAt < b.confirmedAt ? 1 : -1))
    return last?.deviceId ?? assert.fail('none is confirmed')
  }

  async function killAgents(): Promise<void> {
    for (const [id, child] of processes) {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
      processes.set(id, rig.startAgent(id))
    }
  }

  test('every device is asked, renews and shows its new certificate', { timeout }, async () => {
    const create = ['campaign', 'create', 'e2e', '--cohort', 'e2e', '--canary', '20', '--wave', '40']
    await rig.type(...create, '--soak', '1s', '--rate', '1200')
    await rig.type('campaign', 'start', 'e2e')

    await until((now) => count(now, 'issued', 'confirmed', 'retired') >= 20, minuteMs)
    await killAgents()
    await rig.broker.stop('SIGKILL')
    await rig.broker.start()
    await until((now) => count(now, 'confirmed', 'retired') >= 60, 2 * minuteMs)
    // the new one is in use, and the old one still works
    assert.equal(await oldCertificate(await confirmedDevice()), '200')
    await rig.kill()
    await killAgents()
    await rig.serve()
    await until((now) => count(now, 'confirmed', 'retired') === ids.length, 3 * minuteMs)
  })

  test('after the grace every old certificate is retired', { timeout }, async () => {
    const { counts } = await until((now) => count(now, 'retired') === ids.length, 2 * minuteMs)
    assert.equal(counts['retired'], ids.length)
  })

  test('the old certificate is refused now', async () => {
    for (const id of [...ids.slice(0, 5), ...victims]) {
      assert.equal(await oldCertificate(id), '403 certificate-retired', id)
    }
  })

  test('each device has exactly one live certificate, which is the one it uses', async () => {
    const listed = await rig.json<Listed[]>('cert', 'list')
    for (const id of ids) {
      const live = listed.filter(
        (each) => each.deviceId === id && ['issued', 'confirmed'].includes(each.status),
      )
      assert.equal(live.length, 1, id)
      const { slots, active } = await (await rig.open(id)).state()
      const held = active === null ? null : slots[active]
      assert.ok(held?.kind === 'stored', id)
      assert.equal(held.certificate.serialNumber, live[0]?.serialNumber, id)
    }
  })

  test('the audit log adds up', async () => {
    await rig.type('audit', 'verify')
  })
})
