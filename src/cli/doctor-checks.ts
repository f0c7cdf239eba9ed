/** What `perennial doctor` looks at, each by itself: a check answers what it found, why that matters, and what to do. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readdir, readFile, stat, statfs } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { serverNames, type App } from '../app.ts'
import { dayMs, iso, minuteMs, type Clock, type Instant } from '../base/clock.ts'
import { commandName } from '../base/command-name.ts'
import { Refusal } from '../base/errors.ts'
import { checkConfig } from '../config.ts'
import { shellQuoted, type DataDirectory } from '../data-directory.ts'
import { readFact } from '../engine/audit/audit.ts'
import { checkClock as checkJump } from '../engine/renewals/clock-guard.ts'
import { checkPolicyRules } from '../engine/issuing/policy-rules.ts'
import { checkSealedTree } from '../engine/audit/seal.ts'
import { parsePublicKey } from '../pki/key.ts'
import { latestCheckpoint } from '../store/checkpoints.ts'
import { unsealedFacts } from '../store/facts.ts'
import type { CliContext } from './context.ts'
import { checkLadders } from './doctor-triggers.ts'
import { day, span } from './time.ts'

export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail'
  readonly message: string
  /** What to do; null when nothing is to be done. */
  readonly fix: string | null
}

export interface Check {
  readonly name: string
  /** What it needs to look at anything; a check whose need is not met is left out, because another one has failed. */
  readonly needs: 'nothing' | 'directory' | 'app'
  run(context: CheckContext): Promise<readonly Finding[]>
}

export interface CheckContext {
  readonly cli: CliContext
  readonly now: Instant
  readonly directory: DataDirectory | null
  readonly app: App | null
}

/** In the order in which one depends on the other. */
export const checks: readonly Check[] = [
  { name: 'Runtime', needs: 'nothing', run: checkRuntime },
  { name: 'Data directory', needs: 'nothing', run: checkDirectory },
  { name: 'File permissions', needs: 'directory', run: checkPermissions },
  { name: 'Configuration', needs: 'nothing', run: checkConfiguration },
  { name: 'Disk space', needs: 'directory', run: checkDisk },
  { name: 'Database', needs: 'directory', run: checkDatabase },
  { name: 'Clock', needs: 'app', run: checkClock },
  { name: 'CA keys', needs: 'app', run: checkKeys },
  { name: 'CA lifetimes', needs: 'app', run: checkHorizon },
  { name: 'Server certificate', needs: 'app', run: checkServerCertificate },
  { name: 'Policy', needs: 'app', run: checkPolicy },
  { name: 'Ladders', needs: 'app', run: async ({ app }) => (app ? await checkLadders(app) : []) },
  { name: 'Audit log', needs: 'app', run: checkAudit },
  { name: 'Ports', needs: 'app', run: checkPorts },
]

const ok = (message: string): Finding => ({ status: 'ok', message, fix: null })
const warn = (message: string, fix: string | null = null): Finding => ({ status: 'warn', message, fix })
const fail = (message: string, fix: string | null = null): Finding => ({ status: 'fail', message, fix })

async function checkRuntime(): Promise<Finding[]> {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major > 24 || (major === 24 && minor >= 18)) return [ok(`Node ${process.versions.node}`)]
  return [fail(`Node ${process.versions.node} is too old`, 'install Node 24.18 or newer')]
}

async function checkDirectory({ cli }: CheckContext): Promise<Finding[]> {
  const refusal = await refusalOf(cli.dataDirectory())
  if (refusal) return [fail(refusal.message)]
  const { path, installation } = await cli.dataDirectory()
  return [ok(`${path}, of ${installation.createdAt.slice(0, 10)}`)]
}

async function checkPermissions({ directory }: CheckContext): Promise<Finding[]> {
  if (!directory || process.platform === 'win32') return [ok('not applicable here')]
  const { path, keysDirectory, passphraseFile, serverKeyFile } = directory
  const keys = (await readdir(keysDirectory)).map((name) => join(keysDirectory, name))
  const open: string[] = []
  for (const file of [keysDirectory, ...keys, passphraseFile, serverKeyFile]) {
    const mode = (await stat(file).catch(() => null))?.mode ?? 0
    if ((mode & 0o077) !== 0) open.push(file)
  }
  if (open.length === 0) return [ok('nobody else can read keys and secrets')]
  const line = `chmod go= ${open.map(shellQuoted).join(' ')}`
  return [
    warn(
      `${open.length} secret files in ${path} are open to others, guarded only by the directory`,
      `run: ${line}`,
    ),
  ]
}

async function checkConfiguration({ cli, directory }: CheckContext): Promise<Finding[]> {
  const { problems } = await checkConfig({ file: directory?.configFile ?? null, env: cli.env })
  if (problems.length === 0) return [ok('perennial.yaml and variables are right')]
  return problems.map(({ where, message }) => fail(`${where}: ${message}`))
}

const megabyte = 1_048_576

async function checkDisk({ directory }: CheckContext): Promise<Finding[]> {
  if (!directory) return []
  const { bavail, bsize, ffree, files } = await statfs(directory.path)
  const free = Math.floor((bavail * bsize) / megabyte)
  const fix = 'free some, or move the data directory to a larger disk'
  if (files > 0 && ffree < 100) return [fail(`only ${ffree} more files can be made on this disk`, fix)]
  if (free < 100) return [fail(`${free} MB are free: the database stops when the disk is full`, fix)]
  if (free < 1024) return [warn(`${free} MB are free; a million devices need about 2 GB`, fix)]
  return [ok(`${Math.floor(free / 1024)} GB are free`)]
}

async function checkDatabase({ cli }: CheckContext): Promise<Finding[]> {
  const refusal = await refusalOf(cli.app())
  if (refusal) return [fail(refusal.message)]
  const { engine } = await cli.app()
  const { applied } = await engine.store.schemaVersion()
  const name = engine.store.engine === 'sqlite' ? 'SQLite' : 'PostgreSQL'
  return [ok(`${name}, schema ${applied.at(-1) ?? 'empty'}`)]
}

async function checkClock({ app, now }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const { installation } = app.dataDirectory
  const sealedAt = (await latestCheckpoint(app.engine.store.db))?.at ?? 0
  const known = Math.max(Date.parse(installation.createdAt), sealedAt)
  const fix = 'set the clock and keep it right with NTP: every notBefore and notAfter comes from it'
  // a second of disagreement between two machines on one database is no reason to worry
  if (now < known - minuteMs)
    return [fail(`it shows ${iso(now)}, but something here is from ${iso(known)}`, fix)]
  const { problem } = await checkJump(app.engine, now)
  if (problem !== null)
    return [fail(problem, `when the clock is right: ${commandName()} doctor --accept-clock`)]
  return [ok(`${iso(now)}, later than anything on record`)]
}

async function checkKeys({ app }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const { engine } = app
  const findings: Finding[] = []
  let good = 0
  for (const { id, kind, authority, keyReference, spkiHash, status } of await engine.issuers.list()) {
    if (kind === 'external' || status !== 'active') continue
    const holder = engine.authorities.get(authority)
    if (!holder) {
      findings.push(fail(`the key of ${id} is held by ${authority}, which is not configured`))
      continue
    }
    const refusal = await refusalOf(holder.publicKey(keyReference))
    if (refusal?.code === 'passphrase-wrong') return [fail(refusal.message)]
    if (refusal) findings.push(fail(`the key of ${id}: ${refusal.message}`))
    else if (parsePublicKey(await holder.publicKey(keyReference)).spkiHash === spkiHash) good++
    else
      findings.push(fail(`the key of ${id} is not the one in its certificate`, 'restore keys/ from a backup'))
  }
  if (findings.length === 0)
    findings.push(ok(`the passphrase opens ${good === 1 ? 'the key' : `all ${good} keys`}`))
  return findings
}

async function checkHorizon({ app, now }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const findings: Finding[] = []
  const own = (await app.engine.issuers.list()).filter(
    ({ kind, status }) => kind !== 'external' && status === 'active',
  )
  for (const { id, notAfter } of own) {
    const left = notAfter - now
    const fix = `create its successor: ${commandName()} ca create`
    if (left < 0) findings.push(fail(`${id} ended on ${day(notAfter)}`, fix))
    else if (left < 365 * dayMs) findings.push(warn(`${id} ends on ${day(notAfter)}, in ${span(left)}`, fix))
  }
  if (findings.length > 0) return findings
  const first = own.reduce((soonest, each) => Math.min(soonest, each.notAfter), Infinity)
  return [ok(`the first to end does so on ${day(first)}`)]
}

async function checkServerCertificate({ app, now }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const { serverCertificateFile, serverKeyFile } = app.dataDirectory
  const renewed = `${commandName()} serve makes a new one at its next start`
  const pem = await readFile(serverCertificateFile, 'utf8').catch(() => null)
  const key = await readFile(serverKeyFile, 'utf8').catch(() => null)
  if (pem === null || key === null)
    return [warn('the certificate or the key of the EST endpoint is missing', renewed)]
  const certificate = new X509Certificate(pem)
  if (!certificate.checkPrivateKey(createPrivateKey(key)))
    return [warn('certificate and key do not fit', renewed)]
  const left = Date.parse(certificate.validTo) - now
  if (left < 0) return [fail(`it expired ${span(-left)} ago: devices refuse to connect`, renewed)]
  const missing = serverNames(app.config).filter(
    (name) => !certificate.checkHost(name) && !certificate.checkIP(name),
  )
  if (missing.length > 0) return [warn(`it lacks ${missing.join(', ')}`, renewed)]
  if (left < 14 * dayMs)
    return [
      warn(
        `it ends in ${span(left)} and should have been renewed`,
        'is a process with the est role running?',
      ),
    ]
  return [ok(`for ${serverNames(app.config)[0]}, ends in ${span(left)}`)]
}

async function checkPolicy({ app, now }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const { profiles, connectivity } = app.engine.settings
  const findings = checkPolicyRules({ profiles, connectivity, issuers: await app.engine.issuers.list(), now })
  if (findings.length === 0) return [ok(`${profiles.size} profiles agree with their issuers`)]
  return findings.map(({ severity, profile, issuer, message }) =>
    (severity === 'error' ? fail : warn)(`${profile ?? issuer}: ${message}`),
  )
}

async function checkAudit({ app, now }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const refusal = await refusalOf(checkSealedTree(app.engine))
  if (refusal) return [fail(refusal.message)]
  const [oldest] = await unsealedFacts(app.engine.store.db, 1)
  const waiting = oldest ? now - Date.parse(String(readFact(oldest.entry).at)) : 0
  if (waiting > 10 * minuteMs) {
    return [warn(`facts wait to be sealed since ${span(waiting)}`, 'run a process with the jobs role')]
  }
  const size = (await latestCheckpoint(app.engine.store.db))?.size ?? 0
  return [ok(`${size} facts sealed; the database is not behind its checkpoint`)]
}

async function checkPorts({ app, cli }: CheckContext): Promise<Finding[]> {
  if (!app) return []
  const { est, status, admin } = app.config
  if (await isOurs(admin, cli.clock)) return [ok('in use by the running platform')]
  const taken: Finding[] = []
  for (const [name, { host, port }] of Object.entries({ est, status, admin })) {
    const code = await whyNotFree(host, port)
    if (code === 'EADDRINUSE') {
      taken.push(fail(`${name} ${host}:${port} is in use by another program`, `stop it, or set ${name}.port`))
    } else if (code !== null)
      taken.push(
        fail(`cannot listen on ${name} ${host}:${port} (${code})`, `set ${name}.host and ${name}.port`),
      )
  }
  return taken.length > 0 ? taken : [ok(`${est.port}, ${status.port} and ${admin.port} are free`)]
}

async function isOurs({ host, port }: { host: string; port: number }, clock: Clock): Promise<boolean> {
  const address = host.includes(':') ? `[${host}]` : host === '0.0.0.0' ? '127.0.0.1' : host
  const asking = new AbortController()
  void clock.sleep(1_000, asking.signal).then(
    () => asking.abort(),
    () => undefined,
  )
  try {
    const response = await fetch(`http://${address}:${port}/version`, { signal: asking.signal })
    const answer: unknown = await response.json()
    return typeof answer === 'object' && answer !== null && 'version' in answer && 'openssl' in answer
  } catch {
    return false
  } finally {
    asking.abort()
  }
}

async function whyNotFree(host: string, port: number): Promise<string | null> {
  const server = createServer()
  return await new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)))
  })
}

async function refusalOf(work: Promise<unknown>): Promise<Refusal | null> {
  try {
    await work
    return null
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
}
