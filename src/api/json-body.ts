/** The body of a request as JSON: strict UTF-8, bounded in size and depth, whatever it means. */
import { Refusal } from '../base/errors.ts'

/** 1 MiB: larger ones are streams of records, which a route reads as they come. */
export const bodyLimit = 1_048_576
/** A value nested deeper is an attack on whoever walks it. */
export const depthLimit = 32

const decoder = new TextDecoder('utf-8', { fatal: true })

/** @throws Refusal `malformed` */
export function parseJsonBody(bytes: Uint8Array): unknown {
  if (bytes.byteLength === 0) throw new Refusal('malformed', 'the body is empty, it must be JSON')
  try {
    const text = decoder.decode(bytes)
    checkDepth(text)
    return JSON.parse(text)
  } catch (cause) {
    if (cause instanceof Refusal) throw cause
    throw new Refusal('malformed', 'the body is not JSON in UTF-8', { cause })
  }
}

/** Before it is parsed: brackets outside of strings, which is all that nests. */
function checkDepth(text: string): void {
  let depth = 0
  let isString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (isString) {
      if (character === '\\') index++
      else if (character === '"') isString = false
    } else if (character === '"') isString = true
    else if (character === '{' || character === '[') {
      if (++depth > depthLimit) {
        throw new Refusal('malformed', `the body is nested more than ${depthLimit} deep`)
      }
    } else if (character === '}' || character === ']') depth--
  }
}
