/**
 * `audit verify --export`: an exported log checked with nothing but its directory and the verifier key, no database and
 * no installation. A directory may be damaged or hostile: whatever is in it, the answer is a report.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Refusal } from '../../base/errors.ts'
import { Findings, type Finding } from './audit-findings.ts'
import { openCheckpoint, type Checkpoint } from './checkpoint.ts'
import { checkLog, type Anchor, type LogEntry, type LogSource } from './log-check.ts'
import type { NoteVerifier } from './signed-note.ts'
import { bundlePath, decodeBundle, tilePath, tileWidth, widthAt } from './tile.ts'

export interface ExportCheck {
  readonly isValid: boolean
  readonly findings: readonly Finding[]
  readonly origin: string
  /** 0 when the checkpoint itself cannot be trusted. */
  readonly size: number
  readonly rootHash: Uint8Array | null
}

export interface ExportCheckOptions {
  /** A signed checkpoint that the auditor kept from an earlier time: the export must continue it. */
  readonly earlier?: string | null
  readonly onProgress?: (done: number, total: number) => void
}

/**
 * @returns what was found; a log that does not verify is an answer, not an exception
 * @throws Refusal `not-found` when the directory has no checkpoint; `malformed` or `bad-signature` for an earlier
 *   checkpoint that the key did not sign
 */
export async function verifyExport(
  directory: string,
  verifier: NoteVerifier,
  { earlier = null, onProgress }: ExportCheckOptions = {},
): Promise<ExportCheck> {
  const findings = new Findings()
  const kept = earlier === null ? null : openCheckpoint(earlier, verifier)
  const checkpoint = await readCheckpoint(directory, verifier, findings)
  if (checkpoint) {
    const { size } = checkpoint
    if (kept && kept.size > size) {
      findings.add('rolled-back', size, `${kept.size} entries were signed before, the export ends at ${size}`)
    }
    const source = new ExportedLog(directory, size)
    const anchors = kept && kept.size <= size ? [kept, checkpoint] : [checkpoint]
    const fault = await checkLog({
      source,
      size,
      anchors: inOrder(anchors),
      onProgress: (done) => onProgress?.(done, size),
    })
    if (fault) findings.add(fault.kind, fault.index, fault.detail)
    for (const { index, detail } of await source.surplus()) findings.add('inserted', index, detail)
  }
  return {
    isValid: findings.list.length === 0,
    findings: findings.list,
    origin: verifier.name,
    size: checkpoint?.size ?? 0,
    rootHash: checkpoint?.rootHash ?? null,
  }
}

async function readCheckpoint(
  directory: string,
  verifier: NoteVerifier,
  findings: Findings,
): Promise<Checkpoint | null> {
  const note = await readIfThere(join(directory, 'checkpoint'))
  if (!note) {
    throw new Refusal(
      'not-found',
      `${directory} has no checkpoint: it is no exported log, or the export did not end`,
    )
  }
  try {
    return openCheckpoint(Buffer.from(note).toString('utf8'), verifier)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    findings.add('checkpoint-invalid', null, `the checkpoint: ${error.message}`)
    return null
  }
}

interface Surplus {
  readonly index: number
  readonly detail: string
}

class ExportedLog implements LogSource {
  readonly #directory: string
  readonly #size: number
  readonly #surplus = new Map<number, Surplus>()

  constructor(directory: string, size: number) {
    this.#directory = directory
    this.#size = size
  }

  async *entries(from: number): AsyncGenerator<readonly LogEntry[]> {
    for (let bundle = Math.floor(from / tileWidth); bundle * tileWidth < this.#size; bundle += 1) {
      const entries = await this.#readBundle(bundle)
      const wanted = entries.filter(({ index }) => index >= from)
      if (wanted.length > 0) yield wanted
    }
  }

  async tile({ level, index }: { readonly level: number; readonly index: number }, width: number) {
    return await readIfThere(join(this.#directory, tilePath({ level, index }, width)))
  }

  /** What is there beyond what the checkpoint signed: behind the last entry of a bundle, and as bundles after the last. */
  async surplus(): Promise<Surplus[]> {
    const after = Math.ceil(this.#size / tileWidth)
    for (const name of [bundlePath(after, tileWidth), `${bundlePath(after, tileWidth)}.p`]) {
      if (!(await isThere(join(this.#directory, name)))) continue
      const detail = `${name} is beyond the log, which ends at ${this.#size}`
      this.#surplus.set(after, { index: after * tileWidth, detail })
    }
    return [...this.#surplus.values()]
  }

  async #readBundle(bundle: number): Promise<LogEntry[]> {
    const width = widthAt({ level: 0, index: bundle }, this.#size)
    const path = bundlePath(bundle, width)
    const bytes = await readIfThere(join(this.#directory, path))
    if (!bytes) return []
    const { entries, isWhole } = decodeBundle(bytes)
    const first = bundle * tileWidth
    if (entries.length > width || (entries.length === width && !isWhole)) {
      const index = first + width
      this.#surplus.set(bundle, { index, detail: `${path} goes on after its ${width} entries` })
    }
    return entries.slice(0, width).map((entry, i) => ({ index: first + i, entry }))
  }
}

async function* inOrder(anchors: readonly Anchor[]): AsyncGenerator<Anchor> {
  yield* anchors
}

async function readIfThere(path: string): Promise<Uint8Array | null> {
  try {
    return await readFile(path)
  } catch (error) {
    if (isMissing(error)) return null
    throw error
  }
}

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')
}
