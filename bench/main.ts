/**
 * `npm run bench -- [issue|est|inventory|audit|campaign|renewals|trigger|reconnect|crl|revoke|alerts|ocsp|api|sim] [options]`: measures and prints a table with a limit next to each number.
 * Without a name all of them run, one after the other. Each has a process of its own, so that memory and compiled code of
 * one do not count for another.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'

const benches = [
  'issue',
  'est',
  'inventory',
  'audit',
  'campaign',
  'renewals',
  'trigger',
  'reconnect',
  'crl',
  'revoke',
  'alerts',
  'sim',
  'ocsp',
  'api',
]

async function main([name, ...options]: string[]): Promise<void> {
  if (name !== undefined && !benches.includes(name)) {
    process.stderr.write(`there is no benchmark ${name}: choose one of ${benches.join(', ')}\n`)
    process.exitCode = 2
    return
  }
  for (const each of name === undefined ? benches : [name]) {
    if ((await run(each, options)) !== 0) process.exitCode = 1
  }
}

function run(name: string, options: readonly string[]): Promise<number | null> {
  const file = join(import.meta.dirname, `${name}.ts`)
  const child = spawn(process.execPath, [file, ...options], { stdio: 'inherit' })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
}

await main(process.argv.slice(2))
