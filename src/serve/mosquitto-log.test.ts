import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { registerDevice, testEngine } from '../../test/helpers/app.ts'
import { mosquittoLogJob } from './mosquitto-log.ts'

const line = (name: string) =>
  `1795170000: New client connected from 192.0.2.1:4 as x (p2, c1, k60, u'${name}').\n`

test('follows a log from its end, over half lines, a rotation and its absence', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-log-'))
  const { engine, close } = await testEngine()
  t.after(async () => {
    await close()
    rmSync(directory, { recursive: true })
  })
  for (const id of ['old', 'one', 'two', 'three', 'four']) await registerDevice(engine, id)
  const file = join(directory, 'mosquitto.log')
  const job = mosquittoLogJob(engine, file)
  const seen = async () => {
    await job.run(engine, engine.clock.now(), new AbortController().signal, async () => undefined)
    return engine.sightings.take().map(({ deviceId }) => deviceId)
  }
  assert.deepEqual(await seen(), [])
  writeFileSync(file, line('old'))
  assert.deepEqual(await seen(), [], 'what was there before is passed over')
  appendFileSync(file, line('one') + line('two').slice(0, 40))
  assert.deepEqual(await seen(), ['one'])
  appendFileSync(file, line('two').slice(40) + line('stranger'))
  assert.deepEqual(await seen(), ['two'])
  renameSync(file, `${file}.1`)
  assert.deepEqual(await seen(), [])
  writeFileSync(file, line('three'))
  assert.deepEqual(await seen(), ['three'])
  writeFileSync(file, '')
  assert.deepEqual(await seen(), [])
  appendFileSync(file, line('four'))
  assert.deepEqual(await seen(), ['four'])
  assert.deepEqual(await seen(), [])
})
