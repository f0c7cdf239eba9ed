/**
 * A year of a fleet on the virtual clock, with the real enrolment and the real job: devices that call in as their
 * connectivity says and renew; and among them planted ones that will lapse. Every planted end is warned of before its last
 * lead time, nobody is told of a healthy device, and the number of messages is bounded by that of the causes.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { alertRig } from '../../../test/helpers/alert-rig.ts'
import { enrolDevice, renew, testEngine, type Enrolled } from '../../../test/helpers/app.ts'
import { dayMs, hourMs, type Instant } from '../../base/clock.ts'
import type { DeviceId } from '../../base/id.ts'
import { recordLastSeen } from '../../store/last-seen.ts'
import type { ProfileInput } from '../issuing/profile.ts'
import { flushSightings } from '../renewals/sighting.ts'
import { defaultThresholds } from './alert-settings.ts'

interface Kind {
  readonly connectivity: string
  readonly validityDays: number
  readonly windowDays: number
  readonly everyDays: number
}

const kinds: readonly Kind[] = [
  { connectivity: 'always-on', validityDays: 120, windowDays: 40, everyDays: 0.5 },
  { connectivity: 'daily', validityDays: 150, windowDays: 60, everyDays: 1 },
  { connectivity: 'weekly', validityDays: 200, windowDays: 100, everyDays: 6 },
  { connectivity: 'deep-sleep-72h', validityDays: 200, windowDays: 100, everyDays: 3 },
]

/** `dark` falls silent, `stuck` calls in and never renews, `unseen` was never there again after its first day. */
const fates = ['healthy', 'dark', 'stuck', 'unseen'] as const
type Fate = (typeof fates)[number]

interface Simulated {
  readonly id: string
  readonly kind: Kind
  readonly fate: Fate
  readonly batch: string
  /** Days after the start at which it is here, then every so many. */
  nextVisitAt: Instant
  certificate: Enrolled
}

const stepMs = 12 * hourMs
const size: Readonly<Record<Fate, number>> = { healthy: 8, dark: 4, stuck: 4, unseen: 4 }
const fallsSilentAfterMs = 45 * dayMs

test('a fleet-year: each planted end is warned of in time, healthy devices are left alone, and nobody is flooded', async () => {
  const profiles = kinds.map(
    ({ connectivity, validityDays, windowDays }) =>
      ({
        name: connectivity,
        issuer: 'issuing',
        validityMs: validityDays * dayMs,
        renewBeforeMs: windowDays * dayMs,
        retireAfterMs: 0,
        connectivity,
      }) as unknown as ProfileInput,
  )
  const rig = await alertRig(async (options) => await testEngine(options), { profiles })
  const start = rig.clock.now()
  const fleet: Simulated[] = []
  for (const kind of kinds) {
    for (const fate of fates) {
      for (let n = 0; n < size[fate]; n++) {
        const id = `${kind.connectivity}-${fate}-${n}`
        const batch = `${kind.connectivity}-${fate}`
        const certificate = await enrolDevice(rig.engine, id, { profile: kind.connectivity, batch })
        const nextVisitAt = start + (n / size[fate]) * kind.everyDays * dayMs
        fleet.push({ id, kind, fate, batch, nextVisitAt, certificate })
      }
    }
  }
  await flushSightings(rig.engine, start)
  const firstEnds = new Map(fleet.map(({ id, certificate }) => [id, certificate.record.notAfter]))

  const end = start + 365 * dayMs
  for (let now = start; now < end; now += stepMs) {
    await rig.clock.advance(stepMs)
    await visits(rig, fleet, start)
    await rig.pass()
  }

  // every planted end, before its last lead time
  for (const { id, batch, kind, fate } of fleet) {
    const warned = rig.told.find(({ message }) =>
      message.alerts.some(
        ({ rule, key }) => rule === 'certificates-ending' && key.startsWith(`batch ${batch},`),
      ),
    )
    if (fate === 'healthy') {
      assert.equal(warned, undefined, `${id} renews, and nobody is to be told`)
      continue
    }
    const notAfter = firstEnds.get(id) ?? 0
    const [, , last] = defaultThresholds.get(kind.connectivity) ?? [0, 0, 0]
    assert.ok(warned, `nobody was told of ${id}`)
    assert.ok(
      warned.message.at <= notAfter - last,
      `${id}: told ${(notAfter - warned.message.at) / dayMs} days before its end`,
    )
  }

  // no flood: at most three messages on the way to the end, one after it, and two of good news for each cause
  const causes = kinds.length * (fates.length - 1)
  assert.ok(rig.told.length <= 6 * causes, `${rig.told.length} messages for ${causes} causes`)
  const byDay = new Map<number, number>()
  for (const { message } of rig.told) {
    const day = Math.floor(message.at / dayMs)
    byDay.set(day, (byDay.get(day) ?? 0) + 1)
  }
  assert.ok(Math.max(...byDay.values()) <= 8, 'messages of one day')
  // nothing but what was planted
  const rules = new Set(rig.told.flatMap(({ message }) => message.alerts.map(({ rule }) => rule)))
  assert.deepEqual(
    [...rules].sort(),
    ['certificates-ended', 'certificates-ending', 'devices-dark'].filter((rule) => rules.has(rule)),
  )
})

async function visits(
  rig: Awaited<ReturnType<typeof alertRig>>,
  fleet: readonly Simulated[],
  start: Instant,
): Promise<void> {
  const now = rig.clock.now()
  const here = fleet.filter((device) => {
    if (device.nextVisitAt > now || device.fate === 'unseen') return false
    device.nextVisitAt = now + device.kind.everyDays * dayMs
    return device.fate !== 'dark' || now < start + fallsSilentAfterMs
  })
  for (const device of here) {
    const { notAfter } = device.certificate.record
    // somewhere in the first half of its window, each at its own place
    const dueAt = notAfter - device.kind.windowDays * dayMs * (1 - (Number(device.id.at(-1)) / 8) * 0.4)
    if (device.fate !== 'healthy' || now < dueAt) continue
    device.certificate = await renew(rig.engine, device.certificate)
    rig.engine.sightings.noteCertificate(device.certificate.record, now)
  }
  await flushSightings(rig.engine, now)
  await rig.engine.store.transaction(async (tx) => {
    await recordLastSeen(
      tx,
      here.map(({ id }) => ({ deviceId: id as DeviceId, certificateId: null, at: now })),
    )
  })
}
