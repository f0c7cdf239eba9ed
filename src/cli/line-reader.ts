/** Lines of a file of any size, at flat memory: one line at a time, with its number. */
import { createReadStream, type Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { Refusal } from '../base/errors.ts'

export interface Line {
  /** From 1. */
  readonly number: number
  /** Without its end. Null when it cannot be read: see `problem`. */
  readonly text: string | null
  readonly problem?: string
  /** Offset after the line, for progress. */
  readonly bytesRead: number
}

export interface LineSource {
  readonly name: string
  /** Bytes, null for standard input. */
  readonly size: number | null
  lines(): AsyncIterable<Line>
}

/** A certificate in base64 and a device record fit many times over. */
export const maxLineBytes = 256 * 1024

/** @param file a path, or `-` for standard input */
export async function openLines(file: string): Promise<LineSource> {
  const { name, size, chunks } = await openBytes(file)
  return { name, size, lines: () => splitLines(chunks) }
}

export interface ByteSource {
  readonly name: string
  /** Bytes, null for standard input. */
  readonly size: number | null
  /** Some bytes from the beginning, which `chunks` gives too; empty for an empty file. */
  readonly beginning: Uint8Array
  readonly chunks: AsyncIterable<Uint8Array>
}

/** @throws Refusal `invalid-input` when it cannot be read */
export async function openBytes(file: string): Promise<ByteSource> {
  const size = file === '-' ? null : (await checkedStat(file)).size
  const stream: AsyncIterable<Uint8Array> = file === '-' ? process.stdin : createReadStream(file)
  const iterator = stream[Symbol.asyncIterator]()
  const first = await iterator.next()
  const beginning = first.done ? new Uint8Array() : first.value
  return {
    name: file === '-' ? 'standard input' : file,
    size,
    beginning,
    chunks: withFirst(beginning, iterator),
  }
}

export async function checkedStat(file: string): Promise<Stats> {
  return await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new Refusal('invalid-input', `cannot read ${file}: ${error.code}`, { cause: error })
  })
}

async function* withFirst(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  if (first.byteLength > 0) yield first
  for (let next = await rest.next(); !next.done; next = await rest.next()) yield next.value
}

export async function* splitLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let parts: Uint8Array[] = []
  let held = 0
  let number = 0
  let bytesRead = 0
  const take = (): Line => {
    number++
    const line = decodeLine(held > maxLineBytes ? null : joined(parts), { number, bytesRead, decoder })
    parts = []
    held = 0
    return line
  }
  const hold = (bytes: Uint8Array) => {
    held += bytes.byteLength
    // what is over the limit is counted but not kept
    if (held <= maxLineBytes) parts.push(bytes)
  }
  for await (const chunk of chunks) {
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      hold(chunk.subarray(start, end))
      bytesRead += end + 1 - start
      yield take()
      start = end + 1
    }
    bytesRead += chunk.byteLength - start
    if (start < chunk.byteLength) hold(chunk.subarray(start))
  }
  if (held > 0) yield take()
}

function decodeLine(
  bytes: Uint8Array | null,
  { number, bytesRead, decoder }: { number: number; bytesRead: number; decoder: TextDecoder },
): Line {
  if (bytes === null)
    return { number, bytesRead, text: null, problem: `longer than ${maxLineBytes / 1024} kB` }
  try {
    const text = decoder.decode(bytes)
    const withoutMark = number === 1 ? text.replace(/^\ufeff/, '') : text
    return { number, bytesRead, text: withoutMark.endsWith('\r') ? withoutMark.slice(0, -1) : withoutMark }
  } catch {
    const isUtf16 = number === 1 && (bytes[0] === 0xff || bytes[0] === 0xfe)
    return {
      number,
      bytesRead,
      text: null,
      problem: isUtf16 ? 'UTF-16: save the file as UTF-8' : 'not UTF-8',
    }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
}
