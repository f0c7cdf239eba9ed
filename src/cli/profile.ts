/** `perennial profile`: the certificate profiles in force. */
import type { Command } from 'commander'
import { Refusal } from '../base/errors.ts'
import { loadConfig } from '../config.ts'
import { didYouMean } from '../base/did-you-mean.ts'
import { profileKeys } from '../config/print.ts'
import type { Profile } from '../engine/issuing/profile.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import type { Json } from './output.ts'
import { formatFields, type Column } from './table.ts'

export function registerProfile(program: Command, cli: CliContext): void {
  const profile = program.command('profile')
  addExamples(
    profile
      .command('list')
      .description('list the profiles: what a device of each gets, and when it may renew')
      .action(async () => await list(cli)),
    [{ say: 'All profiles', run: 'perennial profile list' }],
  )
  addExamples(
    profile
      .command('show')
      .description('show every value of a profile')
      .argument('<name>', 'name of the profile')
      .action(async (name: string) => await show(cli, name)),
    [{ say: 'One profile', run: 'perennial profile show industrial' }],
  )
}

const columns: readonly Column<Profile>[] = [
  { title: 'PROFILE', value: (profile) => profile.name },
  { title: 'VALIDITY', value: (profile) => keyOf(profile, 'validity'), align: 'right' },
  { title: 'RENEW BEFORE', value: (profile) => keyOf(profile, 'renewBefore'), align: 'right' },
  { title: 'APPROVAL', value: (profile) => profile.approval },
  { title: 'ISSUER', value: (profile) => profile.issuer },
  { title: 'DESCRIPTION', value: (profile) => profile.description, shrink: true },
]

async function list(cli: CliContext): Promise<void> {
  const profiles = await readProfiles(cli)
  await cli.output.list({
    columns,
    rows: profiles.values(),
    json: profileJson,
    empty: 'No profile is enabled.',
  })
}

async function show(cli: CliContext, name: string): Promise<void> {
  const profiles = await readProfiles(cli)
  const profile = profiles.get(name)
  if (!profile) {
    throw new Refusal('profile-unknown', `there is no profile ${name}${didYouMean(name, profiles.keys())}`)
  }
  cli.output.answer({
    json: profileJson(profile),
    text: () =>
      formatFields(
        [
          ['name', profile.name],
          ...profileKeys(profile).map(({ path, value }) => [path.at(-1) as string, shown(value)] as const),
          ['contentHash', profile.contentHash],
        ],
        cli.output.style,
      ).join('\n'),
  })
}

async function readProfiles(cli: CliContext): Promise<ReadonlyMap<string, Profile>> {
  const { configFile } = await cli.dataDirectory()
  return (await loadConfig({ file: configFile, env: cli.env })).profiles
}

/** The keys of perennial.yaml, with durations as there. */
function profileJson(profile: Profile): Json {
  const values = profileKeys(profile).map(
    ({ path, value }) => [path.at(-1) as string, value as Json] as const,
  )
  return { name: profile.name, ...Object.fromEntries(values), contentHash: profile.contentHash }
}

function keyOf(profile: Profile, key: string): string {
  return shown(profileKeys(profile).find(({ path }) => path[0] === key)?.value)
}

function shown(value: unknown): string {
  return Array.isArray(value) ? value.join(', ') || 'none' : String(value)
}
