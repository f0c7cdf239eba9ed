/**
 * `node bench/ocsp.ts [answers]`: OCSP over HTTP with kept connections, signed already and with a nonce, next to nginx with
 * the same bytes as files, node:http with one answer, and `openssl ocsp`. What counts is processor time per answer of the
 * server's process: it stays the same when others are busy on the machine.
 */
import { execFileSync, fork, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { iso, systemClock } from '../src/base/clock.ts'
import { encodePem } from '../src/pki/pem.ts'
import { makeCertificate } from '../test/helpers/certificates.ts'
import { freePorts } from '../test/helpers/checkout.ts'
import { missing, programPath } from '../test/helpers/require.ts'
import type { LoadCommand, LoadResult } from './ocsp/load.ts'
import type { Started } from './ocsp/server.ts'

const answers = Number(process.argv[2] ?? 100_000)
const connections = 32
const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-ocsp-'))
const children: ChildProcess[] = []
const rows: string[] = []

function start(file: string, args: readonly string[] = []): ChildProcess {
  const child = fork(join(import.meta.dirname, 'ocsp', file), args, { stdio: 'inherit' })
  children.push(child)
  return child
}

async function ask<Answer>(child: ChildProcess, message: object): Promise<Answer> {
  child.send(message)
  const [answer] = (await once(child, 'message')) as [Answer]
  return answer
}

const generator = start('load.ts')

interface Target {
  readonly port: number
  readonly requests: readonly string[]
  /** Of the server so far, ms. */
  readonly cpuMs: () => Promise<number>
  readonly answers?: number
  readonly isKeptAlive?: boolean
  readonly connections?: number
}

/** @returns microseconds per answer */
async function measure(what: string, target: Target, limit: string): Promise<number> {
  const { port, requests, isKeptAlive = true, connections: lanes = connections } = target
  const run = (count: number): Promise<LoadResult> =>
    ask<LoadResult>(generator, {
      port,
      requests,
      connections: lanes,
      answers: count,
      isKeptAlive,
    } satisfies LoadCommand)
  const count = target.answers ?? answers
  await run(Math.ceil(count / 5))
  const before = await target.cpuMs()
  const { answered, failed, seconds } = await run(count)
  const micros = (((await target.cpuMs()) - before) * 1000) / answered
  if (failed > 0 || answered < count) throw new Error(`${what}: ${failed} of ${count} failed`)
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
  process.stderr.write(`${what}\n`)
  rows.push(
    `${what.padEnd(44)}${whole(answered / seconds).padStart(9)} /s ${micros.toFixed(1).padStart(8)} µs CPU${whole(1e6 / micros).padStart(10)} /s per core   ${limit}`,
  )
  return micros
}

const get = (path: string): string => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
const post = (body: string): string =>
  `POST /ocsp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/ocsp-request\r\nContent-Length: ${body.length}\r\n\r\n${body}`
const latin1 = (base64: string): string => Buffer.from(base64, 'base64').toString('latin1')

const cpuOf = (child: ChildProcess) => async (): Promise<number> =>
  (await ask<{ cpuMs: number }>(child, {})).cpuMs

/** Of a process that is not ours; ticks are 10 ms. */
const cpuOfProcess = (pid: number) => async (): Promise<number> => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
  return (Number(fields[11]) + Number(fields[12])) * 10
}

async function untilListening(port: number): Promise<void> {
  for (let left = 200; left > 0; left--) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      socket.once('connect', () => resolve(socket.destroy() !== null))
      socket.once('error', () => resolve(false))
    })
    if (isOpen) return
    await systemClock.sleep(25)
  }
  throw new Error(`nothing listens on port ${port}`)
}

async function nginx({ questions }: Started): Promise<Target> {
  const [port = 0] = await freePorts(1)
  mkdirSync(join(directory, 'files'))
  for (const [n, { answer }] of questions.entries()) {
    writeFileSync(join(directory, 'files', `${n}.der`), Buffer.from(answer, 'base64'))
  }
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/${name};`)
    .join(' ')
  const configuration = join(directory, 'nginx.conf')
  writeFileSync(
    configuration,
    `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr; ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 1024; }
    http { access_log off; ${temporary} sendfile on; tcp_nopush on; open_file_cache max=1000; keepalive_requests 1000000;
      types { application/ocsp-response der; }
      server { listen 127.0.0.1:${port}; root ${directory}/files; add_header Cache-Control "max-age=3600, public"; } }`,
  )
  const child = spawn(programPath('nginx'), ['-c', configuration], { stdio: 'inherit' })
  children.push(child)
  await untilListening(port)
  return {
    port,
    requests: questions.map((_, n) => get(`/${n}.der`)),
    cpuMs: cpuOfProcess(child.pid as number),
  }
}

/** Its own CA: it wants the key of the signer as a file. */
async function openssl(): Promise<Target> {
  const [port = 0] = await freePorts(1)
  const now = Math.floor(systemClock.now() / 1000) * 1000
  const ca = makeCertificate({ notBefore: now - 86_400_000, notAfter: now + 86_400_000 })
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }
  const certificate = write('ca.pem', encodePem('CERTIFICATE', ca.certificate.der))
  const key = write('ca.key', String(ca.keys.privateKey.export({ type: 'pkcs8', format: 'pem' })))
  const end = iso(now + 86_400_000)
    .replace(/[-:T]/g, '')
    .slice(2)
  const index = write('index.txt', `V\t${end}\t\t4A4B\tunknown\t/CN=a\n`)
  const request = join(directory, 'request.der')
  execFileSync(
    'openssl',
    ['ocsp', '-issuer', certificate, '-serial', '0x4a4b', '-no_nonce', '-reqout', request],
    {
      stdio: 'ignore',
    },
  )
  const args = ['ocsp', '-index', index, '-port', String(port), '-rsigner', certificate, '-rkey', key]
  const child = spawn('openssl', [...args, '-CA', certificate, '-nmin', '60'], { stdio: 'ignore' })
  children.push(child)
  await systemClock.sleep(1_000)
  const requests = [post(readFileSync(request, 'latin1'))]
  return {
    port,
    requests,
    cpuMs: cpuOfProcess(child.pid as number),
    answers: 1_000,
    isKeptAlive: false,
    connections: 1,
  }
}

try {
  const server = start('server.ts', ['ours'])
  const [ours] = (await once(server, 'message')) as [Started]
  const { port, questions } = ours
  const cpuMs = cpuOf(server)
  const size = Buffer.from(questions[0]?.answer ?? '', 'base64').length
  const canned = start('server.ts', ['canned', String(size)])
  const [started] = (await once(canned, 'message')) as [Started]
  const bare = await measure(
    'node:http, one answer',
    { port: started.port, requests: [get('/')], cpuMs: cpuOf(canned) },
    '',
  )
  const file = missing('nginx')
    ? null
    : await measure('nginx, the same bytes as files', await nginx(ours), '')
  const requests = questions.map(({ plain }) => get(`/ocsp/${encodeURIComponent(plain)}`))
  const signed = await measure(
    'signed already, GET',
    { port, requests, cpuMs },
    'aim: half of nginx per core',
  )
  const posts = questions.map(({ plain }) => post(latin1(plain)))
  await measure('signed already, POST', { port, requests: posts, cpuMs }, '')
  const nonces = questions.map(({ nonce }) => post(latin1(nonce)))
  await measure('with a nonce, POST', { port, requests: nonces, cpuMs, answers: Math.ceil(answers / 3) }, '')
  if (!missing('openssl')) await measure('openssl ocsp, new connections', await openssl(), 'signs each')
  process.stdout.write(`answers of ${size} bytes, ${connections} connections\n${rows.join('\n')}\n`)
  const share = (other: number): string => `${Math.round((other / signed) * 100)} %`
  process.stdout.write(
    `signed already, per core: ${file === null ? '' : `${share(file)} of nginx, `}${share(bare)} of node:http\n`,
  )
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true })
}
