/** Composition root: the only file that constructs everything. */
import { readFile } from 'node:fs/promises'
import { hostname } from 'node:os'
import { createNotifiers } from './alert-notifiers.ts'
import { createSoftwareAuthority } from './authorities/software.ts'
import { watchAuthority } from './authorities/watched.ts'
import { systemClock, type Clock } from './base/clock.ts'
import { commandName } from './base/command-name.ts'
import { Refusal } from './base/errors.ts'
import { writeFileAtomically } from './base/file.ts'
import { createLog, type Log } from './base/log.ts'
import { systemRandom, type Random } from './base/random.ts'
import { configuredConnectors } from './connector-list.ts'
import { loadConfig, type Config, type Environment } from './config.ts'
import { alertSettingsOf } from './config/alerts.ts'
import { isHostName } from './config/rules.ts'
import type { DataDirectory } from './data-directory.ts'
import { fileCheckpoint } from './engine/audit/checkpoint.ts'
import { createEngine, type Engine, type EngineObserver, type EngineSettings } from './engine/context.ts'
import type { OperatorSettings } from './engine/operators/operator.ts'
import type { Authority, DeliveryReceipt, TriggerChannel, TriggerKind } from './engine/ports.ts'
import type { RenewalSettings } from './engine/renewals/renewal-settings.ts'
import {
  encodeVerifierKey,
  openNoteSigner,
  parseVerifierKey,
  type NoteSigner,
} from './engine/audit/signed-note.ts'
import { recordReceipt } from './engine/triggers/trigger-receipts.ts'
import type { OtaSigner } from './pki/ota-bundle.ts'
import { openStore, type Store } from './store/open.ts'
import { configuredTriggers, createTriggerChannels, openOtaSigner, triggerCosts } from './trigger-channels.ts'

export interface App {
  readonly config: Config
  readonly engine: Engine
  readonly dataDirectory: DataDirectory
  /** Signs bundles for devices; asks for the passphrase when it signs. */
  readonly otaSigner: () => Promise<OtaSigner>
  /** Closes the trigger channels, the notifiers and the database; idempotent. */
  close(): Promise<void>
}

export interface OpenAppOptions {
  readonly dataDirectory: DataDirectory
  readonly env: Environment
  /** Asked at most once, when a CA key is first used: what only reads needs none. */
  readonly passphrase: () => Promise<string>
  /** Brings the database up to date. Only `init` and `serve` do: another process may be at work on it. */
  readonly migrate?: boolean
  readonly config?: Config
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
  readonly observer?: EngineObserver
}

/**
 * @throws Refusal `configuration-invalid`; `data-directory-newer`; `data-directory-invalid` for a database of an older
 *   version; `store-busy`, `disk-full`
 */
export async function openApp(options: OpenAppOptions): Promise<App> {
  const { dataDirectory, env, clock = systemClock, random = systemRandom } = options
  const config = options.config ?? (await loadConfig({ file: dataDirectory.configFile, env }))
  const log = options.log ?? createLog(config.log.level)
  const store = await openStore({ url: databaseUrl(config, dataDirectory), log, clock, random })
  try {
    await prepareSchema(store, options.migrate ?? false)
    const parts = { ...options, config, clock, random, log, store }
    const { engine, otaSigner } = await buildEngine(parts)
    const close = async () => {
      for (const channel of engine.triggers.values()) await channel.close()
      for (const notifier of engine.notifiers.values()) await notifier.close()
      await store.close()
    }
    return { config, engine, dataDirectory, otaSigner, close }
  } catch (error) {
    await store.close()
    throw error
  }
}

/** Name of the key that holds the audit log's checkpoints, with the authority. */
export const auditKeyReference = 'audit-log'

/** Where the inventory is: as configured, or the file in the data directory. May hold a password. */
export function databaseUrl({ database }: Config, { databaseFile }: DataDirectory): string {
  return database.url ?? `sqlite:${databaseFile}`
}

/** What devices connect to: in the server certificate, and in the lines that we print. The best name first. */
export function serverNames({ est }: Config): string[] {
  const own = hostname()
  const names = est.names.length > 0 ? est.names : isHostName(own) ? [own] : []
  return [...new Set([...names, 'localhost', '127.0.0.1', '::1'])]
}

/** Where people reach the admin endpoint, without a slash at the end. */
export function adminUrl({ admin }: Config): string {
  const host = admin.host === '0.0.0.0' || admin.host === '::' ? 'localhost' : admin.host
  return admin.url ?? `http://${host.includes(':') ? `[${host}]` : host}:${admin.port}`
}

/** Base of the URLs that are written into certificates, without a slash at its end. */
export function statusUrl(config: Config): string {
  if (config.status.url !== null) return config.status.url
  const [name = 'localhost'] = serverNames(config)
  const host = name.includes(':') ? `[${name}]` : name
  return config.status.port === 80 ? `http://${host}` : `http://${host}:${config.status.port}`
}

function engineSettings(config: Config): EngineSettings {
  return {
    organization: config.organization,
    profiles: config.profiles,
    connectivity: config.connectivity,
    statusUrl: statusUrl(config),
    secretLifetimeMs: config.enrollment.secretLifetimeMs,
    pendingRetryAfterMs: config.est.pendingRetryAfterMs,
    abandonAfterMs: config.recovery.abandonAfterMs,
    repeatWaitMs: 5_000,
    renewal: renewalSettings(config),
    triggerKinds: configuredTriggers(config),
    triggerCosts: triggerCosts(config),
    campaigns: config.campaigns,
    sites: config.sites,
    crl: config.crl,
    approval: config.approval,
    connectors: configuredConnectors(config),
    ocsp: { liveSignaturesPerSecond: config.ocsp.liveSignatures },
    alerts: alertSettingsOf(config),
    operators: operatorSettings(config),
  }
}

function operatorSettings({ operators }: Config): OperatorSettings {
  const { sessionIdleMs, sessionLifetimeMs, stepUpMs, linkLifetimeMs, insecurePasswordOnly } = operators
  return { sessionIdleMs, sessionLifetimeMs, stepUpMs, linkLifetimeMs, requireTotp: !insecurePasswordOnly }
}

function renewalSettings({ renewal }: Config): RenewalSettings {
  const { automatic, spread, ...rest } = renewal
  return { ...rest, isAutomatic: automatic, spread: spread / 100 }
}

interface Parts extends OpenAppOptions {
  readonly config: Config
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly store: Store
}

async function buildEngine({
  dataDirectory,
  config,
  clock,
  random,
  log,
  store,
  passphrase,
  observer,
}: Parts): Promise<Pick<App, 'engine' | 'otaSigner'>> {
  const software = createSoftwareAuthority({ directory: dataDirectory.keysDirectory, passphrase, random })
  const held = observer?.signed ? watchAuthority(software, observer.signed) : software
  const signer = await auditSigner(dataDirectory, software)
  const otaSigner = async () => await openOtaSigner(dataDirectory, software, random)
  // Filled below, and by the roles that make a link to a broker.
  const triggers = new Map<TriggerKind, TriggerChannel>()
  const engine = createEngine({
    clock,
    random,
    log,
    store,
    authorities: new Map([[software.kind, held]]),
    settings: engineSettings(config),
    triggers,
    notifiers: await createNotifiers({ config, clock, random, log }),
    audit: { signer, checkpointFile: fileCheckpoint(dataDirectory.auditCheckpointFile) },
    ...(observer === undefined ? {} : { observer }),
  })
  const onSmsReceipt = async (receipt: DeliveryReceipt) => await recordReceipt(engine, 'sms', receipt)
  const channels = await createTriggerChannels({ config, clock, random, log, otaSigner, onSmsReceipt })
  for (const [kind, channel] of channels) triggers.set(kind, channel)
  return { engine, otaSigner }
}

/**
 * The signer of the audit log. Its public half lies in a file beside the database, so that what only reads needs no
 * passphrase; a file that was changed is found because the signatures then do not fit it.
 */
async function auditSigner(dataDirectory: DataDirectory, authority: Authority): Promise<NoteSigner> {
  const text = await readOptional(dataDirectory.auditKeyFile)
  if (text !== null) {
    const key = parseVerifierKey(text)
    return { ...key, sign: async (bytes) => await authority.sign(auditKeyReference, 'ed25519', bytes) }
  }
  const signer = await openNoteSigner(authority, auditKeyReference, auditLogName(dataDirectory))
  await writeFileAtomically(dataDirectory.auditKeyFile, `${encodeVerifierKey(signer)}\n`, 0o600)
  return signer
}

async function readOptional(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

/** The log's origin (C2SP tlog-checkpoint): fixed for the life of the installation. */
export function auditLogName({ installation }: DataDirectory): string {
  return `perennial.${installation.id}/audit`
}

async function prepareSchema(store: Store, migrate: boolean): Promise<void> {
  if (migrate) {
    await store.migrate()
    return
  }
  const { pending } = await store.schemaVersion()
  if (pending.length === 0) return
  throw new Refusal(
    'data-directory-invalid',
    `the database lacks ${pending.join(', ')}: restart \`${commandName()} serve\`, or run \`${commandName()} init\`, to bring it up to date`,
  )
}
