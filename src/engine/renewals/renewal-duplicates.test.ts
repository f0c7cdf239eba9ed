/** A network that delivers everything many times and in any order, to the real engine. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import { fraction, seededRandom } from '../../base/random.ts'
import { listCertificates } from '../../store/inventory.ts'
import { countersWithoutCampaign } from '../../store/renewal-lists.ts'
import type { Tx } from '../../store/schema.ts'
import {
  enrolDevice,
  forEachEngine,
  issuingId,
  renew,
  type Enrolled,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { createKey, type TestKey } from '../../../test/helpers/ca.ts'
import { renewalRig } from '../../../test/helpers/renewal-rig.ts'
import { markDelivered } from '../../store/renewals.ts'
import { renewalStored } from './renewal-events.ts'
import { defaultRenewalSettings } from './renewal-settings.ts'
import { flushSightings } from './sighting.ts'

const even = { name: 'even', issuer: issuingId, validityMs: 90 * dayMs, renewBeforeMs: 60 * dayMs }
const fleet = 40
/** A device that repeats itself makes a new key now and then. */
const keysPerDevice = 3
/** Reports in one unit of work, as a busy server has them. */
const unit = 500

interface Device {
  readonly first: Enrolled
  readonly keys: readonly TestKey[]
  /** Certificates that it was given, in the order of the answers. */
  readonly given: Enrolled[]
}

forEachEngine((start) => {
  test('100,000 deliveries, repeated and out of order: one live new certificate for each device, none lost', async () => {
    const app = await start({
      profiles: [even],
      settings: { renewal: { ...defaultRenewalSettings, spread: 0 } },
    })
    const devices: Device[] = []
    for (let n = 0; n < fleet; n++) {
      const first = await enrolDevice(app.engine, `SN-${n}`, { profile: 'even' })
      devices.push({ first, keys: Array.from({ length: keysPerDevice }, () => createKey()), given: [] })
    }
    const rig = renewalRig(app)
    await rig.passTime(31 * dayMs, 20 * dayMs)
    assert.equal(rig.sent.length, fleet)

    const random = seededRandom('duplicates')
    const pick = <Item>(items: readonly Item[]): Item | undefined =>
      items[Math.floor(fraction(random) * items.length)]
    // a round trip for each statement: PostgreSQL gets a tenth
    const deliveries = app.engine.store.engine === 'sqlite' ? 100_000 : 10_000
    const requests = Math.floor(deliveries / 50)
    for (let sent = 0; sent < requests; sent += 16) {
      // each device once, then any
      const some = Array.from({ length: 16 }, (_, n) => devices[sent + n] ?? pick(devices))
      await Promise.all(some.map(async (device) => await ask(app, device, pick)))
    }
    for (let reported = requests; reported < deliveries; reported += unit) {
      await app.engine.store.transaction(async (tx) => {
        for (let n = 0; n < unit; n++) await report(app, tx, pick(devices), pick)
      })
      if (fraction(random) < 0.1) await flushSightings(app.engine, app.clock.now())
    }
    await flushSightings(app.engine, app.clock.now())
    await assertOne(app, devices)
  })
})

type Pick = <Item>(items: readonly Item[]) => Item | undefined

/** The same request again, or one with another key, in parallel with others. */
async function ask({ engine }: TestEngine, device: Device | undefined, pick: Pick): Promise<void> {
  if (!device) return
  try {
    device.given.push(await renew(engine, device.first, pick(device.keys)))
  } catch (error) {
    // a key of a certificate that another has replaced
    if (!(error instanceof Refusal) || error.code !== 'key-reused') throw error
  }
}

/** Delivered, stored, or used, about any of the certificates that it was ever given. */
async function report(app: TestEngine, tx: Tx, device: Device | undefined, pick: Pick): Promise<void> {
  const given = device && pick(device.given)
  if (!given || !device) return
  const { deviceId, slot, id } = given.record
  assert.ok(deviceId)
  const event = { deviceId, slot, certificateId: id, now: app.clock.now() }
  switch (pick(['delivered', 'stored', 'used'])) {
    case 'delivered':
      return void (await markDelivered(tx, [{ deviceId, slot, certificateId: id, at: event.now }]))
    case 'stored':
      return void (await renewalStored(tx, event))
    default:
      app.engine.sightings.noteCertificate(given.record, app.clock.now())
  }
}

async function assertOne({ engine }: TestEngine, devices: readonly Device[]): Promise<void> {
  for (const [n, { given }] of devices.entries()) assert.ok(given.length > 0, `SN-${n} asked`)
  const counts = await countersWithoutCampaign(engine.store.db)
  assert.equal(counts.confirmed, devices.length)
  assert.equal(
    Object.values(counts).reduce((sum, count) => sum + count),
    devices.length,
    'each renewal is in one state',
  )
  for (const { first } of devices) {
    const filter = { deviceId: first.record.deviceId as NonNullable<typeof first.record.deviceId> }
    const { rows } = await listCertificates(engine.store.db, { filter, limit: 1_000 })
    const live = rows.filter(({ status }) => status === 'issued' || status === 'confirmed')
    assert.equal(live.length, 2, 'the old one, which works until its grace is over, and one new one')
    assert.equal(live[0]?.id, first.record.id)
    assert.equal(live[1]?.status, 'confirmed')
  }
}
