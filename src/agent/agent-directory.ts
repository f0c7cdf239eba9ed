/** The state directory of an agent: 0700, one agent at a time, every file written whole or not at all. */
import { mkdir, open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Refusal } from '../base/errors.ts'
import { syncDirectory, writeFileAtomically } from '../base/file.ts'

/** Null when there is no such file: `readPrivateFile`, or what a simulation puts in its place. */
export type ReadFile = (path: string) => Promise<string | null>

/** Atomic and durable: `writeFileAtomically`, or what a test puts in its place. */
export type WriteFile = (path: string, data: string | Uint8Array, mode: number) => Promise<void>

export const writeFile: WriteFile = writeFileAtomically

/** Makes the directory when it is not there. @throws Refusal `data-directory-invalid` when others may look inside */
export async function makeAgentDirectory(path: string): Promise<void> {
  const made = await mkdir(path, { recursive: true, mode: 0o700 })
  if (made !== undefined) await syncDirectory(join(path, '..'))
  await checkAgentDirectory(path)
}

/** @throws Refusal `not-found`, or `data-directory-invalid` when it is no directory or others may look inside */
export async function checkAgentDirectory(path: string): Promise<void> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw error
  })
  if (found === null) {
    throw new Refusal('not-found', `${path} is not there: enrol this device with \`perennial agent enrol\``)
  }
  if (!found.isDirectory()) throw new Refusal('data-directory-invalid', `${path} is not a directory`)
  refuseShared(path, found.mode)
}

/**
 * Takes the lock that keeps a second agent out; the kernel gives it back however this process dies.
 * @throws Refusal `store-busy` when another process has it
 */
export async function lockAgentDirectory(path: string): Promise<{ release(): void }> {
  const file = join(path, 'lock')
  await (await open(file, 'a', 0o600)).close()
  const lock = new DatabaseSync(file)
  try {
    // of what Node brings, only SQLite has a lock that ends with its process
    lock.exec('begin exclusive')
  } catch (error) {
    lock.close()
    if (!(error instanceof Error) || !/lock|busy/i.test(error.message)) throw error
    throw new Refusal('store-busy', `another agent works in ${path}: let it finish, or stop it`)
  }
  return { release: () => lock.close() }
}

/** @returns null when there is no such file. @throws Refusal `data-directory-invalid` when others may read it */
export async function readPrivateFile(path: string): Promise<string | null> {
  let file
  try {
    file = await open(path, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
  try {
    // the permissions of the file that is read, not of the name
    refuseShared(path, (await file.stat()).mode)
    return await file.readFile('utf8')
  } finally {
    await file.close()
  }
}

function refuseShared(path: string, mode: number): void {
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  const wanted = (mode & 0o170000) === 0o040000 ? '700' : '600'
  throw new Refusal(
    'data-directory-invalid',
    `${path} is open to other users: look into who may have read it, then run chmod ${wanted} ${path}`,
  )
}
