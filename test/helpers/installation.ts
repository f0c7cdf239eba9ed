/** A whole installation in a temporary directory, made by the same code as `perennial init`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openApp, type App } from '../../src/app.ts'
import { silentLog } from '../../src/base/log.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import { defaultRootId } from '../../src/engine/issuing/default-profiles.ts'
import { initialise } from '../../src/initialise.ts'
import { issuerChain } from '../../src/engine/issuing/issuer.ts'
import { encodePem } from '../../src/pki/pem.ts'

export const testPassphrase = 'correct horse battery staple'

export interface TestInstallation {
  readonly app: App
  readonly rootPem: string
  readonly path: string
  close(): Promise<void>
}

export interface TestInstallationOptions {
  /** For the configuration of this process and of the workers that it starts. */
  readonly env?: Readonly<Record<string, string>>
  /** Last word over the configuration: ports of 0, for example. */
  readonly adjust?: (config: Config) => Config
}

/** Endpoints are on free ports of 127.0.0.1. */
export async function createInstallation(options: TestInstallationOptions = {}): Promise<TestInstallation> {
  const path = join(mkdtempSync(join(tmpdir(), 'perennial-')), 'data')
  const env = options.env ?? {}
  const { directory } = await initialise({ path, env, passphrase: testPassphrase, actor: 'cli:test' })
  const loaded = await loadConfig({ file: directory.configFile, env })
  const config = (options.adjust ?? ((same: Config) => same))(onFreePorts(loaded))
  const passphrase = async () => testPassphrase
  const app = await openApp({ dataDirectory: directory, env, config, passphrase, log: silentLog })
  const [root] = await issuerChain(app.engine, defaultRootId)
  return {
    app,
    path,
    rootPem: encodePem('CERTIFICATE', root as Uint8Array),
    async close() {
      await app.close()
      rmSync(join(path, '..'), { recursive: true, force: true })
    },
  }
}

function onFreePorts(config: Config): Config {
  const free = { host: '127.0.0.1', port: 0 }
  return {
    ...config,
    est: { ...config.est, ...free },
    status: { ...config.status, ...free },
    admin: { ...config.admin, ...free },
    mqtt: { ...config.mqtt, ...free },
  }
}
