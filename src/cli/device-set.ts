/** `perennial device set`. */
import { Argument, Option, type Command } from 'commander'
import type { DeviceId } from '../base/id.ts'
import { editDevice, type DeviceEdit } from '../engine/inventory/device-change.ts'
import { commandLineActor } from './account.ts'
import type { CliContext } from './context.ts'
import { deviceJson } from './device-list.ts'
import { addExamples } from './examples.ts'
import { collect, deviceIdArgument, tagOption } from './options.ts'

export function registerSet(device: Command, cli: CliContext): void {
  addExamples(
    device
      .command('set')
      .description('change the record of a device; an empty text removes a value')
      .addArgument(new Argument('<id>', 'device id').argParser(deviceIdArgument))
      .option('--profile <name>', 'certificate profile (`perennial profile list`)')
      .option('--cohort <name>', 'group that is renewed together')
      .option('--batch <name>', 'manufacturing run')
      .option('--site <name>', 'where it stands')
      .option('--connectivity <name>', 'connectivity profile')
      .option('--hardware <text>', 'hardware model')
      .option('--firmware <text>', 'firmware version')
      .addOption(
        new Option('--tag <name=value>', 'add or replace a tag; may be repeated').argParser(
          collect(tagOption),
        ),
      )
      .addOption(
        new Option('--remove-tag <name>', 'remove a tag; may be repeated').argParser(collect((text) => text)),
      )
      .option('--dry-run', 'say what would change; change nothing')
      .action(async (id: DeviceId, options: SetOptions) => await set(cli, id, options)),
    [
      {
        say: 'It was moved, and its modem has a number now',
        run: 'perennial device set SN-0001 --site vienna --tag msisdn=+43660123456',
      },
      { say: 'Look before', run: 'perennial device set SN-0001 --connectivity weekly --dry-run' },
    ],
  )
}

type SetOptions = Omit<DeviceEdit, 'tags' | 'removeTags'> & {
  readonly tag?: readonly (readonly [string, string])[]
  readonly removeTag?: readonly string[]
  readonly dryRun?: boolean
}

async function set(cli: CliContext, id: DeviceId, options: SetOptions): Promise<void> {
  const { tag = [], removeTag = [], dryRun = false, ...fields } = options
  const { engine } = await cli.app()
  const edit = { ...fields, tags: Object.fromEntries(tag), removeTags: removeTag }
  const { after, changed } = await editDevice(engine, { id, edit, actor: commandLineActor(), dryRun })
  const { lastSeenAt: _lastSeenAt, ...json } = deviceJson({ ...after, lastSeenAt: null })
  cli.output.answer({
    json: { ...json, changed },
    text: () => {
      if (changed.length === 0) return `${id} is so already; nothing was changed.`
      return `${dryRun ? 'Would change' : 'Changed'} ${changed.join(', ')} of ${id}.`
    },
  })
}
