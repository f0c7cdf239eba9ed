/** The server under test: all roles of an installation, as `perennial serve --workers N` runs them. */
import { openApp } from '../../src/app.ts'
import { silentLog } from '../../src/base/log.ts'
import { roles } from '../../src/config/schema.ts'
import { loadConfig } from '../../src/config.ts'
import { openDataDirectory } from '../../src/data-directory.ts'
import { serve } from '../../src/serve.ts'

export interface ServerOptions {
  readonly path: string
  readonly passphrase: string
  readonly workers: number
  /** Settings, as variables of the environment. */
  readonly env?: Readonly<Record<string, string>>
}

// the benchmark is gone: nobody is left to measure for
process.on('disconnect', () => process.exit())

process.once('message', async ({ path, passphrase, workers, env = {} }: ServerOptions) => {
  const dataDirectory = await openDataDirectory(path)
  const config = await loadConfig({ file: dataDirectory.configFile, env })
  const free = { host: '127.0.0.1', port: 0 }
  const app = await openApp({
    dataDirectory,
    env,
    config: {
      ...config,
      est: { ...config.est, ...free },
      status: { ...config.status, ...free },
      admin: { ...config.admin, ...free },
      mqtt: { ...config.mqtt, ...free },
    },
    passphrase: async () => passphrase,
    log: silentLog,
  })
  const serving = await serve(app, {
    roles,
    workers,
    version: 'bench',
    passphrase: async () => passphrase,
    env: process.env,
  })
  const { est, admin } = serving.endpoints
  process.send?.({ port: Number(new URL(est ?? '').port), admin })
  process.once('SIGTERM', () => {
    void serving.stop().then(async () => {
      await app.close()
      process.exit()
    })
  })
})
