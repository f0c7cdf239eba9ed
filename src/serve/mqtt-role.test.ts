import assert from 'node:assert/strict'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { after, before, suite, test } from 'node:test'
import { createInstallation, testPassphrase, type TestInstallation } from '../../test/helpers/installation.ts'
import type { App } from '../app.ts'
import type { Config } from '../config.ts'
import { serve, type Serving } from '../serve.ts'

suite('the role mqtt', () => {
  let installation: TestInstallation
  before(async () => {
    installation = await createInstallation()
  })
  after(() => installation.close())

  const start = (
    mqtt: Partial<Config['mqtt']>,
    roles: readonly ('mqtt' | 'jobs')[] = ['mqtt'],
  ): Promise<Serving> => {
    const { app } = installation
    const changed: App = { ...app, config: { ...app.config, mqtt: { ...app.config.mqtt, ...mqtt } } }
    const options = { roles, workers: 1, version: 'test', passphrase: async () => testPassphrase, env: {} }
    return serve(changed, options)
  }

  test('a port that is taken is a refusal that says so', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as AddressInfo
    await assert.rejects(start({ port }), {
      code: 'configuration-invalid',
      message: new RegExp(`127.0.0.1:${port} is already in use`),
    })
    other.close()
  })

  test('a file of the external broker that is missing is found at the start', async () => {
    const external = {
      broker: 'external',
      url: 'mqtts://127.0.0.1:1',
      caFile: '/nowhere/ca.pem',
      certificateFile: 'c',
      keyFile: 'k',
    } as const
    await assert.rejects(start(external), {
      code: 'configuration-invalid',
      message: /mqtt\.(caFile|certificateFile|keyFile): cannot read/,
    })
  })

  test('without a broker there is no endpoint, and rungs over MQTT are passed over', async () => {
    const serving = await start({ broker: 'none' })
    assert.equal(serving.endpoints.mqtt, null)
    assert.equal(installation.app.engine.triggers.has('mqtt'), false)
    await serving.stop()
  })

  test('the jobs role alone has no embedded broker', async () => {
    const serving = await start({}, ['jobs'])
    assert.equal(serving.endpoints.mqtt, null)
    await serving.stop()
  })

  test('the embedded broker listens, and its channels are there', async () => {
    const serving = await start({})
    assert.match(serving.endpoints.mqtt ?? '', /^mqtts:\/\/127\.0\.0\.1:\d+$/)
    assert.deepEqual(
      ['mqtt', 'twin'].map((kind) => installation.app.engine.triggers.has(kind as 'mqtt')),
      [true, true],
    )
    await Promise.all([serving.stop(), serving.stop()])
  })
})
