/** How a person types our command, for the lines that we print to be copied. */
import { existsSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

/**
 * `perennial` where it is installed. In a checkout, its launcher: `./perennial`, or the path to it from elsewhere.
 * @param script the script that runs, `process.argv[1]`
 */
export function commandName(
  script: string | undefined = process.argv[1],
  cwd: string = process.cwd(),
): string {
  if (script === undefined) return 'perennial'
  const path = resolve(cwd, script)
  const root = dirname(dirname(path))
  const isCheckout = path.endsWith(join('src', 'main.ts')) && !path.split(sep).includes('node_modules')
  const launcher = join(root, 'perennial')
  if (!isCheckout || !existsSync(launcher)) return 'perennial'
  const fromHere = relative(cwd, launcher)
  return fromHere.startsWith('..') ? launcher : `.${sep}${fromHere}`
}
