/** `perennial ocsp`: signed answers as files, for servers that staple. It needs no data directory. */
import { readFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import type { Command } from 'commander'
import { equalBytes } from '../base/bytes.ts'
import { iso, minuteMs, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import { jitteredMs } from '../base/retry.ts'
import { fetchOcsp, type FetchedOcsp, type OcspSubject } from '../agent/ocsp-fetch.ts'
import { pause } from '../agent/pause.ts'
import { parseCertificate } from '../pki/certificate.ts'
import type { CliContext } from './context.ts'
import { readCertificates } from './credential-file.ts'
import { addExamples } from './examples.ts'
import { untilStopped } from './stop-signal.ts'

interface FetchOptions {
  readonly issuer?: string
  readonly url?: string
  readonly out?: string
  readonly watch?: boolean
  readonly reload?: string
}

export function registerOcsp(program: Command, cli: CliContext): void {
  addExamples(
    program
      .command('ocsp')
      .command('fetch')
      .summary('fetch the signed OCSP answer about a certificate into a file, for servers that staple')
      .description(
        [
          'Fetch the signed OCSP answer about a certificate, verify it, and write it as DER beside the certificate, as FILE.ocsp:',
          'what haproxy looks for. For nginx name that file in ssl_stapling_file. The file is replaced as a whole, and only by',
          'an answer that says good: when the responder is away, the last one stays.',
          '',
          '--watch keeps it fresh until SIGTERM: a new answer is fetched when half of the life of the last one is gone.',
          '--reload is run by the shell after each change.',
        ].join('\n'),
      )
      .argument(
        '<certificates...>',
        'PEM files of servers: the certificate first, then the CA that issued it',
      )
      .option('--issuer <file>', 'certificate of the CA, when it is not in the same file')
      .option('--url <url>', 'responder, in place of the one that the certificate names')
      .option('--out <file>', 'write it there; for one certificate')
      .option('--watch', 'keep it fresh')
      .option('--reload <command>', 'run after a change, such as "nginx -s reload"')
      .action(async (files: string[], options: FetchOptions) => await fetch(cli, files, options)),
    [
      {
        say: 'For ssl_stapling_file of nginx, once',
        run: 'perennial ocsp fetch server.pem --out server.ocsp',
        notRun: 'needs a responder',
      },
      {
        say: 'Beside a haproxy, for ever',
        run: 'perennial ocsp fetch /etc/haproxy/certs/*.pem --watch --reload "systemctl reload haproxy"',
        notRun: 'does not end',
      },
    ],
  )
}

interface Job {
  readonly subject: OcspSubject
  readonly file: string
}

async function fetch(cli: CliContext, files: readonly string[], options: FetchOptions): Promise<void> {
  if (options.out !== undefined && files.length > 1) {
    throw new Refusal('invalid-input', '--out names one file: leave it out, or give one certificate')
  }
  if (options.watch === true) return await watch(cli, files, options)
  const written: { file: string; status: string; nextUpdate: string }[] = []
  for (const file of files) {
    const job = await jobOf(cli, file, options)
    const answer = await fetchTo(cli, job, new AbortController().signal)
    written.push({ file: job.file, status: answer.status, nextUpdate: iso(answer.nextUpdate) })
  }
  await reload(options)
  cli.output.answer({
    json: written,
    text: () =>
      written
        .map(({ file, status, nextUpdate }) => `Wrote ${file}: ${status}, in force until ${nextUpdate}.`)
        .join('\n'),
  })
}

async function jobOf(cli: CliContext, file: string, options: FetchOptions): Promise<Job> {
  const chain = readCertificates(await cli.readInput(file), file)
  const others =
    options.issuer === undefined ? [] : readCertificates(await readFile(options.issuer), options.issuer)
  const [leaf, ...candidates] = [...chain, ...others].map((der) => parseCertificate(der))
  const issuer = candidates.find(({ subjectDer }) => leaf && equalBytes(subjectDer, leaf.issuerDer))
  if (!leaf || !issuer) {
    throw new Refusal(
      'not-found',
      `${file} does not hold the CA that issued its certificate: name it with --issuer`,
    )
  }
  return { subject: { leaf, issuer, url: options.url }, file: options.out ?? `${file}.ocsp` }
}

/** @throws Refusal `server-refused` when the certificate is not good: what stands there stays until it lapses */
async function fetchTo(cli: CliContext, { subject, file }: Job, signal: AbortSignal): Promise<FetchedOcsp> {
  const answer = await fetchOcsp(cli.clock, subject, signal)
  if (answer.status !== 'good') {
    throw new Refusal(
      'server-refused',
      `certificate ${subject.leaf.serialNumber} is ${answer.status}: nothing is written to ${file}`,
    )
  }
  await writeFileAtomically(file, answer.der, 0o644)
  return answer
}

async function watch(cli: CliContext, files: readonly string[], options: FetchOptions): Promise<void> {
  await untilStopped(async (signal) => {
    await Promise.all(files.map((file) => watchOne(cli, { file, options, signal })))
  })
}

interface Watching {
  readonly file: string
  readonly options: FetchOptions
  readonly signal: AbortSignal
}

/** The certificate is read anew each time: it may have been renewed. */
async function watchOne(cli: CliContext, { file, options, signal }: Watching): Promise<void> {
  const { clock, random, output } = cli
  let failures = 0
  let lastEnd: Instant | null = null
  while (!signal.aborted) {
    let waitMs: number
    try {
      const job = await jobOf(cli, file, options)
      const answer = await fetchTo(cli, job, signal)
      await reload(options)
      failures = 0
      lastEnd = answer.nextUpdate
      waitMs = jitteredMs((answer.nextUpdate - clock.now()) / 2, 0.1, random)
      output.note(`${job.file}: in force until ${iso(answer.nextUpdate)}`)
    } catch (error) {
      if (signal.aborted) return
      if (!(error instanceof Refusal) && !(error instanceof Error && 'code' in error)) throw error
      failures += 1
      waitMs = jitteredMs(Math.min(60, 2 ** failures) * minuteMs, 0.2, random)
      const until = lastEnd === null ? '' : `; the last answer holds until ${iso(lastEnd)}`
      output.note(`${file}: ${(error as Error).message}${until}`)
    }
    await pause(clock, waitMs, signal)
  }
}

/** @throws Refusal `server-refused` when it fails: the files are new, the server has not seen them */
async function reload({ reload: command }: FetchOptions): Promise<void> {
  if (command === undefined) return
  const child = spawn(command, { shell: true, stdio: ['ignore', 'inherit', 'inherit'] })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (code !== 0) throw new Refusal('server-refused', `the reload command ended with ${code ?? 'a signal'}`)
}
