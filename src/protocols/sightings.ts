/**
 * `POST /perennial/v1/sightings`: a proxy, a broker or a rule of a cloud says which certificates it has seen. One JSON
 * object in each line, or a JSON array of them; each has its own result, and one that is wrong costs no other.
 */
import { equalSecrets, sha256 } from '../base/bytes.ts'
import { nextTurn } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { printable } from '../base/text.ts'
import type { Engine } from '../engine/context.ts'
import { FingerprintIndex } from '../engine/inventory/fingerprints.ts'
import { importSightings, type SightingResult } from '../engine/renewals/sightings-import.ts'
import type { HttpRequest, HttpRequestHead, HttpResponse } from './http-message.ts'
import { textResponse } from './http-message.ts'

export interface Sightings {
  /** Asked before the body is read. @returns null when the bearer token is right */
  refuse(head: HttpRequestHead): HttpResponse | null
  handle(request: HttpRequest): Promise<HttpResponse>
}

/** Largest body: about ten thousand sightings. */
export const sightingsMaxBytes = 1_048_576
/** Sightings that are looked up together, before others get their turn. */
const chunk = 500
/** Problems that are spelled out; the rest is in the counts. */
const maxProblems = 100

/** @param token of `sightings.token`; null switches the page off */
export function createSightings(engine: Engine, token: string | null): Sightings {
  const wanted = token === null ? null : sha256(token)
  const fingerprints = new FingerprintIndex(engine)
  return {
    refuse(head) {
      if (wanted === null) {
        return textResponse(404, 'sightings are not taken here: an operator must set sightings.token')
      }
      if (hasToken(head, wanted)) return null
      return textResponse(401, 'send Authorization: Bearer with the token of sightings.token', {
        'WWW-Authenticate': 'Bearer realm="sightings"',
      })
    },
    async handle(request) {
      const lines = readLines(Buffer.from(request.body).toString('utf8'))
      const results: (SightingResult & { readonly line: number })[] = []
      for (let from = 0; from < lines.length; from += chunk) {
        const some = lines.slice(from, from + chunk)
        const ready = some.flatMap(({ value }) => (value === undefined ? [] : [value]))
        const imported = (await importSightings({ engine, fingerprints }, ready)).values()
        for (const { line, value } of some) {
          const result = value === undefined ? notJson : (imported.next().value as SightingResult)
          results.push({ line, ...result })
        }
        await nextTurn()
      }
      return summary(results)
    },
  }
}

const notJson: SightingResult = { result: 'refused', detail: 'this line is not JSON' }

/** RFC 6750 §2.1. Compared as hashes, so that neither content nor length shows in the time that it takes. */
function hasToken({ headers }: HttpRequestHead, wanted: Uint8Array): boolean {
  const given = /^Bearer +([\x21-\x7e]+) *$/i.exec(headers.authorization ?? '')?.[1]
  return given !== undefined && equalSecrets(sha256(given), wanted)
}

interface ReadLine {
  /** From 1; of an array, its elements are counted. */
  readonly line: number
  /** Undefined when the line is not JSON. */
  readonly value: unknown
}

/** @throws Refusal `malformed` for an array that is not JSON as a whole */
function readLines(text: string): ReadLine[] {
  if (text.trimStart().startsWith('[')) {
    const array = parseJson(text)
    if (!Array.isArray(array)) {
      throw new Refusal(
        'malformed',
        'the body begins like a JSON array and is none; or send a JSON object in each line',
      )
    }
    return array.map((value: unknown, i) => ({ line: i + 1, value }))
  }
  return text
    .split('\n')
    .flatMap((line, i) => (line.trim() === '' ? [] : [{ line: i + 1, value: parseJson(line) }]))
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** 200 also when some were refused: to send them again would not help. */
function summary(results: readonly (SightingResult & { readonly line: number })[]): HttpResponse {
  const count = (result: SightingResult['result']) => results.filter((each) => each.result === result).length
  const problems = results
    .flatMap((each) => ('detail' in each ? [each] : []))
    .slice(0, maxProblems)
    .map(({ line, result, detail }) => ({ line, result, detail: printable(detail) }))
  const body = {
    received: results.length,
    noted: count('noted'),
    unknown: count('unknown'),
    notLive: count('not-live'),
    refused: count('refused'),
    problems,
  }
  return {
    status: 200,
    headers: { 'Content-Type': 'application/json' },
    body: `${JSON.stringify(body)}\n`,
  }
}
