/** Servers that this account logs in to: address, token and CA of each, in one file that nobody else can read. */
import { mkdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { Refusal, refusalRules, type RefusalCode } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import { token as newToken, type Random } from '../base/random.ts'
import { secureUrlProblem } from '../base/secure-url.ts'
import { ApiProblem, createClient, type Client } from '../client/client.ts'
import type { CliContext } from './context.ts'

export interface RemoteContext {
  /** `https://pki.example:8090`, without a path. */
  readonly url: string
  /** Of the API. */
  readonly token: string
  /** PEM of the CAs that may vouch for the server besides those of the system; null: none. */
  readonly ca: string | null
}

export interface RemoteContexts {
  /** The one that is used when none is named. */
  readonly current: string | null
  readonly contexts: Readonly<Record<string, RemoteContext>>
}

const none: RemoteContexts = { current: null, contexts: {} }

/** `perennial/contexts.json` below XDG_CONFIG_HOME or ~/.config. */
export function contextsFile({ env }: Pick<CliContext, 'env'>): string {
  return join(env['XDG_CONFIG_HOME'] || join(homedir(), '.config'), 'perennial', 'contexts.json')
}

/** @throws Refusal `configuration-invalid` when others can read the file, or when it is not ours */
export async function readContexts(cli: Pick<CliContext, 'env'>): Promise<RemoteContexts> {
  const file = contextsFile(cli)
  let text: string
  try {
    const { mode } = await stat(file)
    if ((mode & 0o077) !== 0) throw invalid(`others can read ${file}, which has tokens in it: chmod 600 it`)
    text = await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return none
    throw error
  }
  return parseContexts(text, file)
}

function parseContexts(text: string, file: string): RemoteContexts {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw invalid(`${file} is not JSON: remove it and log in again`, cause)
  }
  const { current, contexts } = (value ?? {}) as Partial<RemoteContexts>
  const isOurs = (each: Partial<RemoteContext> | null) =>
    typeof each?.url === 'string' &&
    typeof each.token === 'string' &&
    (each.ca === null || typeof each.ca === 'string')
  if (typeof contexts !== 'object' || contexts === null || !Object.values(contexts).every(isOurs))
    throw invalid(`${file} is not what \`perennial login\` writes: remove it and log in again`)
  return { current: typeof current === 'string' && current in contexts ? current : null, contexts }
}

function invalid(message: string, cause?: unknown): Refusal {
  return new Refusal('configuration-invalid', message, { cause })
}

export async function writeContexts(cli: Pick<CliContext, 'env'>, contexts: RemoteContexts): Promise<void> {
  const file = contextsFile(cli)
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFileAtomically(file, `${JSON.stringify(contexts, null, 2)}\n`, 0o600)
}

/**
 * The server to ask: the named context, PERENNIAL_URL with PERENNIAL_TOKEN, or the current context.
 * @throws Refusal `not-found` for an unknown name, `configuration-invalid` when there is no server at all
 */
export async function findContext(
  cli: Pick<CliContext, 'env'>,
  name: string | undefined,
): Promise<RemoteContext> {
  const { PERENNIAL_URL: url, PERENNIAL_TOKEN: token } = cli.env
  if (name === undefined && url && token) return { url: serverUrl(url), token, ca: null }
  const { current, contexts } = await readContexts(cli)
  const wanted = name ?? current
  if (wanted === null) {
    throw invalid('no server is known: `perennial login URL`, or set PERENNIAL_URL and PERENNIAL_TOKEN')
  }
  const context = Object.hasOwn(contexts, wanted) ? contexts[wanted] : undefined
  if (context) return context
  const names = Object.keys(contexts).join(', ') || 'none'
  throw new Refusal('not-found', `there is no context ${wanted}; there is ${names}: \`perennial login URL\``)
}

/** @throws Refusal `invalid-input` for plain http to another machine, where the token could be read on its way */
export function serverUrl(text: string): string {
  const problem = secureUrlProblem(text, false)
  if (problem !== null) throw new Refusal('invalid-input', `cannot log in to this server: ${problem}`)
  return new URL(text).origin
}

/** The API of that server. What its CAs vouch for is believed from now on, in this process. */
export function clientOf({ url, token, ca }: RemoteContext, random: Random): Client {
  if (ca !== null) setDefaultCACertificates([...getCACertificates('default'), ca])
  return createClient({ url, token, newKey: () => newToken(random, 16) })
}

/** Runs a call of the API; its problems become refusals with the server's own code. */
export async function asking<Value>(url: string, call: () => Promise<Value>): Promise<Value> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof ApiProblem) throw refusalOf(error)
    if (error instanceof TypeError && error.cause instanceof Error) throw unreachable(url, error.cause)
    throw error
  }
}

function refusalOf(problem: ApiProblem): Refusal {
  const { status, message, errors, retryAfterMs } = problem
  const details = errors.map(({ at, detail }) => `\n  ${at}: ${detail}`).join('')
  // a newer server may have refusals that this version does not know
  const isKnown = Object.hasOwn(refusalRules, problem.code)
  const code = isKnown ? (problem.code as RefusalCode) : 'server-refused'
  return new Refusal(code, `${message}${isKnown ? '' : ` (${status} ${problem.code})`}${details}`, {
    cause: problem,
    ...(retryAfterMs === null ? {} : { retryAfterMs }),
  })
}

function unreachable(url: string, cause: Error): Refusal {
  const code = 'code' in cause ? String(cause.code) : cause.message
  const isTrust = /CERT|SELF_SIGNED|UNABLE_TO/.test(code)
  const what = isTrust ? 'its certificate is not trusted here: give its CA with --ca' : 'look at the address'
  return new Refusal('server-unreachable', `no answer from ${url} (${code}): ${what}`, { cause })
}
