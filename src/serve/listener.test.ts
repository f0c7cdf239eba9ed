import assert from 'node:assert/strict'
import { createServer, get } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { stopwatch, systemClock } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { listen } from './listener.ts'

const anywhere = { host: '127.0.0.1', port: 0, reusePort: false }

test('a stop answers what was begun, takes nothing new, and closes idle connections at once', async () => {
  const begun = Promise.withResolvers<void>()
  const finish = Promise.withResolvers<void>()
  const server = createServer(async (_request, response) => {
    begun.resolve()
    await finish.promise
    response.end('done')
  })
  const listener = await listen(server, anywhere, systemClock)
  const idle = connect(listener.port, '127.0.0.1')
  await new Promise((resolve) => void idle.once('connect', resolve))
  const answered = new Promise<number | undefined>((resolve, reject) => {
    get({ port: listener.port, host: '127.0.0.1' }, (response) => {
      response.resume()
      response.once('end', () => resolve(response.statusCode))
    }).once('error', reject)
  })
  await begun.promise
  const stopped = listener.stop(10_000)
  await assert.rejects(
    new Promise((resolve, reject) => {
      connect(listener.port, '127.0.0.1').once('connect', resolve).once('error', reject)
    }),
  )
  finish.resolve()
  assert.equal(await answered, 200)
  idle.destroy()
  assert.equal(await stopped, true)
  assert.equal(listener.openConnections(), 0)
})

test('a stop cuts what takes longer than its bound and says so', async () => {
  const begun = Promise.withResolvers<void>()
  const listener = await listen(
    createServer(() => begun.resolve()),
    anywhere,
    systemClock,
  )
  const client = get({ port: listener.port, host: '127.0.0.1' })
  client.on('error', () => undefined)
  await begun.promise
  const elapsed = stopwatch()
  assert.equal(await listener.stop(100), false)
  assert.ok(elapsed() < 2_000)
})

test('a taken address is a refusal that names it', async () => {
  const first = await listen(createServer(), anywhere, systemClock)
  const second = listen(createServer(), { ...anywhere, port: first.port }, systemClock)
  await assert.rejects(
    second,
    (error) =>
      error instanceof Refusal &&
      error.code === 'configuration-invalid' &&
      error.message.includes(`127.0.0.1:${first.port} is already in use`),
  )
  await first.stop(0)
})
