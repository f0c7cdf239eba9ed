/** `perennial agent`: the device's side. It needs no data directory, only the agent's own state directory. */
import { writeFile } from 'node:fs/promises'
import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { lockAgentDirectory } from '../agent/agent-directory.ts'
import { openAgentStaple } from '../agent/agent-ocsp.ts'
import type { AgentEvent } from '../agent/agent.ts'
import { openAgent, readSetup } from '../agent/open-agent.ts'
import { createLog } from '../base/log.ts'
import { addStateOption, parts, requireActivated, statePath, type StateOption } from './agent-context.ts'
import { registerEnrol } from './agent-enrol.ts'
import { mqttOf } from './agent-options.ts'
import { showStatus } from './agent-status.ts'
import { registerTake } from './agent-take.ts'
import { agentUnit } from './agent-unit.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { instant } from './time.ts'

export function registerAgent(program: Command, cli: CliContext): void {
  const agent = program.command('agent')
  registerEnrol(agent, cli)
  registerRenew(agent, cli)
  registerRun(agent, cli)
  registerStatus(agent, cli)
  registerTake(agent, cli)
  registerInstall(agent, cli)
}

function registerRenew(agent: Command, cli: CliContext): void {
  addExamples(
    addStateOption(agent.command('renew'))
      .summary('renew the certificate now')
      .description(
        [
          'Renew the certificate now: a new key in the idle slot, a certificate for it, a trial connection, and only then the',
          'swap. The server may say that it is too early. With --if-due, for a timer or cron: only what `agent run` would do.',
        ].join('\n'),
      )
      .option('--if-due', 'do nothing before the renewal is due')
      .action(async (options: StateOption & { ifDue?: boolean }) => await renew(cli, options)),
    [
      { say: 'Now', run: 'perennial agent renew', exit: 5 },
      {
        say: 'From a timer',
        run: 'perennial agent renew --if-due --state /var/lib/perennial-agent',
        exit: 5,
      },
    ],
  )
}

async function renew(cli: CliContext, options: StateOption & { ifDue?: boolean }): Promise<void> {
  const directory = statePath(cli, options)
  const agent = await openAgent({ directory, ...parts(cli) })
  const lock = await lockAgentDirectory(directory)
  try {
    const wish = options.ifDue === true ? 'keep' : 'renew'
    const result = await agent.settle(wish)
    if (result.step.kind === 'wait' && wish === 'keep') {
      cli.output.note(`Nothing to do until ${instant(result.step.until)}: ${result.detail}`)
    } else requireActivated(result, cli.clock.now())
    await showStatus(cli, { directory, agent })
  } finally {
    lock.release()
  }
}

function registerRun(agent: Command, cli: CliContext): void {
  addExamples(
    addStateOption(agent.command('run'))
      .summary('keep the certificate alive until SIGTERM')
      .description(
        [
          'Keep the certificate alive until SIGTERM or SIGINT: wait for its renewal, renew, try again while the server is away.',
          'With a broker it listens for triggers, hints and bundles. One JSON line per event on standard error.',
        ].join('\n'),
      )
      .option('--mqtt <url>', 'broker, in place of that of the enrolment')
      .option(
        '--staple',
        'keep ocsp.der in the state directory fresh: the signed OCSP answer for a TLS server',
      )
      .action(async (options: RunOptions) => await run(cli, options)),
    [
      { say: 'In the foreground', run: 'perennial agent run', exit: 5 },
      { say: 'For a device that is a TLS server too', run: 'perennial agent run --staple', exit: 5 },
      {
        say: 'With a broker that was not there at enrolment',
        run: 'perennial agent run --mqtt mqtts://broker.example.com:8883',
        exit: 5,
      },
    ],
  )
}

interface RunOptions extends StateOption {
  readonly staple?: boolean
  readonly mqtt?: string
}

async function run(cli: CliContext, options: RunOptions): Promise<void> {
  const directory = statePath(cli, options)
  const log = createLog('info')
  const { mqtt, staple: wantsStaple } = options
  const onEvent = ({ level, event, message }: AgentEvent): void => log[level]({ event }, message)
  const known = mqtt === undefined ? null : await readSetup(directory)
  const agent = await openAgent({
    directory,
    ...parts(cli),
    mqtt: mqttOf(mqtt === undefined ? {} : { mqtt }, known?.config.mqtt ?? null) ?? undefined,
    onEvent,
  })
  const lock = await lockAgentDirectory(directory)
  const stop = new AbortController()
  // a step that has begun is finished; a second signal ends the process, which costs nothing but the step
  const onSignal = (signal: NodeJS.Signals) => {
    log.info({ event: 'stop' }, `${signal}: stopping`)
    stop.abort()
    process.once(signal, () => process.exit(signal === 'SIGINT' ? 130 : 143))
  }
  process.once('SIGTERM', onSignal)
  process.once('SIGINT', onSignal)
  try {
    log.info({ event: 'start', state: directory }, `perennial agent ${cli.version} has started`)
    const told = { clock: cli.clock, random: cli.random, onEvent }
    const staple = wantsStaple === true ? await openAgentStaple(agent, told) : null
    await Promise.all([agent.run(stop.signal), staple?.run(stop.signal)])
  } finally {
    lock.release()
  }
}

function registerStatus(agent: Command, cli: CliContext): void {
  addExamples(
    addStateOption(agent.command('status'))
      .summary('which certificate is active, when it is renewed, what happened last')
      .description(
        [
          'Which certificate is active, when it is renewed and why then, and the last attempts. Exits with 1 when the device has no',
          'certificate, or one that has expired.',
        ].join('\n'),
      )
      .action(async (options: StateOption) => {
        const directory = statePath(cli, options)
        await showStatus(cli, { directory, agent: await openAgent({ directory, ...parts(cli) }) })
      }),
    [{ say: 'For people; --json for programs', run: 'perennial agent status', exit: 5 }],
  )
}

function registerInstall(agent: Command, cli: CliContext): void {
  addExamples(
    addStateOption(agent.command('install'))
      .summary('print or write a systemd unit for `agent run`')
      .description(
        'Print a systemd unit that runs the agent with few rights, or write it with --out. It changes nothing else.',
      )
      .option('--user <name>', 'account that runs it and owns the state directory', 'perennial-agent')
      .option('--out <file>', 'write it there, such as /etc/systemd/system/perennial-agent.service')
      .action(async (options: StateOption & { user: string; out?: string }) => await install(cli, options)),
    [
      { say: 'Look at it', run: 'perennial agent install --state /var/lib/perennial-agent' },
      { say: 'Write it', run: 'perennial agent install --user meter --out perennial-agent.service' },
    ],
  )
}

async function install(
  cli: CliContext,
  options: StateOption & { user: string; out?: string },
): Promise<void> {
  const { user, out } = options
  const script = realpathSync(process.argv[1] as string)
  const state = statePath(cli, options)
  const setup = await readSetup(state).catch(() => null)
  const keystore = setup?.config.keystore.kind ?? 'file'
  const unit = agentUnit({ command: [process.execPath, script], state, user, keystore })
  if (out === undefined) {
    cli.output.answer({ json: { unit }, text: () => unit.trimEnd() })
    return
  }
  await writeFile(out, unit, { mode: 0o644 })
  cli.output.answer({
    json: { file: resolve(out) },
    text: () => `Wrote ${out}. Next: systemctl daemon-reload, then systemctl enable --now of that unit.`,
  })
}
