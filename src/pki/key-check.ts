/**
 * Refuses public keys that are known to be breakable. Each refusal is `weak-key` and starts with the rule's name, so that
 * an operator can count and explain them. Sizes, curves and encodings are refused earlier, by `parsePublicKey`. Not here:
 * block lists and re-use of keys (the engine's policy), primality of the RSA modulus (a millisecond per key; the
 * proof of possession fails for most such keys), and the order of Ed25519 points beyond small ones.
 */
import { toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { hasRocaFingerprint } from './key-check-roca.ts'
import type { Curve, KeyDetails, PublicKey } from './key.ts'

/** @throws Refusal `weak-key`, `rule-name: what is wrong and what to do` */
export function checkPublicKey(key: PublicKey): void {
  const { details, spkiHash } = key
  switch (details.kind) {
    case 'rsa':
      return once(spkiHash, () => checkRsa(details))
    case 'ec':
      return once(spkiHash, () => checkEc(details))
    case 'ed25519':
      return once(spkiHash, () => checkEd25519(details.point))
    case 'ml-dsa':
      return checkMlDsa(details.bytes)
  }
}

/** Keys that passed lately: one request asks about its key when it is decided and again before it is signed. */
const passed = new Set<string>()
const maxPassed = 1_024

function once(spkiHash: string, check: () => void): void {
  if (passed.has(spkiHash)) return
  check()
  if (passed.size >= maxPassed) passed.clear()
  passed.add(spkiHash)
}

function weak(rule: string, detail: string): never {
  throw new Refusal('weak-key', `${rule}: ${detail}`)
}

function checkRsa({ modulus, exponent }: Extract<KeyDetails, { kind: 'rsa' }>): void {
  const n = toBigInt(modulus)
  const e = toBigInt(exponent)
  // FIPS 186-5 §5.1: odd, 2^16 < e < 2^256. Smaller ones are legal in RFC 8017, but forgeable wherever a verifier is lax
  // about padding (CVE-2006-4339), and devices have such verifiers.
  if (e % 2n === 0n) weak('rsa-exponent', 'the public exponent is even: no private key belongs to it')
  if (e < 65537n) weak('rsa-exponent', `the public exponent ${e} is below 65537: make a new key`)
  if (n % 2n === 0n) weak('rsa-modulus-even', 'the modulus is even: it is factored')
  const factor = smallFactor(n)
  if (factor) weak('rsa-small-factor', `the modulus is divisible by ${factor}: make a new key`)
  if (hasRocaFingerprint(n)) {
    weak(
      'rsa-roca',
      'the key was made by a faulty Infineon library (CVE-2017-15361): make one in another way',
    )
  }
  if (hasCloseFactors(n)) weak('rsa-close-factors', 'the two primes are too close together: make a new key')
}

/** The primes up to 751, as SP 800-89 §5.3.3 asks. */
const smallPrimes: readonly number[] = primesUpTo(751)

/** Primes multiplied into products below 2^48, so that one long division serves several of them. */
const primeProducts = groupPrimes(smallPrimes)

function smallFactor(n: bigint): number | null {
  for (const { product, primes } of primeProducts) {
    const remainder = Number(n % product)
    const factor = primes.find((prime) => remainder % prime === 0)
    if (factor !== undefined) return factor
  }
  return null
}

function primesUpTo(limit: number): number[] {
  const primes: number[] = []
  for (let n = 2; n <= limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes
}

function groupPrimes(primes: readonly number[]): { product: bigint; primes: number[] }[] {
  const groups: { product: bigint; primes: number[] }[] = []
  for (const prime of primes) {
    const last = groups.at(-1)
    if (last && last.product * BigInt(prime) < 2n ** 48n) {
      last.product *= BigInt(prime)
      last.primes.push(prime)
    } else groups.push({ product: BigInt(prime), primes: [prime] })
  }
  return groups
}

/**
 * Fermat's factorisation: n = a² − b² with a little above √n finds primes that agree in their upper half (CVE-2022-26320).
 * 100 rounds are far beyond what a sound generator can hit and cost some tens of microseconds.
 */
const fermatRounds = 100

/** True when Fermat's method splits `n` (odd) within the rounds; also for the square of a prime. */
export function hasCloseFactors(n: bigint): boolean {
  const root = squareRoot(n)
  let a = root * root === n ? root : root + 1n
  for (let round = 0; round < fermatRounds; round++) {
    if (isSquare(a * a - n)) return true
    a += 1n
  }
  return false
}

const squaresModulo64 = new Set(Array.from({ length: 64 }, (_, x) => (x * x) % 64))
const squaresModulo45045 = new Set(Array.from({ length: 45045 }, (_, x) => (x * x) % 45045))

function isSquare(n: bigint): boolean {
  // 9 of 10 non-squares end at the first line, 99 of 100 at the second (45045 = 9·5·7·11·13)
  if (!squaresModulo64.has(Number(BigInt.asUintN(6, n)))) return false
  if (!squaresModulo45045.has(Number(n % 45045n))) return false
  const root = squareRoot(n)
  return root * root === n
}

/** Floor of the square root, by Newton's method from above. */
function squareRoot(n: bigint): bigint {
  if (n < 2n) return n
  const bits = n.toString(16).length * 4
  let estimate = 1n << BigInt(bits / 2)
  for (;;) {
    const next = (estimate + n / estimate) >> 1n
    if (next >= estimate) return estimate
    estimate = next
  }
}

/** y² = x³ − 3x + b over the prime field (SP 800-186 §3.2.1). */
const curves: Readonly<Record<Curve, { readonly p: bigint; readonly b: bigint }>> = {
  'P-256': {
    p: 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n,
    b: 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn,
  },
  'P-384': {
    p: 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n,
    b: 0xb3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aefn,
  },
  'P-521': {
    p: 2n ** 521n - 1n,
    b: 0x0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf073573df883d2c34f1ef451fd46b503f00n,
  },
}

/** SP 800-56A §5.6.2.3.4 (the cofactor is 1, so a point on the curve has the full order). */
function checkEc({ curve, point }: Extract<KeyDetails, { kind: 'ec' }>): void {
  const { p, b } = curves[curve]
  const half = (point.length - 1) / 2
  const x = toBigInt(point.subarray(1, 1 + half))
  const y = toBigInt(point.subarray(1 + half))
  if (x >= p || y >= p) weak('ec-coordinate', `a coordinate is not below the prime of ${curve}`)
  if ((y * y - x * x * x + 3n * x - b) % p !== 0n) weak('ec-off-curve', `the point is not on ${curve}`)
}

const p25519 = 2n ** 255n - 19n
const d25519 = 0x52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3n

/** RFC 8032 §5.1.3: decodes to a point, and not to one of the eight of small order, for which anyone can sign. */
function checkEd25519(bytes: Uint8Array): void {
  const encoded = bytes.toReversed()
  encoded[0] = (encoded[0] as number) & 0x7f // the top bit is the sign of x
  const y = toBigInt(encoded)
  if (y >= p25519) weak('ed25519-encoding', 'the y coordinate is not below the prime 2^255 - 19')
  const y2 = (y * y) % p25519
  // y = ±1: order 1 or 2; y = 0: order 4; d·y⁴ + 2y² − 1 = 0: the double has y = 0, so order 8
  const isOrder8 = (d25519 * y2 * y2 + 2n * y2 - 1n) % p25519 === 0n
  if (y2 === 1n || y === 0n || isOrder8)
    weak('ed25519-small-order', 'anyone can sign for a point of small order')
  // x² = (y² − 1) / (d·y² + 1), and a quotient is a square when the product is
  if (!isSquareModulo25519((y2 - 1n) * (d25519 * y2 + 1n))) {
    weak('ed25519-off-curve', 'the encoding is not a point of the curve')
  }
}

/** Euler's criterion: n^((p−1)/2) = 1, where (p − 1)/2 = 2^254 − 10. */
function isSquareModulo25519(n: bigint): boolean {
  const base = n % p25519
  const exponent = (p25519 - 1n) / 2n
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % p25519
    if (bit === '1') result = (result * base) % p25519
  }
  return result === 1n
}

/** FIPS 204: t1 = 0 means a degenerate secret; it is what a device with dead memory sends. */
function checkMlDsa(bytes: Uint8Array): void {
  if (bytes.subarray(32).every((byte) => byte === 0)) weak('ml-dsa-zero', 'the public key is all zeros')
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes)}`)
}
