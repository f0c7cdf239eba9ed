/** Values of unknown shape, key by key, each refusal with the path of its key. For campaign-read.ts. */
import type { Instant } from '../../base/clock.ts'
import { parseDuration } from '../../base/duration.ts'
import { Refusal } from '../../base/errors.ts'

export function invalid(reason: string): Refusal {
  return new Refusal('campaign-invalid', reason)
}

/** An entry of a list. */
export function child(value: unknown, path: string, keys: readonly string[]): Given {
  return new Given(value, path, `${path}.`, keys)
}

export class Given {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #prefix: string

  /**
   * @param name   of the whole, for messages
   * @param prefix before the names of its keys
   * @param keys   that may be there
   * @throws Refusal `campaign-invalid` when it is no object, or has another key
   */
  constructor(value: unknown, name: string, prefix: string, keys: readonly string[]) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw invalid(`${name} must be an object of keys, not ${brief(value)}`)
    const unknown = Object.keys(value).find((key) => !keys.includes(key))
    if (unknown !== undefined) throw invalid(`unknown key ${prefix}${unknown}; there are ${keys.join(', ')}`)
    this.#values = value as Readonly<Record<string, unknown>>
    this.#prefix = prefix
  }

  get isEmpty(): boolean {
    return Object.keys(this.#values).length === 0
  }

  has(key: string): boolean {
    return this.#value(key) !== undefined
  }

  path(key: string): string {
    return this.#prefix + key
  }

  /** A part with keys of its own; absent counts as empty. */
  object(key: string, keys: readonly string[]): Given {
    return child(this.#value(key) ?? {}, this.path(key), keys)
  }

  /** `off` (or false, which is what YAML 1.1 made of it) for a brake that is switched off. */
  brake(key: string, keys: readonly string[]): Given | 'off' | null {
    const value = this.#value(key)
    if (value === undefined) return null
    if (value === 'off' || value === false) return 'off'
    return child(value, this.path(key), keys)
  }

  map(key: string): Readonly<Record<string, unknown>> {
    const value = this.#value(key) ?? {}
    if (typeof value !== 'object' || Array.isArray(value))
      throw invalid(`${this.path(key)} must be an object, not ${brief(value)}`)
    return value as Readonly<Record<string, unknown>>
  }

  list(key: string): readonly unknown[] {
    const value = this.#value(key) ?? []
    if (!Array.isArray(value)) throw invalid(`${this.path(key)} must be a list, not ${brief(value)}`)
    return value
  }

  required<Value>(key: string, value: Value | null): Value {
    if (value === null) throw invalid(`${this.path(key)} is missing`)
    return value
  }

  text(key: string, maxLength: number): string | null {
    const value = this.#value(key)
    if (value === undefined) return null
    if (typeof value !== 'string' || value === '' || value.length > maxLength)
      throw invalid(`${this.path(key)} must be a text of 1 to ${maxLength} characters, not ${brief(value)}`)
    return value
  }

  flag(key: string): boolean | null {
    const value = this.#value(key)
    if (value === undefined) return null
    if (typeof value !== 'boolean')
      throw invalid(`${this.path(key)} must be true or false, not ${brief(value)}`)
    return value
  }

  choice<const Value extends string>(key: string, allowed: readonly Value[]): Value | null {
    const value = this.#value(key)
    if (value === undefined) return null
    const found = allowed.find((each) => each === value)
    if (found === undefined)
      throw invalid(`${this.path(key)} must be one of ${allowed.join(', ')}, not ${brief(value)}`)
    return found
  }

  integer(key: string, minimum: number, maximum: number): number | null {
    const value = this.#value(key)
    if (value === undefined) return null
    if (!Number.isSafeInteger(value) || (value as number) < minimum || (value as number) > maximum) {
      throw invalid(
        `${this.path(key)} must be a whole number from ${minimum} to ${maximum}, not ${brief(value)}`,
      )
    }
    return value as number
  }

  number(key: string, minimum: number, maximum: number): number | null {
    const value = this.#value(key)
    if (value === undefined) return null
    if (typeof value !== 'number' || !(value >= minimum && value <= maximum))
      throw invalid(`${this.path(key)} must be a number from ${minimum} to ${maximum}, not ${brief(value)}`)
    return value
  }

  /** `7d` → ms. */
  duration(key: string, shortestMs: number, longestMs: number): number | null {
    const value = this.#value(key)
    if (value === undefined) return null
    const ms = value === 0 ? 0 : typeof value === 'string' ? parseDuration(value) : null
    if (ms === null || ms < shortestMs || ms > longestMs) {
      throw invalid(
        `${this.path(key)} must be a duration like 30m, 12h or 7d, from ${shortestMs / 60_000} minutes to ${Math.floor(longestMs / 86_400_000)} days, not ${brief(value)}`,
      )
    }
    return ms
  }

  /** An instant, or a duration from now on (`direction` 1) or ago (-1). */
  instant(key: string, now: Instant, direction: 1 | -1): Instant | null {
    const value = this.#value(key)
    const ms = typeof value === 'string' ? parseDuration(value) : null
    return ms === null ? this.fixedInstant(key, ', or a duration like 90d') : now + direction * ms
  }

  /** `2027-06-01`, or a full ISO 8601 instant with offset. */
  fixedInstant(key: string, alternative = ''): Instant | null {
    const value = this.#value(key)
    if (value === undefined) return null
    const isWritten =
      typeof value === 'string' &&
      /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,3})?)?(Z|[+-]\d{2}:\d{2}))?$/.test(value)
    const at = isWritten ? Date.parse(value) : NaN
    if (Number.isNaN(at)) {
      throw invalid(
        `${this.path(key)} must be a day like 2027-06-01 or an instant like 2027-06-01T02:00:00Z${alternative}, not ${brief(value)}`,
      )
    }
    return at
  }

  #value(key: string): unknown {
    const value = Object.hasOwn(this.#values, key) ? this.#values[key] : undefined
    return value === null ? undefined : value
  }
}

export function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length > 60 ? `${text.slice(0, 57)}…` : text
}
