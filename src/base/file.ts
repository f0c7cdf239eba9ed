/** Files that are there as a whole or not at all, also after the power fails. */
import { open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes beside the target, flushes, renames over it and flushes the directory. Two writers of one path at one time
 * must be kept apart by the caller: they would share the name of the file beside it.
 * @param mode permission bits of the new file, such as 0o600
 */
export async function writeFileAtomically(
  path: string,
  data: string | Uint8Array,
  mode: number,
): Promise<void> {
  const beside = `${path}.new`
  await rm(beside, { force: true })
  // wx: never follows a link that someone put there; the mode counts from the first byte
  const file = await open(beside, 'wx', mode)
  try {
    await file.writeFile(data)
    await file.sync()
  } catch (error) {
    await rm(beside, { force: true })
    throw error
  } finally {
    await file.close()
  }
  await rename(beside, path)
  await syncDirectory(dirname(path))
}

/** Makes names in the directory durable. Windows has no such call and needs none. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
