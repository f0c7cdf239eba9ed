/** The only source of randomness. Production uses the system's; tests and the simulator use a seed. */
import { createHash, randomBytes } from 'node:crypto'

export interface Random {
  /** True for a reproducible source. Anything that guards a real key refuses a seeded source. */
  readonly isSeeded: boolean
  bytes(length: number): Uint8Array
}

export const systemRandom: Random = {
  isSeeded: false,
  bytes: (length) => randomBytes(length),
}

/** SHA-256 in counter mode: the same seed gives the same bytes. Never for keys that leave a test. */
export function seededRandom(seed: string): Random {
  let counter = 0
  let pool = Buffer.alloc(0)
  return {
    isSeeded: true,
    bytes(length) {
      while (pool.length < length) {
        const block = createHash('sha256').update(`${seed}:${counter++}`).digest()
        pool = Buffer.concat([pool, block])
      }
      const taken = Uint8Array.from(pool.subarray(0, length))
      pool = pool.subarray(length)
      return taken
    },
  }
}

/** A uniform fraction in [0, 1) with 48 bits. */
export function fraction(random: Random): number {
  const bytes = Buffer.from(random.bytes(6))
  return bytes.readUIntBE(0, 6) / 2 ** 48
}

/** A token that is safe in a URL, a header and a file name: `length` random bytes as base64url. */
export function token(random: Random, length: number): string {
  return Buffer.from(random.bytes(length)).toString('base64url')
}
