import { lineOf, type Source } from './source.ts'

export interface FunctionSize {
  readonly name: string
  readonly line: number
  /** Lines from its opening to its closing brace, without those inside the functions that it contains. */
  readonly ownLines: number
}

interface Block {
  readonly start: number
  readonly functionName: string | null
  innerLines: number
}

const notFunctions = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'await'])

/** The functions, methods and arrow functions with a body, found by matching braces. */
export function functionsOf(source: Source): FunctionSize[] {
  const functions: FunctionSize[] = []
  const open: Block[] = []
  for (const { index, 0: brace } of source.code.matchAll(/[{}]/g)) {
    if (brace === '{') {
      open.push({ start: index, functionName: functionNameAt(source.code, index), innerLines: 0 })
      continue
    }
    const block = open.pop()
    if (!block) continue
    const lines = lineOf(source, index) - lineOf(source, block.start) + 1
    const around = open.findLast(({ functionName }) => functionName !== null)
    if (block.functionName === null) continue
    functions.push({
      name: block.functionName,
      line: lineOf(source, block.start),
      ownLines: lines - block.innerLines,
    })
    if (around) around.innerLines += Math.max(0, lines - 1)
  }
  return functions
}

/** The name of the function whose body opens at `brace`, `(anonymous)`, or null when it is another kind of brace. */
function functionNameAt(code: string, brace: number): string | null {
  const before = code.slice(Math.max(0, brace - 4_000), brace).trimEnd()
  if (before.endsWith('=>')) {
    const parameters = skipReturnType(before.slice(0, -2).trimEnd())
    const opening = parameters === null ? -1 : matchingParenthesis(before, parameters)
    return (
      /(\w+)\s*(?::[^=]*)?=\s*(?:async\s*)?$/.exec(before.slice(0, Math.max(0, opening)))?.[1] ??
      '(anonymous)'
    )
  }
  const parameters = skipReturnType(before)
  if (parameters === null) return null
  const head = before.slice(0, matchingParenthesis(before, parameters)).trimEnd()
  const withoutGenerics = head.replace(/<[^<>()]*(?:<[^<>()]*>[^<>()]*)*>$/, '')
  const name = /([#\w$\]'"]+)$/.exec(withoutGenerics)?.[1]
  if (name === undefined || notFunctions.has(name)) return null
  return name === 'function' ? '(anonymous)' : name
}

/** Index of the `)` that ends the parameter list, when `before` ends with a parameter list and maybe a return type. */
function skipReturnType(before: string): number | null {
  if (before.endsWith(')')) return before.length - 1
  let depth = 0
  for (let at = before.length - 1; at >= 0; at--) {
    const character = before[at] as string
    if (character === '>' && before[at - 1] === '=') continue // the arrow of a function type
    if (')]}>'.includes(character)) depth++
    if ('([{<'.includes(character)) depth--
    if (depth < 0) return null
    if (depth > 0) continue
    if (character === ';' || (character === '=' && before[at + 1] !== '>')) return null
    if (character === ':') {
      const head = before.slice(0, at).trimEnd()
      return head.endsWith(')') ? head.length - 1 : null
    }
  }
  return null
}

function matchingParenthesis(code: string, closing: number): number {
  let depth = 0
  for (let at = closing; at >= 0; at--) {
    if (code[at] === ')') depth++
    if (code[at] === '(' && --depth === 0) return at
  }
  return 0
}
