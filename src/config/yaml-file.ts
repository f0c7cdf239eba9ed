/** A YAML file as plain values, with the line of each key for error messages. */
import type { Document, LineCounter } from 'yaml'

export type KeyPath = readonly string[]

export interface YamlFile {
  /** Plain JavaScript values; undefined when the file is empty or does not parse. */
  readonly value: unknown
  /** Line number (from 1) of the key at the path, or of its nearest ancestor. */
  lineOf(path: KeyPath): number
  /** Syntax errors, duplicate keys among them. */
  readonly errors: readonly { readonly line: number; readonly message: string }[]
}

/** Larger than any configuration; a limit against feeding a database dump by mistake. */
const maxBytes = 1_048_576

export async function parseYaml(text: string): Promise<YamlFile> {
  if (text.length > maxBytes) {
    return failed(1, `the file has ${text.length} characters; a configuration has at most ${maxBytes}`)
  }
  const yaml = await import('yaml')
  const lines = new yaml.LineCounter()
  const document = yaml.parseDocument(text, { lineCounter: lines, prettyErrors: false, schema: 'core' })
  const errors = document.errors.map((error) => ({
    line: lines.linePos(error.pos[0]).line,
    message: error.message.split('\n')[0] ?? 'not YAML',
  }))
  if (errors.length > 0) return { value: undefined, errors, lineOf: () => 1 }
  try {
    const value: unknown = document.toJS({ maxAliasCount: 50 })
    return { value: value ?? undefined, errors: [], lineOf: (path) => lineOf(document, lines, path) }
  } catch (error) {
    return failed(1, error instanceof Error ? error.message : 'not YAML')
  }
}

function failed(line: number, message: string): YamlFile {
  return { value: undefined, errors: [{ line, message }], lineOf: () => line }
}

/** Duck-typed on `items`, `key` and `range`, because the classes of `yaml` are loaded lazily. */
function lineOf(document: Document, lines: LineCounter, path: KeyPath): number {
  let node: unknown = document.contents
  let line = 1
  for (const key of path) {
    const pair = itemsOf(node).find((item) => keyOf(item) === key)
    if (!pair) break
    const start = startOf(pair)
    if (start !== null) line = lines.linePos(start).line
    node = (pair as { value?: unknown }).value
  }
  return line
}

function itemsOf(node: unknown): readonly unknown[] {
  return typeof node === 'object' && node !== null && 'items' in node && Array.isArray(node.items)
    ? node.items
    : []
}

function keyOf(pair: unknown): string | null {
  const key = (pair as { key?: { value?: unknown } | null }).key
  return key && 'value' in key ? String(key.value) : null
}

function startOf(pair: unknown): number | null {
  const range = (pair as { key?: { range?: readonly number[] | null } | null }).key?.range
  return range?.[0] ?? null
}
