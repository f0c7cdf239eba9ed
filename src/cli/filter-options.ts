/** `--filter` and `--sort` of lists, and the older options as terms of the same language. */
import type { Command } from 'commander'
import { operatorsOf, type FilterResource } from '../filter/field.ts'
import { padEnd } from './text-width.ts'

export interface FilterOptions {
  readonly filter?: string
  readonly sort?: string
}

/** @param sorts orders that the list has */
export function addFilterOptions(
  command: Command,
  resource: FilterResource,
  sorts: readonly string[],
): Command {
  return command
    .option('--filter <terms>', 'those for which all of the terms hold, as in `site=kl expires<30d`')
    .option('--sort <order>', `${sorts.join(' or ')}; with - before it, from the other end`)
    .addHelpText('after', fieldHelp(resource))
}

function fieldHelp({ fields, hasTags, freeText }: FilterResource): string {
  const rows: [string, string][] = []
  for (const { name, type, about } of fields) rows.push([`${name} ${operatorsOf(type).join(' ')}`, about])
  if (hasTags) rows.push(['tag.NAME = !=', 'a tag of the device'])
  if (freeText !== null) rows.push(['TEXT', freeText])
  const width = Math.max(...rows.map(([left]) => left.length))
  return [
    '',
    'Terms of --filter:',
    ...rows.map(([left, about]) => `  ${padEnd(left, width)}  ${about}`),
  ].join('\n')
}
