/** `perennial broker`: what other brokers need to know, and what their logs tell. */
import { Option, type Command } from 'commander'
import { devicePage } from '../engine/inventory/inventory.ts'
import { MosquittoContacts } from '../engine/renewals/mosquitto-contacts.ts'
import { flushSightings } from '../engine/renewals/sighting.ts'
import {
  dynsecAdministrator,
  dynsecDevice,
  dynsecPlatform,
  mosquittoAcl,
  mosquittoConf,
} from '../protocols/mqtt-acl.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { plural } from './import.ts'
import { openLines } from './line-reader.ts'
import { everyPage } from './options.ts'

interface AclOptions {
  readonly format: 'mosquitto' | 'dynsec'
  readonly user: string
  readonly conf?: boolean
}

export function registerBroker(program: Command, cli: CliContext): void {
  const broker = program.command('broker')
  addExamples(
    broker
      .command('acl')
      .summary('access rules for your own broker')
      .description(
        [
          'Print the access rules for an MQTT broker of your own, so that each device reaches its own topics and nothing else.',
          '',
          'mosquitto: an acl_file. Its patterns stand for every device, so it does not change with the fleet.',
          'dynsec: commands of the dynamic security plugin, one JSON object per line, with a role for each device; publish',
          'each line to $CONTROL/dynamic-security/v1.',
          '',
          'The broker must take the common name of the client certificate as the user name (docs/mqtt.md).',
        ].join('\n'),
      )
      .addOption(
        new Option('--format <name>', 'for which plugin')
          .choices(['mosquitto', 'dynsec'])
          .default('mosquitto'),
      )
      .option('--user <name>', 'common name of the certificate with which the platform connects', 'perennial')
      .option('--conf', 'the part of mosquitto.conf that goes with it instead')
      .action(async (options: AclOptions) => await acl(cli, options)),
    [
      { say: 'For acl_file of Mosquitto', run: 'perennial broker acl > acl' },
      { say: 'The configuration that goes with it', run: 'perennial broker acl --conf' },
      { say: 'For the dynamic security plugin', run: 'perennial broker acl --format dynsec --user platform' },
    ],
  )
  addExamples(
    broker
      .command('follow')
      .summary('take a log of Mosquitto as signs of life')
      .description(
        [
          'Read a log of Mosquitto, with connection messages: each connection is a sign of life of the device whose id is its',
          'user name. The log does not say which certificate was used, so it confirms none. `mqtt.mosquittoLog` does the same',
          'while the platform runs.',
        ].join('\n'),
      )
      .argument('<file>', 'the log; - is standard input')
      .action(async (file: string) => await follow(cli, file)),
    [
      {
        say: 'What was logged until now',
        run: 'perennial broker follow /var/log/mosquitto/mosquitto.log',
        notRun: 'needs the log of a broker',
      },
    ],
  )
}

async function acl(cli: CliContext, { format, user, conf }: AclOptions): Promise<void> {
  if (conf === true) {
    cli.output.raw(mosquittoConf())
    return
  }
  const { engine, config } = await cli.app()
  const { topicPrefix: prefix } = config.mqtt
  if (format === 'mosquitto') {
    cli.output.raw(mosquittoAcl({ prefix, platformUser: user }))
    return
  }
  const print = (commands: readonly object[]) => cli.output.raw(`${JSON.stringify({ commands })}\n`)
  print(dynsecPlatform({ prefix, platformUser: user }))
  if (config.connectors.mosquitto.dynsec) print(dynsecAdministrator(user))
  for await (const { id, state } of everyPage((page) => devicePage(engine, page), null)) {
    if (state !== 'decommissioned') print(dynsecDevice(prefix, id))
  }
}

async function follow(cli: CliContext, file: string): Promise<void> {
  const { engine } = await cli.app()
  const contacts = new MosquittoContacts(engine)
  const source = await openLines(file)
  for await (const { text } of source.lines()) {
    if (text !== null) await contacts.take(text)
    if (engine.sightings.size > 5_000) await flushSightings(engine, cli.clock.now())
  }
  await flushSightings(engine, cli.clock.now())
  const { taken, unknown } = contacts
  cli.output.answer({
    json: { contacts: taken, unknown },
    text: () =>
      `${plural(taken, 'contact')} of devices noted${unknown > 0 ? `, ${unknown} of names that are no device of ours` : ''}.`,
  })
}
