/** `perennial agent take`: a signed bundle that came another way than over the broker. */
import { Argument, type Command } from 'commander'
import { lockAgentDirectory } from '../agent/agent-directory.ts'
import { openAgent } from '../agent/open-agent.ts'
import { Refusal } from '../base/errors.ts'
import { addStateOption, parts, statePath, type StateOption } from './agent-context.ts'
import { showStatus } from './agent-status.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'

export function registerTake(agent: Command, cli: CliContext): void {
  addExamples(
    addStateOption(agent.command('take'))
      .summary('act on a signed bundle: a trigger, new trust anchors, or a certificate')
      .description(
        [
          'Verify a bundle that an update service, a person or a USB stick has brought (`perennial trigger bundle` makes it), and',
          'act on it. It must be signed by a key that was given at enrolment (--bundle-key), be for this device, and be newer',
          'than the last one of its kind.',
        ].join('\n'),
      )
      .addArgument(new Argument('<file>', 'the bundle; - is standard input'))
      .action(async (file: string, options: StateOption) => await take(cli, file, options)),
    [{ say: 'From a USB stick', run: 'perennial agent take /media/stick/press-7.json', exit: 5 }],
  )
}

async function take(cli: CliContext, file: string, options: StateOption): Promise<void> {
  const directory = statePath(cli, options)
  const agent = await openAgent({ directory, ...parts(cli) })
  const lock = await lockAgentDirectory(directory)
  try {
    const refused = await agent.receive({ kind: 'bundle', payload: await cli.readInput(file) })
    if (refused) throw refused
    const result = await agent.settle('keep')
    const { bundle } = (await agent.state()).inbox
    if (bundle !== null) throw new Refusal('server-unreachable', `${result.detail}; it is tried again later`)
    await showStatus(cli, { directory, agent })
  } finally {
    lock.release()
  }
}
