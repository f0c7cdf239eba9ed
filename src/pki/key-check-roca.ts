/**
 * ROCA (CVE-2017-15361): Infineon's library made RSA primes p = k·M + (65537^a mod M), where M is the product of the first
 * 39 primes or more. So the modulus is a power of 65537 modulo M, which a random one is with probability below 2^-150
 * (Nemec, Sys, Svenda, Klinec, Matyas: "The Return of Coppersmith's Attack", CCS 2017, §3). Because M is smooth, the
 * discrete logarithm is found prime by prime, and the small logarithms must agree with each other. Keys of all sizes use a
 * multiple of the same M, so the first 39 primes detect every size.
 */

const generator = 65537
const primes: readonly number[] = [
  2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
  107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]

/** True when the modulus is a power of 65537 modulo every prime, with one common exponent. */
export function hasRocaFingerprint(modulus: bigint): boolean {
  /** What the primes so far say about the exponent: modulo each prime power of their orders. */
  const known = new Map<number, { power: number; residue: number }>()
  for (const { prime, logarithms, primePowers } of getSubgroups()) {
    const logarithm = logarithms.get(Number(modulus % prime))
    if (logarithm === undefined) return false
    for (const { base, power } of primePowers) {
      const residue = logarithm % power
      const before = known.get(base)
      if (before) {
        const common = Math.min(before.power, power)
        if (before.residue % common !== residue % common) return false
      }
      if (!before || before.power < power) known.set(base, { power, residue })
    }
  }
  return true
}

/** The powers of 65537 modulo one prime. */
interface Subgroup {
  readonly prime: bigint
  /** 65537^e mod prime → e, for e below the order. */
  readonly logarithms: ReadonlyMap<number, number>
  /** The order as prime powers: 12 → 4 (base 2) and 3 (base 3). */
  readonly primePowers: readonly { readonly base: number; readonly power: number }[]
}

let subgroups: readonly Subgroup[] | null = null

/** Built when the first RSA key comes; cheapest rejection first: the smallest share of residues that pass. */
function getSubgroups(): readonly Subgroup[] {
  subgroups ??= primes
    .map(subgroupOf)
    .sort((a, b) => a.logarithms.size / Number(a.prime) - b.logarithms.size / Number(b.prime))
  return subgroups
}

function subgroupOf(prime: number): Subgroup {
  const logarithms = new Map<number, number>()
  let power = 1
  for (let exponent = 0; !logarithms.has(power); exponent++) {
    logarithms.set(power, exponent)
    power = (power * generator) % prime
  }
  return { prime: BigInt(prime), logarithms, primePowers: factor(logarithms.size) }
}

function factor(order: number): Subgroup['primePowers'] {
  const factors: { base: number; power: number }[] = []
  let rest = order
  for (let base = 2; rest > 1; base++) {
    let power = 1
    for (; rest % base === 0; rest /= base) power *= base
    if (power > 1) factors.push({ base, power })
  }
  return factors
}
