/** The directory that holds an installation. Nothing outside this file builds a path inside it. */
import { mkdir, open, readdir, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { toHex } from './base/bytes.ts'
import { commandName } from './base/command-name.ts'
import { iso, type Instant } from './base/clock.ts'
import { Refusal } from './base/errors.ts'
import { writeFileAtomically } from './base/file.ts'
import type { Random } from './base/random.ts'

export interface DataDirectory {
  /** Absolute. */
  readonly path: string
  readonly configFile: string
  readonly databaseFile: string
  readonly keysDirectory: string
  readonly passphraseFile: string
  /** Certificate chain (PEM) and private key (PKCS#8 PEM, 0600) of the EST endpoint. */
  readonly serverCertificateFile: string
  readonly serverKeyFile: string
  /** Last signed checkpoint: finds a database that was rolled back behind it. */
  readonly auditCheckpointFile: string
  /** What audits are checked against: the public key, as a note key. */
  readonly auditKeyFile: string
  /** What devices check OTA bundles against: the public key, PEM. Made with the first bundle. */
  readonly otaKeyFile: string
  readonly installation: Installation
}

/** `installation.json`: what is fixed for the life of the directory. */
export interface Installation {
  /** Layout of the directory; a Perennial refuses one that is newer than it knows. */
  readonly format: number
  /** 16 hex digits: tells two installations apart. */
  readonly id: string
  readonly createdAt: string
  /** `initialising` until `init` has come to its end. */
  readonly state: 'initialising' | 'ready'
}

export const directoryFormat = 1
export const configFileName = 'perennial.yaml'

/** What may lie in a directory before `init`: prepared by the operator, by the file system, or left by an `init` that died. */
const allowedBefore = new Set([
  configFileName,
  'passphrase',
  'init.lock',
  'installation.json.new',
  'lost+found',
])

/** @throws Refusal `data-directory-invalid` (missing, unfinished, readable by others) or `data-directory-newer` */
export async function openDataDirectory(path: string): Promise<DataDirectory> {
  await checkPermissions(path)
  const installation = await readInstallation(path)
  if (installation === null) {
    throw new Refusal('data-directory-invalid', `${path} is not initialised; run: ${initCommand(path)}`)
  }
  if (installation.state !== 'ready') {
    throw new Refusal(
      'data-directory-invalid',
      `init of ${path} did not finish; run it again: ${initCommand(path)}`,
    )
  }
  return layout(path, installation)
}

/**
 * Creates the directory (0700), or returns the one that is there, finished or not. Call it with the init lock held.
 * @throws Refusal as `openDataDirectory`, and when the directory holds files that are not Perennial's
 */
export async function createDataDirectory(
  path: string,
  { now, random }: { now: Instant; random: Random },
): Promise<DataDirectory> {
  const existing = await readInstallation(path)
  if (existing) return layout(path, existing)
  const strangers = (await readdir(path)).filter((name) => !allowedBefore.has(name))
  if (strangers.length > 0) {
    throw new Refusal(
      'data-directory-invalid',
      `${path} holds other files (${strangers.slice(0, 3).join(', ')}) and is no Perennial data directory; choose an empty one with --data`,
    )
  }
  const installation: Installation = {
    format: directoryFormat,
    id: toHex(random.bytes(8)),
    createdAt: iso(now),
    state: 'initialising',
  }
  const directory = layout(path, installation)
  await writeInstallation(directory, installation)
  await mkdir(directory.keysDirectory, { recursive: true, mode: 0o700 })
  return directory
}

/** `init` has come to its end: from now on the directory opens. */
export async function markReady(directory: DataDirectory): Promise<void> {
  if (directory.installation.state === 'ready') return
  await writeInstallation(directory, { ...directory.installation, state: 'ready' })
}

/**
 * Creates the directory when it is missing and takes its init lock, which the kernel gives back when the process dies,
 * however it dies. SQLite is the only portable holder of such a lock that Node brings.
 * @throws Refusal `store-busy` when another `init` is at work
 */
export async function lockForInit(path: string): Promise<{ release(): void }> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  await checkPermissions(path)
  const lockFile = join(path, 'init.lock')
  await (await open(lockFile, 'a', 0o600)).close()
  const lock = new DatabaseSync(lockFile)
  try {
    lock.exec('pragma journal_mode = memory; begin exclusive')
  } catch (error) {
    lock.close()
    if (error instanceof Error && /lock|busy/i.test(error.message)) {
      throw new Refusal('store-busy', `another init is at work in ${path}; wait for it to end`, {
        cause: error,
      })
    }
    throw error
  }
  return { release: () => lock.close() }
}

/** The line to type that creates the directory. */
function initCommand(path: string): string {
  const where = path === resolve('perennial-data') ? '' : ` --data ${shellQuoted(path)}`
  return `${commandName()} init${where}`
}

export function shellQuoted(text: string): string {
  return /^[A-Za-z0-9_./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** Keys and secrets lie here: nobody else may even list it. Windows has no such bits. */
async function checkPermissions(path: string): Promise<void> {
  const status = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new Refusal(
      'data-directory-invalid',
      `there is no data directory ${path}; run: ${initCommand(path)}`,
    )
  })
  if (!status.isDirectory()) throw new Refusal('data-directory-invalid', `${path} is not a directory`)
  const mode = status.mode & 0o777
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  throw new Refusal(
    'data-directory-invalid',
    `${path} is open to other users (mode 0${mode.toString(8)}) and holds keys; run: chmod 700 ${shellQuoted(path)}`,
  )
}

async function readInstallation(path: string): Promise<Installation | null> {
  const file = join(path, 'installation.json')
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (text === null) return null
  const value = parseJson(text)
  if (typeof value === 'object' && value !== null && 'format' in value && typeof value.format === 'number') {
    if (value.format > directoryFormat) {
      throw new Refusal(
        'data-directory-newer',
        `${path} was written by a newer Perennial (format ${value.format}, this one knows ${directoryFormat}); install that version`,
      )
    }
    if (isInstallation(value)) return value
  }
  throw new Refusal('data-directory-invalid', `${file} is damaged; restore it from a backup`)
}

async function writeInstallation(directory: DataDirectory, installation: Installation): Promise<void> {
  const text = `${JSON.stringify(installation, null, 2)}\n`
  await writeFileAtomically(join(directory.path, 'installation.json'), text, 0o600)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

function isInstallation(value: object): value is Installation {
  const { id, createdAt, state } = value as Partial<Installation>
  return (
    typeof id === 'string' && typeof createdAt === 'string' && (state === 'initialising' || state === 'ready')
  )
}

function layout(path: string, installation: Installation): DataDirectory {
  return {
    path,
    configFile: join(path, configFileName),
    databaseFile: join(path, 'perennial.db'),
    keysDirectory: join(path, 'keys'),
    passphraseFile: join(path, 'passphrase'),
    serverCertificateFile: join(path, 'est-server.crt'),
    serverKeyFile: join(path, 'est-server.key'),
    auditCheckpointFile: join(path, 'audit-checkpoint'),
    auditKeyFile: join(path, 'audit-key'),
    otaKeyFile: join(path, 'ota-key.pem'),
    installation,
  }
}
