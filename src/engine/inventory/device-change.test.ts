import assert from 'node:assert/strict'
import { test } from 'node:test'
import { forEachEngine, refusal, registerDevice, testActor } from '../../../test/helpers/app.ts'
import type { DeviceId } from '../../base/id.ts'
import { findDevice } from '../../store/devices.ts'
import { recentFacts } from '../../store/facts.ts'
import { editDevice, type DeviceEdit } from './device-change.ts'

const id = 'SN-1' as DeviceId

forEachEngine((start) => {
  test('changes what is named and leaves the rest', async () => {
    const { engine, close } = await start()
    await registerDevice(engine, id, { site: 'graz', cohort: 'a', tags: { line: '4', owner: 'ops' } })
    const edit: DeviceEdit = {
      site: 'wien',
      cohort: null,
      tags: { msisdn: '+4366012' },
      removeTags: ['owner'],
    }
    const { changed } = await editDevice(engine, { id, edit, actor: testActor })
    assert.deepEqual(changed, ['cohort', 'site', 'tags'])
    const after = await findDevice(engine.store.db, id)
    assert.equal(after?.site, 'wien')
    assert.equal(after?.cohort, null)
    assert.equal(after?.profile, 'industrial')
    assert.deepEqual(after?.tags, { line: '4', msisdn: '+4366012' })
    await close()
  })

  test('puts the change on record, without the values of tags', async () => {
    const { engine, close } = await start()
    await registerDevice(engine, id, { site: 'graz' })
    const edit: DeviceEdit = { site: 'wien', tags: { msisdn: '+4366012' } }
    await editDevice(engine, { id, edit, actor: testActor })
    const rows = await recentFacts(engine.store.db, { subject: `device:${id}`, limit: 10 })
    const entry = rows.find(({ action }) => action === 'device.updated')?.entry
    const text = Buffer.from(entry ?? []).toString()
    assert.match(text, /"site":\{"from":"graz","to":"wien"\}/)
    assert.match(text, /"tags":\["msisdn"\]/)
    assert.doesNotMatch(text, /4366012/)
    await close()
  })

  test('writes nothing when nothing differs, and nothing on a dry run', async () => {
    const { engine, close } = await start()
    await registerDevice(engine, id, { site: 'graz' })
    const same = await editDevice(engine, { id, edit: { site: 'graz' }, actor: testActor })
    assert.deepEqual(same.changed, [])
    const dry = await editDevice(engine, { id, edit: { site: 'wien' }, actor: testActor, dryRun: true })
    assert.deepEqual(dry.changed, ['site'])
    assert.equal((await findDevice(engine.store.db, id))?.site, 'graz')
    const rows = await recentFacts(engine.store.db, { subject: `device:${id}`, limit: 10 })
    assert.deepEqual(
      rows.map(({ action }) => action),
      ['device.added'],
    )
    await close()
  })

  test('refuses what a new device may not be, and a device that is not there', async () => {
    const { engine, close } = await start()
    await registerDevice(engine, id)
    for (const edit of [
      { profile: 'nobody' },
      { connectivity: 'air-gapped' },
      { site: '\u202e' },
    ] as DeviceEdit[]) {
      assert.equal((await refusal(editDevice(engine, { id, edit, actor: testActor }))).code, 'invalid-input')
    }
    const other = editDevice(engine, { id: 'SN-2' as DeviceId, edit: {}, actor: testActor })
    assert.equal((await refusal(other)).code, 'not-found')
    await close()
  })
})
