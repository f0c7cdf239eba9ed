/** `perennial verifier`: servers of others that check device certificates, and what keeps their files fresh. */
import { spawn } from 'node:child_process'
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { Argument, type Command } from 'commander'
import { writeFile } from '../agent/agent-directory.ts'
import { pause } from '../agent/pause.ts'
import { parseVerifierConfig } from '../agent/verifier-config.ts'
import { VerifierWatch, type VerifierPass } from '../agent/verifier-watch.ts'
import { minuteMs, secondMs, iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { writeFileAtomically } from '../base/file.ts'
import { createLog } from '../base/log.ts'
import { jitteredMs } from '../base/retry.ts'
import { verifierServers, type VerifierServer } from '../protocols/verifier-conf.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { FoundProblems } from './failure.ts'
import { durationOption } from './options.ts'
import { untilStopped } from './stop-signal.ts'
import { registerBundle } from './verifier-bundle.ts'
import { verifierFiles } from './verifier-files.ts'

export function registerVerifier(program: Command, cli: CliContext): void {
  const verifier = program.command('verifier')
  registerConfig(verifier, cli)
  registerAgent(verifier, cli)
  registerBundle(verifier, cli)
}

interface ConfigOptions {
  readonly out: string
  readonly path?: string
  readonly reload?: string
}

function registerConfig(verifier: Command, cli: CliContext): void {
  addExamples(
    verifier
      .command('config')
      .summary('files for a server that checks device certificates: directives, trust bundle, CRLs')
      .description(
        [
          'Write a directory for a server that checks device certificates: its directives, trust.pem, crl.pem, and verifier.json',
          'with which `perennial verifier agent` keeps the two fresh. Copy it to the server. CRLs must be published (`perennial',
          'serve` does it).',
        ].join('\n'),
      )
      .addArgument(new Argument('<server>', 'what the server is').choices(verifierServers))
      .requiredOption('--out <dir>', 'directory to write')
      .option('--path <dir>', 'where it will be on the server; default: that directory')
      .option(
        '--reload <command>',
        'what makes the server read its files again, in place of the usual command',
      )
      .action(async (server: VerifierServer, options: ConfigOptions) => await config(cli, server, options)),
    [
      { say: 'For nginx', run: 'perennial verifier config nginx --out verifier --path /etc/nginx/perennial' },
      {
        say: 'For Mosquitto in a container',
        run: 'perennial verifier config mosquitto --out broker --reload "docker kill -s HUP broker"',
      },
    ],
  )
}

async function config(
  cli: CliContext,
  server: VerifierServer,
  { out, path, reload }: ConfigOptions,
): Promise<void> {
  const { engine } = await cli.app()
  const files = await verifierFiles(engine, { server, path: path ?? resolve(out), reload: reload ?? null })
  await mkdir(out, { recursive: true })
  for (const [name, text] of files) await writeFileAtomically(join(out, name), text, 0o644)
  const names = [...files.keys()]
  cli.output.answer({
    json: { directory: resolve(out), server, files: names },
    text: () =>
      `Wrote ${names.join(', ')} in ${out}. Next: include ${names[0]} in the configuration of ${server}.`,
  })
}

interface AgentOptions {
  readonly config: string
  readonly once?: boolean
  readonly interval: number
}

function registerAgent(verifier: Command, cli: CliContext): void {
  addExamples(
    verifier
      .command('agent')
      .summary('keep trust bundle and CRLs beside such a server fresh, and have it read them again')
      .description(
        [
          'Fetch the CAs and their CRLs, verify them against the pinned root, replace trust.pem and crl.pem beside verifier.json',
          'when something is new, and run the reload command. Older CRLs than those in use are refused. When the platform is',
          'away the files stay, and a warning comes before the CRLs lapse. It needs no data directory.',
          '',
          '--once: one pass, for a timer; the exit code is 1 when there was something to warn of.',
        ].join('\n'),
      )
      .requiredOption('--config <file>', 'verifier.json of `perennial verifier config`')
      .option('--once', 'one pass instead of one after the other until SIGTERM')
      .option('--interval <duration>', 'between passes (1m)', durationOption, minuteMs)
      .action(async (options: AgentOptions) => await agent(cli, options)),
    [
      {
        say: 'From a timer',
        run: 'perennial verifier agent --config verifier/verifier.json --once',
        notRun: 'needs a platform that runs',
      },
      {
        say: 'As a service',
        run: 'perennial verifier agent --config /etc/nginx/perennial/verifier.json',
        notRun: 'does not end',
      },
    ],
  )
}

async function agent(cli: CliContext, { config: file, once = false, interval }: AgentOptions): Promise<void> {
  const settings = parseVerifierConfig(await readFile(file, 'utf8'))
  const watch = await VerifierWatch.open(settings, {
    clock: cli.clock,
    directory: dirname(resolve(file)),
    write: writeFile,
    reload: runReload,
  })
  if (once) {
    const pass = await watch.pass(new AbortController().signal)
    const { isChanged, problems, nextUpdate } = pass
    cli.output.answer({
      json: { isChanged, problems, nextUpdate: nextUpdate === null ? null : iso(nextUpdate) },
      text: () => describe(pass),
    })
    if (problems.length > 0) throw new FoundProblems()
    return
  }
  const log = createLog('info')
  log.info({ event: 'start', statusUrl: settings.statusUrl }, 'perennial verifier agent has started')
  await untilStopped(async (signal) => {
    let told = ''
    while (!signal.aborted) {
      const pass = await watch.pass(signal).catch((error: unknown) => {
        if (signal.aborted) return null
        throw error
      })
      if (pass === null) return
      if (pass.isChanged) log.info({ event: 'changed' }, describe(pass))
      const problems = pass.problems.join('; ')
      if (problems !== told && problems !== '') log.warn({ event: 'problem' }, problems)
      told = problems
      await pause(cli.clock, Math.max(secondMs, jitteredMs(interval, 0.1, cli.random)), signal)
    }
  })
}

function describe({ isChanged, problems, nextUpdate }: VerifierPass): string {
  const until = nextUpdate === null ? 'there is no CRL' : `the CRLs are in force until ${iso(nextUpdate)}`
  return [`${isChanged ? 'The files are new' : 'Nothing is new'}; ${until}.`, ...problems].join('\n')
}

/** @throws Refusal `server-refused` with its exit code: it is run again in the next pass */
async function runReload(command: string): Promise<void> {
  const child = spawn(command, { shell: true, stdio: ['ignore', 'ignore', 'inherit'] })
  const code = await new Promise<number | null>((done, fail) => {
    child.once('error', fail)
    child.once('close', done)
  })
  if (code !== 0)
    throw new Refusal('server-refused', `the reload command ended with ${code ?? 'a signal'}: ${command}`)
}
