/**
 * Makes an installation: each step looks whether it was done before, so that a second run finishes what a crash left and
 * does nothing when all is there.
 */
import { existsSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { X509Certificate } from 'node:crypto'
import { openApp, type App } from './app.ts'
import { systemClock, type Clock } from './base/clock.ts'
import { assert, Refusal } from './base/errors.ts'
import { writeFileAtomically } from './base/file.ts'
import { silentLog, type Log } from './base/log.ts'
import { systemRandom, token, type Random } from './base/random.ts'
import { loadConfig, type Environment } from './config.ts'
import { readSecretFile } from './config/environment.ts'
import { defaultsYaml, type GivenEntries } from './config/print.ts'
import { createDataDirectory, lockForInit, markReady, type DataDirectory } from './data-directory.ts'
import { fact, recordFacts, subjects } from './engine/audit/audit.ts'
import { defaultIssuerId, defaultRootId } from './engine/issuing/default-profiles.ts'
import { createIssuer } from './engine/issuing/issuer.ts'
import { seal } from './engine/audit/seal.ts'
import { encodeVerifierKey } from './engine/audit/signed-note.ts'
import { ensureServerCertificate } from './server-certificate.ts'
import { recordSettingsChanges } from './start-checks.ts'
import type { IssuerRecord } from './store/issuers.ts'
import { readMeta, writeMetaOnce } from './store/meta.ts'

export interface InitialiseOptions {
  /** Absolute. */
  readonly path: string
  readonly env: Environment
  /** Null: one is generated into the file `passphrase`, for unattended start. */
  readonly passphrase: string | null
  /** What perennial.yaml is to say, by dotted key, if it does not exist yet: `organization`, `est.names`, `status.url`. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Connectivity and certificate profiles that it is to have besides. */
  readonly entries?: GivenEntries
  /** Who does it: `actors.commandLine(account)`. */
  readonly actor: string
  readonly clock?: Clock
  readonly random?: Random
  readonly log?: Log
  /** Told of each thing that was made, in words. */
  readonly onMade?: (what: string) => void
}

export interface Initialisation {
  readonly directory: DataDirectory
  /** False when everything was there already. */
  readonly isNew: boolean
  readonly rootCertificate: Uint8Array
  /** SHA-256 of the root certificate, colon-separated upper-case hex as tools print it. */
  readonly rootFingerprint: string
  /** What audits are checked against: note-key text. */
  readonly auditKey: string
  /** True when the passphrase lies in the data directory. */
  readonly isPassphraseStored: boolean
}

/** @throws Refusal `data-directory-invalid`, `data-directory-newer`, `store-busy`, `configuration-invalid`, `passphrase-wrong` */
export async function initialise(options: InitialiseOptions): Promise<Initialisation> {
  const lock = await lockForInit(options.path)
  try {
    return await initialiseLocked(options)
  } finally {
    lock.release()
  }
}

async function initialiseLocked(options: InitialiseOptions): Promise<Initialisation> {
  const {
    path,
    env,
    clock = systemClock,
    random = systemRandom,
    log = silentLog,
    onMade = () => undefined,
  } = options
  const directory = await createDataDirectory(path, { now: clock.now(), random })
  const isNew = directory.installation.state !== 'ready'
  await ensureConfig(directory, options, onMade)
  // a wrong configuration is found before anything that would depend on it is made
  const config = await loadConfig({ file: directory.configFile, env })
  // SQLite would make it readable by all; the directory is closed to others, but copies of it may not be
  if (config.database.url === null) await (await open(directory.databaseFile, 'a', 0o600)).close()
  const passphrase = options.passphrase ?? (await ensurePassphrase(directory, random, onMade))
  const app = await openApp({
    dataDirectory: directory,
    env,
    config,
    clock,
    random,
    log,
    migrate: true,
    passphrase: async () => passphrase,
  })
  try {
    await claimDatabase(app, options.actor)
    const root = await ensureIssuers(app, options.actor, onMade)
    if (!existsSync(directory.serverCertificateFile)) onMade('EST server certificate and key')
    await ensureServerCertificate(app)
    await recordSettingsChanges(app)
    await seal(app.engine, clock.now())
    await markReady(directory)
    return {
      directory,
      isNew,
      rootCertificate: root,
      rootFingerprint: new X509Certificate(root).fingerprint256,
      auditKey: encodeVerifierKey(app.engine.audit.signer),
      isPassphraseStored: existsSync(directory.passphraseFile),
    }
  } finally {
    await app.close()
  }
}

async function ensureConfig(
  directory: DataDirectory,
  { settings = {}, entries = {} }: InitialiseOptions,
  onMade: (what: string) => void,
): Promise<void> {
  if (existsSync(directory.configFile)) return
  await writeFileAtomically(directory.configFile, defaultsYaml(settings, entries), 0o600)
  onMade('perennial.yaml, every key at its default')
}

/** @returns the passphrase in the file, which is generated when there is none: 256 bits */
async function ensurePassphrase(
  { passphraseFile }: DataDirectory,
  random: Random,
  onMade: (what: string) => void,
): Promise<string> {
  const stored = readSecretFile(passphraseFile)
  if (stored) return stored
  const passphrase = token(random, 32)
  await writeFileAtomically(passphraseFile, `${passphrase}\n`, 0o600)
  onMade('passphrase of the CA keys')
  return passphrase
}

/** One database serves one installation: another one would issue with keys that this directory does not have. */
async function claimDatabase({ engine, dataDirectory }: App, actor: string): Promise<void> {
  const { id } = dataDirectory.installation
  const owner = await readMeta(engine.store.db, 'installation')
  if (owner === id) return
  if (owner !== null) {
    throw new Refusal(
      'data-directory-invalid',
      `the database belongs to the installation ${owner}, not to ${dataDirectory.path}; use that directory, or another database`,
    )
  }
  const now = engine.clock.now()
  await engine.store.transaction(async (tx) => {
    const written = await writeMetaOnce(tx, 'installation', id)
    assert(written === id, 'one init at a time claims a database')
    await recordFacts(
      tx,
      fact(now, {
        actor,
        action: 'instance.initialised',
        subject: subjects.instance,
        details: { installation: id },
      }),
    )
  })
}

/** @returns the root certificate, DER */
async function ensureIssuers(
  { engine }: App,
  actor: string,
  onMade: (what: string) => void,
): Promise<Uint8Array> {
  const before = new Set(
    (await engine.issuers.list()).flatMap(({ id, certificate }) => (certificate ? [id] : [])),
  )
  const root = await createIssuer(engine, { id: defaultRootId, kind: 'root', parentId: null, actor })
  if (!before.has(root.id)) onMade(describeIssuer('root CA', root))
  const issuing = await createIssuer(engine, {
    id: defaultIssuerId,
    kind: 'intermediate',
    parentId: defaultRootId,
    actor,
  })
  if (!before.has(issuing.id)) onMade(describeIssuer('issuing CA', issuing))
  assert(root.certificate, 'createIssuer returns complete issuers')
  // also when nothing had to be made: that the keys are here and the passphrase opens them is what init vouches for
  for (const { authority, keyReference } of [root, issuing])
    await engine.authorities.get(authority)?.publicKey(keyReference)
  return root.certificate
}

function describeIssuer(what: string, { subject, notBefore, notAfter }: IssuerRecord): string {
  const years = Math.round((notAfter - notBefore) / (365.25 * 86_400_000))
  return `${what} "${subject}", ${years} years`
}
