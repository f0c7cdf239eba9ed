import assert from 'node:assert/strict'
import {
  checkPrimeSync,
  createPrivateKey,
  createPublicKey,
  generatePrimeSync,
  randomBytes,
} from 'node:crypto'
import { test } from 'node:test'
import { concatBytes, fromHex, toBase64, toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { checkPublicKey, hasCloseFactors } from './key-check.ts'
import { hasRocaFingerprint } from './key-check-roca.ts'
import { generateKeyPair, keyAlgorithms, parsePublicKey } from './key.ts'

function refuses(spki: Uint8Array, rule: string): void {
  const key = parsePublicKey(spki)
  assert.throws(
    () => checkPublicKey(key),
    (error) => error instanceof Refusal && error.code === 'weak-key' && error.message.startsWith(`${rule}: `),
  )
}

for (const algorithm of keyAlgorithms) {
  test(`accepts fresh ${algorithm} keys`, () => {
    for (let count = 0; count < (algorithm.startsWith('rsa') ? 1 : 20); count++) {
      checkPublicKey(parsePublicKey(generateKeyPair(algorithm).spki))
    }
  })
}

test('refuses even, unit and small RSA exponents, accepts 65537 and above', () => {
  const n = randomModulus()
  for (const exponent of [1n, 2n, 3n, 17n, 65535n, 65536n, 65538n])
    refuses(rsaSpki(n, exponent), 'rsa-exponent')
  for (const exponent of [65537n, 65539n, 2n ** 256n - 1n]) {
    checkPublicKey(parsePublicKey(rsaSpki(n, exponent)))
  }
})

test('refuses an even RSA modulus', () => {
  refuses(rsaSpki(randomModulus() - 1n), 'rsa-modulus-even')
})

test('refuses RSA moduli with prime factors up to 751 and accepts a factor of 757', () => {
  const cofactor = (prime: bigint): bigint => nextCoprime((3n * 2n ** 2046n) / prime)
  for (const prime of [3n, 5n, 7n, 389n, 743n, 751n]) {
    refuses(rsaSpki(prime * cofactor(prime)), 'rsa-small-factor')
  }
  checkPublicKey(parsePublicKey(rsaSpki(757n * cofactor(757n))))
})

test('refuses a modulus with the shape that the faulty Infineon library gives', () => {
  const p = rocaPrime()
  const q = rocaPrime()
  refuses(rsaSpki(p * q), 'rsa-roca')
})

test('the ROCA fingerprint needs one exponent that suits every prime', () => {
  const product = primesUpTo(167).reduce((m, prime) => m * prime, 1n)
  for (let exponent = 1n; exponent < 200n; exponent += 13n) {
    assert.equal(hasRocaFingerprint(modularPower(65537n, exponent, product)), true)
  }
  // Per prime a power of 65537, but no common exponent: order 4 modulo 5 (65537 ≡ 2), order 16 modulo 17·… disagree.
  const other = chineseRemainder([5n, 2n], [product / 5n, 1n])
  assert.equal(hasRocaFingerprint(other), false)
})

test('one ROCA-shaped prime with a sound one is no fingerprint', () => {
  const sound = generatePrimeSync(1024, { bigint: true })
  assert.equal(hasRocaFingerprint(rocaPrime() * sound), false)
})

test('refuses primes that are close together', () => {
  const p = generatePrimeSync(1024, { bigint: true })
  refuses(rsaSpki(p * nextPrime(p)), 'rsa-close-factors')
  // They differ in the lower half only.
  refuses(rsaSpki(p * nextPrime(p + 2n ** 510n)), 'rsa-close-factors')
})

test('a weak key stays weak however often it is asked about', () => {
  const p = generatePrimeSync(1024, { bigint: true })
  const spki = rsaSpki(p * nextPrime(p))
  for (let count = 0; count < 3; count++) refuses(spki, 'rsa-close-factors')
})

test('refuses the square of a prime', () => {
  const p = generatePrimeSync(1024, { bigint: true })
  refuses(rsaSpki(p * p), 'rsa-close-factors')
})

test('looks 100 rounds for close factors', () => {
  const a = 2n ** 1023n + 12345679n
  /** n = (a − b)(a + b), found `distance` rounds after the first. */
  const found = (distance: bigint): boolean => {
    const b = squareRoot(2n * a * distance)
    return hasCloseFactors(a * a - b * b)
  }
  assert.equal(found(0n), true)
  assert.equal(found(99n), true)
  assert.equal(found(101n), false)
})

for (const algorithm of ['ec-p256', 'ec-p384', 'ec-p521'] as const) {
  test(`refuses ${algorithm} points off the curve and coordinates beyond the field`, () => {
    const { spki } = generateKeyPair(algorithm)
    const off = Uint8Array.from(spki)
    off[off.length - 1] = (off[off.length - 1] as number) ^ 1
    refuses(off, 'ec-off-curve')
    const coordinateBytes = { 'ec-p256': 32, 'ec-p384': 48, 'ec-p521': 66 }[algorithm]
    const beyond = Uint8Array.from(spki).fill(0xff, spki.length - coordinateBytes)
    refuses(beyond, 'ec-coordinate')
    refuses(Uint8Array.from(spki).fill(0, spki.length - 2 * coordinateBytes), 'ec-off-curve')
  })
}

test('refuses the eight Ed25519 points of small order', () => {
  // encodings of order 1, 2, 4, 4, 8, 8, 8, 8 (RFC 7748 §7 and the torsion subgroup of edwards25519)
  const order8 = '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc'
  const order8Too = 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03'
  const zeros = '00'.repeat(30)
  const encodings = [
    `01${zeros}00`,
    `ec${'ff'.repeat(30)}7f`,
    `00${zeros}00`,
    `00${zeros}80`,
    `${order8}05`,
    `${order8}85`,
    `${order8Too}7a`,
    `${order8Too}fa`,
  ]
  for (const encoding of encodings) refuses(ed25519Spki(encoding), 'ed25519-small-order')
})

test('refuses Ed25519 encodings that are not canonical or not on the curve', () => {
  refuses(ed25519Spki(`ed${'ff'.repeat(30)}7f`), 'ed25519-encoding')
  refuses(ed25519Spki('ff'.repeat(32)), 'ed25519-encoding')
  refuses(ed25519Spki(`02${'00'.repeat(31)}`), 'ed25519-off-curve')
  let refused = 0
  for (let count = 0; count < 64; count++) {
    try {
      const y = randomBytes(32)
      y[31] = (y[31] as number) & 0x3f
      checkPublicKey(parsePublicKey(ed25519Spki(y.toString('hex'))))
    } catch {
      refused++
    }
  }
  // Half of all y have no x; 64 coins outside 8..56 are rarer than 10^-9.
  assert.ok(refused > 8 && refused < 56, `${refused} of 64 refused`)
})

test('refuses an ML-DSA key of zeros', () => {
  for (const algorithm of ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const) {
    const { spki } = generateKeyPair(algorithm)
    const prefix = spki.length - { 'ml-dsa-44': 1312, 'ml-dsa-65': 1952, 'ml-dsa-87': 2592 }[algorithm]
    refuses(Uint8Array.from(spki).fill(0, prefix), 'ml-dsa-zero')
    refuses(Uint8Array.from(spki).fill(0, prefix + 32), 'ml-dsa-zero')
  }
})

test('a key that node imports and that is sound in every rule still works for signatures', () => {
  const { privateKey } = generateKeyPair('ec-p256')
  const again = createPrivateKey(privateKey.export({ type: 'pkcs8', format: 'pem' }))
  checkPublicKey(parsePublicKey(createPublicKey(again).export({ type: 'spki', format: 'der' })))
})

// How the library made primes for 2048-bit keys: M is the product of the first 126 primes.
function rocaPrime(): bigint {
  const primes = primesUpTo(701)
  assert.equal(primes.length, 126)
  const m = primes.reduce((product, prime) => product * prime, 1n)
  for (;;) {
    const a = BigInt(`0x${randomBytes(16).toString('hex')}`)
    const k = 2n ** 1023n / m + BigInt(`0x${randomBytes(6).toString('hex')}`)
    const candidate = k * m + modularPower(65537n, a, m)
    if (candidate > 2n ** 1023n + 2n ** 1022n && candidate < 2n ** 1024n && checkPrimeSync(candidate)) {
      return candidate
    }
    const wide = (k + (k >> 1n)) * m + modularPower(65537n, a, m)
    if (wide < 2n ** 1024n && checkPrimeSync(wide)) return wide
  }
}

function primesUpTo(limit: number): bigint[] {
  const primes: number[] = []
  for (let n = 2; n <= limit; n++) if (primes.every((prime) => n % prime !== 0)) primes.push(n)
  return primes.map(BigInt)
}

function modularPower(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n
  for (const bit of exponent.toString(2)) {
    result = (result * result) % modulus
    if (bit === '1') result = (result * base) % modulus
  }
  return result
}

/** The x with x ≡ remainders[i] modulo moduli[i]. */
function chineseRemainder(first: [bigint, bigint], second: [bigint, bigint]): bigint {
  const [m1, r1] = first
  const [m2, r2] = second
  for (let x = r2; ; x += m2) if (x % m1 === r1) return x
}

function nextPrime(from: bigint): bigint {
  let candidate = from % 2n === 0n ? from + 1n : from + 2n
  while (!checkPrimeSync(candidate)) candidate += 2n
  return candidate
}

/** The next number without a factor up to 751, so that only the prime under test is found. */
function nextCoprime(from: bigint): bigint {
  const primes = primesUpTo(751)
  let candidate = from % 2n === 0n ? from + 1n : from
  while (primes.some((prime) => candidate % prime === 0n)) candidate += 2n
  return candidate
}

function squareRoot(n: bigint): bigint {
  if (n === 0n) return 0n
  let estimate = 1n << BigInt(n.toString(2).length)
  for (;;) {
    const next = (estimate + n / estimate) >> 1n
    if (next >= estimate) return estimate
    estimate = next
  }
}

function randomModulus(): bigint {
  const { details } = parsePublicKey(generateKeyPair('rsa-2048').spki)
  assert.ok(details.kind === 'rsa')
  return BigInt(`0x${toHex(details.modulus)}`)
}

/** An SPKI of chosen numbers, made by node from a JWK. */
function rsaSpki(modulus: bigint, exponent = 65537n): Uint8Array {
  const base64url = (n: bigint): string => {
    const hex = n.toString(16)
    return toBase64(fromHex(hex.length % 2 === 0 ? hex : `0${hex}`) as Uint8Array).replace(/[+/=]/g, (c) =>
      c === '+' ? '-' : c === '/' ? '_' : '',
    )
  }
  const key = { kty: 'RSA', n: base64url(modulus), e: base64url(exponent) }
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' })
}

function ed25519Spki(hex: string): Uint8Array {
  return concatBytes(fromHex(`302a300506032b6570032100${hex}`) as Uint8Array)
}
