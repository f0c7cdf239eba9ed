/** Another authority, of whose signatures somebody is told: for metrics. */
import { stopwatch } from '../base/clock.ts'
import type { Authority } from '../engine/ports.ts'

export interface Signing {
  /** Its reference. */
  readonly key: string
  readonly isGood: boolean
  readonly ms: number
}

export function watchAuthority(authority: Authority, signed: (how: Signing) => void): Authority {
  async function timed<Value>(key: string, work: () => Promise<Value>): Promise<Value> {
    const elapsedMs = stopwatch()
    let isGood = false
    try {
      const signature = await work()
      isGood = true
      return signature
    } finally {
      signed({ key, isGood, ms: elapsedMs() })
    }
  }
  const { kind } = authority
  const signParts = authority.signParts?.bind(authority)
  const unlock = authority.unlock?.bind(authority)
  return {
    kind,
    createKey: (...key) => authority.createKey(...key),
    publicKey: (...key) => authority.publicKey(...key),
    hasKey: (...key) => authority.hasKey(...key),
    sign: (key, ...rest) => timed(key, () => authority.sign(key, ...rest)),
    ...(signParts ? { signParts: (key, ...rest) => timed(key, () => signParts(key, ...rest)) } : {}),
    ...(unlock ? { unlock } : {}),
  }
}
