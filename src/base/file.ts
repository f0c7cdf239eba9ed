/** Files that are there as a whole or not at all, also after the power fails. */
import { link, open, rename, rm } from 'node:fs/promises'
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
  await writeDurably(beside, data, mode)
  await rename(beside, path)
  await syncDirectory(dirname(path))
}

/**
 * The same for a file that must not be there yet.
 * @param suffix makes the name of the file beside it this writer's own
 * @returns false when the path is taken; what is there is untouched
 */
export async function createFileAtomically(
  path: string,
  data: string | Uint8Array,
  mode: number,
  suffix: string,
): Promise<boolean> {
  const beside = `${path}.${suffix}.new`
  await writeDurably(beside, data, mode)
  try {
    // link, unlike rename, fails when the name is taken
    await link(beside, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await rm(beside, { force: true })
  }
  await syncDirectory(dirname(path))
  return true
}

async function writeDurably(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  // wx: never follows a link that someone put there; the mode counts from the first byte
  const file = await open(path, 'wx', mode)
  try {
    await file.writeFile(data)
    await file.sync()
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await file.close()
  }
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
