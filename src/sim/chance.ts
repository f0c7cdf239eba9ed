/**
 * Luck, the same for the same seed. What befalls a device is a hash of who it is and what it is about, so that millions of
 * devices need no state of their own, and what happens to one does not depend on what happened to another before.
 */
import type { Random } from '../base/random.ts'

/** What a draw is about: two draws with the same number would be the same luck. */
export const about = {
  end: 1,
  phase: 2,
  missed: 3,
  sleep: 4,
  outage: 5,
  cause: 6,
  back: 7,
  sms: 8,
  smsCure: 9,
  loss: 10,
  clock: 11,
  flash: 12,
  flashAt: 13,
  firmware: 14,
  agent: 15,
  produced: 16,
  jitter: 17,
  visit: 18,
  latency: 19,
  serial: 20,
} as const

export type Subject = (typeof about)[keyof typeof about]

/** 32 bits out of a text (FNV-1a, then mixed). */
export function seedOf(text: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193)
  return mixed(hash)
}

/** A uniform fraction in [0, 1), fixed by its arguments. @param n tells draws about one subject apart */
export function chance(seed: number, device: number, subject: Subject, n = 0): number {
  let hash = mixed(seed ^ Math.imul(device + 1, 0x9e3779b1))
  hash = mixed(hash ^ Math.imul(subject, 0x85ebca6b))
  hash = mixed(hash ^ Math.imul((n | 0) + 1, 0xc2b2ae35) ^ Math.floor(n / 2 ** 32))
  return hash / 2 ** 32
}

/** The finalizer of MurmurHash3. */
function mixed(value: number): number {
  let hash = value >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

/** An exponentially distributed wait of the given mean. */
export function waitOf(meanMs: number, fraction: number): number {
  return -Math.log(1 - fraction) * meanMs
}

/** A quick stream of bytes for the engine and the agents of a simulation: never for keys, which are made by the system. */
export function quickRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0
    return mixed(state)
  }
  return {
    isSeeded: true,
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at += 4) {
        const word = next()
        for (let k = 0; k < 4 && at + k < length; k++) bytes[at + k] = word >>> (8 * k)
      }
      return bytes
    },
  }
}
