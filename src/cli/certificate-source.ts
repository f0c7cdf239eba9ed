/** Certificates to import, whatever they lie in: CSV, JSON Lines, PEM bundles, DER files, directories. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fromBase64 } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import type { ForeignCertificate } from '../engine/inventory/import.ts'
import { decodePem } from '../pki/pem.ts'
import { readCertificates } from './credential-file.ts'
import type { ImportItem, ImportSource } from './import.ts'
import { checkedStat, openBytes, splitLines, type ByteSource, type Line } from './line-reader.ts'
import { keyOf, readRecords, type RecordShape } from './records.ts'

const shape: RecordShape = {
  keys: ['certificate', 'deviceId'],
  aliases: {
    cert: 'certificate',
    pem: 'certificate',
    der: 'certificate',
    device: 'deviceId',
    id: 'deviceId',
  },
}

/** Every file of the arguments; a directory gives the files in it, in the order of their names, not those below. */
export async function* certificateSources(
  files: readonly string[],
): AsyncGenerator<ImportSource<ForeignCertificate>> {
  for (const file of files) {
    if (file === '-' || !(await checkedStat(file)).isDirectory()) {
      yield await certificateSource(file)
      continue
    }
    const entries = await readdir(file, { withFileTypes: true })
    const names = entries.filter((entry) => entry.isFile()).map(({ name }) => name)
    for (const name of names.sort()) yield await certificateSource(join(file, name))
  }
}

type Kind = 'records' | 'pem' | 'der'

async function certificateSource(file: string): Promise<ImportSource<ForeignCertificate>> {
  const bytes = await openBytes(file)
  const { name, size, chunks } = bytes
  const readers: Readonly<Record<Kind, () => AsyncIterable<ImportItem<ForeignCertificate>>>> = {
    records: () => recordItems({ name, size, lines: () => splitLines(chunks) }),
    pem: () => pemItems(splitLines(chunks)),
    der: () => wholeItems(bytes),
  }
  return { name, size, items: readers[kindOf(bytes.beginning)] }
}

/** A CSV may hold PEM in its cells, so a header that we know is looked for first. */
function kindOf(beginning: Uint8Array): Kind {
  const text = Buffer.from(beginning).toString('latin1')
  const firstLine = (text.split('\n')[0] ?? '').replace(/^\u00ef\u00bb\u00bf/, '')
  if (firstLine.trimStart().startsWith('{')) return 'records'
  if (
    firstLine.split(/[,;\t]/).some((name) => keyOf(name.trim().replaceAll('"', ''), shape) === 'certificate')
  )
    return 'records'
  return text.includes('-----BEGIN') ? 'pem' : 'der'
}

async function* recordItems(
  source: Parameters<typeof readRecords>[0],
): AsyncGenerator<ImportItem<ForeignCertificate>> {
  for await (const row of readRecords(source, shape, null)) {
    if ('problem' in row) {
      yield row
      continue
    }
    const { number, bytesRead, record } = row
    const item = readRecord(record)
    yield typeof item === 'string' ? { number, bytesRead, problem: item } : { number, bytesRead, item }
  }
}

/** What the record says, or what is wrong with it. */
function readRecord({
  certificate,
  deviceId = null,
}: Readonly<Record<string, unknown>>): ForeignCertificate | string {
  if (typeof certificate !== 'string' || certificate.trim() === '') return 'there is no certificate'
  if (deviceId !== null && typeof deviceId !== 'string') return 'deviceId must be a text'
  const der = decodeCell(certificate)
  return der === null ? 'the certificate is neither PEM nor base64 of DER' : { certificate: der, deviceId }
}

function decodeCell(text: string): Uint8Array | null {
  if (!text.includes('-----BEGIN')) return fromBase64(text)
  try {
    // some exports write the line ends of PEM as backslash and n
    return decodePem(text.replaceAll('\\n', '\n')).find(({ label }) => label === 'CERTIFICATE')?.der ?? null
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

/** Block by block, so that a bundle may be larger than memory. Numbers are those of the lines with BEGIN. */
async function* pemItems(lines: AsyncIterable<Line>): AsyncGenerator<ImportItem<ForeignCertificate>> {
  let block: { number: number; lines: string[] } | null = null
  let last: Line | null = null
  for await (const line of lines) {
    last = line
    const text = line.text ?? ''
    if (text.startsWith('-----BEGIN')) {
      if (block)
        yield { number: block.number, bytesRead: line.bytesRead, problem: 'a PEM block that does not end' }
      block = { number: line.number, lines: [] }
    }
    block?.lines.push(text)
    if (!block || !text.startsWith('-----END')) continue
    const item = blockItem(block.lines.join('\n'))
    if (typeof item === 'string') yield { number: block.number, bytesRead: line.bytesRead, problem: item }
    else if (item) yield { number: block.number, bytesRead: line.bytesRead, item }
    block = null
  }
  if (block && last)
    yield { number: block.number, bytesRead: last.bytesRead, problem: 'a PEM block that does not end' }
}

/** Null for a block that is no certificate: keys often stand in the same file. */
function blockItem(text: string): ForeignCertificate | string | null {
  try {
    const [block] = decodePem(`${text}\n`)
    return block?.label === 'CERTIFICATE' ? { certificate: block.der, deviceId: null } : null
  } catch (error) {
    if (error instanceof Refusal) return error.message
    throw error
  }
}

/** DER, base64 without armour, or a CMS bundle: one value, which must be in memory to be read. */
async function* wholeItems({ name, chunks }: ByteSource): AsyncGenerator<ImportItem<ForeignCertificate>> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  const bytes = Buffer.concat(parts)
  const bytesRead = bytes.byteLength
  try {
    for (const [i, certificate] of readCertificates(bytes, name).entries()) {
      yield { number: i + 1, bytesRead, item: { certificate, deviceId: null } }
    }
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    yield { number: 1, bytesRead, problem: error.message }
  }
}
