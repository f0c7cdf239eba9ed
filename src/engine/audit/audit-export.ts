/**
 * `audit export`: the sealed log as files in the layout of C2SP tlog-tiles (`checkpoint`, `tile/<L>/<N>`,
 * `tile/entries/<N>`), which any static web server can serve and anyone with the key can check, without us. The files
 * are computed from the entries and not copied, so that what is exported is what the checkpoint signed.
 */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { equalBytes } from '../../base/bytes.ts'
import { writeFileAtomically } from '../../base/file.ts'
import { Refusal } from '../../base/errors.ts'
import { latestSignedCheckpoint } from './sealed-tree.ts'
import { storedLog, type VerifyContext } from './audit-verify.ts'
import { hashBytes, leafHash } from './merkle.ts'
import { bundlePath, encodeBundle, tilePath, tileWidth } from './tile.ts'
import { TileTree, type Tile } from './tile-tree.ts'

export interface ExportReport {
  readonly origin: string
  readonly size: number
  readonly rootHash: Uint8Array
  readonly files: number
}

/**
 * Writes the log as it is at its latest signed checkpoint. The checkpoint comes last: a directory without one is an
 * export that did not end.
 * @param directory created when it is not there; must be empty
 * @throws Refusal `already-exists` when it is not empty, `not-found` when nothing is sealed, `audit-invalid` when the
 *   entries are not those that were signed
 */
export async function exportAuditLog(
  engine: VerifyContext,
  directory: string,
  onProgress: (done: number, total: number) => void = () => {},
): Promise<ExportReport> {
  const { size, rootHash, note } = await latestSignedCheckpoint(engine.store.db)
  await mkdir(directory, { recursive: true })
  if ((await readdir(directory)).length > 0) {
    throw new Refusal(
      'already-exists',
      `${directory} is not empty; name a directory that is empty or not there`,
    )
  }
  const writer = new ExportWriter(directory)
  let expected = 0
  for await (const batch of storedLog(engine.store.db).entries(0)) {
    for (const { index, entry } of batch) {
      if (index >= size || index !== expected) break
      expected += 1
      await writer.append(entry)
    }
    onProgress(expected, size)
    if (expected >= size || batch.some(({ index }) => index >= expected)) break
  }
  const root = await writer.end()
  if (expected !== size || !equalBytes(root, rootHash)) {
    throw new Refusal(
      'audit-invalid',
      'the entries of the audit log are not those that were signed; run audit verify',
    )
  }
  await writeFileAtomically(join(directory, 'checkpoint'), note, 0o644)
  return { origin: engine.audit.signer.name, size, rootHash, files: writer.files + 1 }
}

class ExportWriter {
  files = 0
  readonly #directory: string
  readonly #tree = new TileTree()
  readonly #made = new Set<string>()
  #bundle: Uint8Array[] = []

  constructor(directory: string) {
    this.#directory = directory
  }

  async append(entry: Uint8Array): Promise<void> {
    this.#tree.append(leafHash(entry))
    this.#bundle.push(entry)
    if (this.#bundle.length < tileWidth) return
    await this.#writeBundle()
    await this.#writeTiles(this.#tree.takeFullTiles())
  }

  /** Writes what is not full. @returns the root hash of everything appended */
  async end(): Promise<Uint8Array> {
    if (this.#bundle.length > 0) await this.#writeBundle()
    await this.#writeTiles(this.#tree.takeTiles())
    return this.#tree.root()
  }

  async #writeBundle(): Promise<void> {
    const index = Math.floor((this.#tree.size - 1) / tileWidth)
    await this.#write(bundlePath(index, this.#bundle.length), encodeBundle(this.#bundle))
    this.#bundle = []
  }

  async #writeTiles(tiles: readonly Tile[]): Promise<void> {
    for (const tile of tiles)
      await this.#write(tilePath(tile, tile.hashes.byteLength / hashBytes), tile.hashes)
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const file = join(this.#directory, path)
    const parent = dirname(file)
    if (!this.#made.has(parent)) {
      await mkdir(parent, { recursive: true })
      this.#made.add(parent)
    }
    // wx: an export writes each file once
    await writeFile(file, bytes, { flag: 'wx', mode: 0o644 })
    this.files += 1
  }
}
