import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachEngine, registerDevice, testStart } from '../../../test/helpers/app.ts'
import type { DeviceId } from '../../base/id.ts'
import { findLastSeen } from '../../store/last-seen.ts'
import { MosquittoContacts, readMosquittoLine } from './mosquitto-contacts.ts'
import { flushSightings } from './sighting.ts'

const line = (name: string, stamp = '1795170000') =>
  `${stamp}: New client connected from 192.0.2.1:40000 as auto-1 (p2, c1, k60, u'${name}').`

test('a connection is a contact of the device whose id is the user name', () => {
  assert.deepEqual(readMosquittoLine(line('meter-1')), { deviceId: 'meter-1', at: 1_795_170_000_000 })
  assert.deepEqual(readMosquittoLine(line('meter-1', '2026-11-20T12:00:00')), {
    deviceId: 'meter-1',
    at: testStart,
  })
  assert.deepEqual(readMosquittoLine(line('meter-1').slice(12)), { deviceId: 'meter-1', at: null })
})

for (const other of [
  '',
  '1795170000: mosquitto version 2.0.11 starting',
  '1795170000: Client meter-1 disconnected.',
  '1795170000: New connection from 192.0.2.1:40000 on port 8883.',
  '1795170000: New client connected from 192.0.2.1:40000 as auto-1 (p2, c1, k60).',
  line('a b'),
  line(''),
  line("x'y"),
  line('m'.repeat(65)),
  `${line('meter-1')} and more`,
  line('meter-1').padStart(3_000, ' '),
]) {
  test(`is no contact: ${other.slice(0, 80)}`, () => assert.equal(readMosquittoLine(other), null))
}

test('a client id that looks like the end of a line does not speak for another device', () => {
  const forged =
    "1795170000: New client connected from 192.0.2.1:4 as x (p2, c1, k60, u'victim'). (p2, c1, k60, u'meter-1')."
  assert.equal(readMosquittoLine(forged)?.deviceId, 'meter-1')
})

forEachEngine((start) => {
  test('contacts of devices are their last-seen, never later than now; other names are counted', async () => {
    const { engine } = await start()
    await registerDevice(engine, 'meter-1')
    await registerDevice(engine, 'meter-2')
    const contacts = new MosquittoContacts(engine)
    const at = testStart - 3_600_000
    assert.equal(await contacts.take(line('meter-1', String(at / 1_000))), true)
    assert.equal(await contacts.take(line('meter-2', '1995170000')), true)
    assert.equal(await contacts.take(line('stranger')), false)
    assert.equal(await contacts.take('something else'), false)
    assert.deepEqual([contacts.taken, contacts.unknown], [2, 1])
    await flushSightings(engine, testStart)
    const seen = await findLastSeen(engine.store.db, ['meter-1', 'meter-2'] as DeviceId[])
    assert.equal(seen.get('meter-1' as DeviceId)?.at, at)
    assert.equal(seen.get('meter-2' as DeviceId)?.at, testStart)
  })
})
