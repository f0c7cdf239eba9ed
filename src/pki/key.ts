/**
 * Public keys as SubjectPublicKeyInfo (RFC 5280 §4.1.2.7) and key pairs.
 * Each supported kind but RSA has one fixed prefix and one fixed length, so parsing is a comparison. EC points must be
 * uncompressed: RFC 5480 §2.2 leaves the compressed form to choice, and a second encoding of one key would have a second
 * SPKI hash, which hides re-use of a key from the inventory.
 */
import {
  createPublicKey,
  generateKeyPair as generateKeyPairCallback,
  generateKeyPairSync,
  hash,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'
import { fromHex, sha256Hex, toHex } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { DerFields, type DerNode, malformed, readDer } from './der.ts'
import { readBitStringBytes, readOid, readPositiveBytes } from './der-values.ts'

/** RSA keys are named by the size that they reach: `rsa-2048` is 2048 to 3064 bits, `rsa-3072` is 3072 to 4088. */
export type KeyAlgorithm =
  | 'ec-p256'
  | 'ec-p384'
  | 'ec-p521'
  | 'rsa-2048'
  | 'rsa-3072'
  | 'rsa-4096'
  | 'ed25519'
  | 'ml-dsa-44'
  | 'ml-dsa-65'
  | 'ml-dsa-87'

export const keyAlgorithms: readonly KeyAlgorithm[] = [
  'ec-p256',
  'ec-p384',
  'ec-p521',
  'rsa-2048',
  'rsa-3072',
  'rsa-4096',
  'ed25519',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
]

export type Curve = 'P-256' | 'P-384' | 'P-521'

export type KeyDetails =
  /** `point`: 0x04, then x and y (SEC 1 §2.3.3). */
  | { readonly kind: 'ec'; readonly curve: Curve; readonly point: Uint8Array }
  /** Big-endian magnitudes without leading zeros. */
  | {
      readonly kind: 'rsa'
      readonly bits: number
      readonly modulus: Uint8Array
      readonly exponent: Uint8Array
    }
  /** 32 bytes (RFC 8032 §5.1.2). */
  | { readonly kind: 'ed25519'; readonly point: Uint8Array }
  /** pkEncode output (FIPS 204 §7.2): 32 bytes rho, then t1. */
  | { readonly kind: 'ml-dsa'; readonly bytes: Uint8Array }

export interface PublicKey {
  readonly algorithm: KeyAlgorithm
  /** DER; a view on what was parsed. */
  readonly spki: Uint8Array
  /** SHA-256 of `spki`, lower-case hex. */
  readonly spkiHash: string
  /** SHA-1 of the BIT STRING's value: 20 bytes (RFC 5280 §4.2.1.2, method 1). */
  readonly keyIdentifier: Uint8Array
  readonly details: KeyDetails
  /** The key for node:crypto, made at the first call (about 20 µs); Refusal `malformed` when the point is off its curve. */
  keyObject(): KeyObject
}

/**
 * Reads a SubjectPublicKeyInfo. Says what the key is, not that it is good: `checkPublicKey` does.
 * @throws Refusal `bad-algorithm` (unsupported kind or curve, explicit curve parameters, compressed point), `weak-key` (RSA
 *   size), `malformed`
 */
export function parsePublicKey(spki: Uint8Array): PublicKey {
  const layout = layouts.find((candidate) => candidate.length === spki.length)
  if (layout && startsWith(spki, layout.prefix)) {
    const key = spki.subarray(layout.prefix.length - (layout.curve ? 1 : 0))
    return new ParsedKey(layout.algorithm, spki, key, detailsOf(layout, key))
  }
  return parseOther(spki)
}

export interface KeyPair {
  readonly privateKey: KeyObject
  /** DER SubjectPublicKeyInfo. */
  readonly spki: Uint8Array
}

/** A new key pair from the system's random source (node:crypto takes no other). RSA exponent 65537. */
export function generateKeyPair(algorithm: KeyAlgorithm): KeyPair {
  switch (algorithm) {
    case 'ec-p256':
    case 'ec-p384':
    case 'ec-p521':
      return exported(generateKeyPairSync('ec', { namedCurve: namedCurves[algorithm] }))
    case 'rsa-2048':
    case 'rsa-3072':
    case 'rsa-4096':
      return exported(generateKeyPairSync('rsa', { modulusLength: modulusLengths[algorithm] }))
    case 'ed25519':
      return exported(generateKeyPairSync('ed25519', {}))
    default:
      return exported(generateKeyPairSync(algorithm, {}))
  }
}

/** The same in the thread pool: an RSA-4096 key takes a second or more. */
export async function generateKeyPairAsync(algorithm: KeyAlgorithm): Promise<KeyPair> {
  switch (algorithm) {
    case 'ec-p256':
    case 'ec-p384':
    case 'ec-p521':
      return exported(await generateInPool('ec', { namedCurve: namedCurves[algorithm] }))
    case 'rsa-2048':
    case 'rsa-3072':
    case 'rsa-4096':
      return exported(await generateInPool('rsa', { modulusLength: modulusLengths[algorithm] }))
    case 'ed25519':
      return exported(await generateInPool('ed25519', {}))
    default:
      return exported(await generateInPool(algorithm, {}))
  }
}

const generateInPool = promisify(generateKeyPairCallback)
const namedCurves = { 'ec-p256': 'P-256', 'ec-p384': 'P-384', 'ec-p521': 'P-521' } as const
const modulusLengths = { 'rsa-2048': 2048, 'rsa-3072': 3072, 'rsa-4096': 4096 } as const

function exported({ privateKey, publicKey }: { privateKey: KeyObject; publicKey: KeyObject }): KeyPair {
  return { privateKey, spki: publicKey.export({ type: 'spki', format: 'der' }) }
}

class ParsedKey implements PublicKey {
  readonly algorithm: KeyAlgorithm
  readonly spki: Uint8Array
  readonly spkiHash: string
  readonly details: KeyDetails
  readonly #bitString: Uint8Array
  #keyIdentifier: Uint8Array | null = null
  #keyObject: KeyObject | null = null

  constructor(algorithm: KeyAlgorithm, spki: Uint8Array, bitString: Uint8Array, details: KeyDetails) {
    this.algorithm = algorithm
    this.spki = spki
    this.spkiHash = sha256Hex(spki)
    this.details = details
    this.#bitString = bitString
  }

  get keyIdentifier(): Uint8Array {
    this.#keyIdentifier ??= hash('sha1', this.#bitString, 'buffer')
    return this.#keyIdentifier
  }

  keyObject(): KeyObject {
    this.#keyObject ??= importKey(this)
    return this.#keyObject
  }
}

function importKey(key: PublicKey): KeyObject {
  try {
    const { buffer, byteOffset, byteLength } = key.spki
    const der = Buffer.from(buffer, byteOffset, byteLength)
    return createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch (cause) {
    throw new Refusal('malformed', `not a valid ${key.algorithm} public key`, { cause })
  }
}

interface Layout {
  readonly algorithm: Exclude<KeyAlgorithm, `rsa-${string}`>
  readonly curve: Curve | null
  /** All bytes before the key material; for EC with the 0x04 that marks an uncompressed point. */
  readonly prefix: Uint8Array
  /** Of the whole SubjectPublicKeyInfo. */
  readonly length: number
}

/** RFC 5480 §2.1.1, RFC 8410 §4, RFC 9881 §4. */
const layouts: readonly Layout[] = [
  fixedLayout('ec-p256', 'P-256', '3059301306072a8648ce3d020106082a8648ce3d03010703420004', 64),
  fixedLayout('ec-p384', 'P-384', '3076301006072a8648ce3d020106052b8104002203620004', 96),
  fixedLayout('ec-p521', 'P-521', '30819b301006072a8648ce3d020106052b810400230381860004', 132),
  fixedLayout('ed25519', null, '302a300506032b6570032100', 32),
  fixedLayout('ml-dsa-44', null, '30820532300b06096086480165030403110382052100', 1312),
  fixedLayout('ml-dsa-65', null, '308207b2300b0609608648016503040312038207a100', 1952),
  fixedLayout('ml-dsa-87', null, '30820a32300b060960864801650304031303820a2100', 2592),
]

function fixedLayout(
  algorithm: Layout['algorithm'],
  curve: Curve | null,
  prefixHex: string,
  keyBytes: number,
): Layout {
  const prefix = fromHex(prefixHex) as Uint8Array
  return { algorithm, curve, prefix, length: prefix.length + keyBytes }
}

function detailsOf({ algorithm, curve }: Layout, key: Uint8Array): KeyDetails {
  if (curve) return { kind: 'ec', curve, point: key }
  return algorithm === 'ed25519' ? { kind: 'ed25519', point: key } : { kind: 'ml-dsa', bytes: key }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  for (let index = 0; index < prefix.length; index++) if (bytes[index] !== prefix[index]) return false
  return true
}

const rsaEncryption = '1.2.840.113549.1.1.1'
const idEcPublicKey = '1.2.840.10045.2.1'
const fixedKinds: ReadonlyMap<string, string> = new Map([
  ['1.3.101.112', 'Ed25519'],
  ['2.16.840.1.101.3.4.3.17', 'ML-DSA-44'],
  ['2.16.840.1.101.3.4.3.18', 'ML-DSA-65'],
  ['2.16.840.1.101.3.4.3.19', 'ML-DSA-87'],
])

/** RSA, and every reason to refuse. */
function parseOther(spki: Uint8Array): PublicKey {
  const fields = new DerFields(readDer(spki), 'SubjectPublicKeyInfo')
  const identifier = fields.take('sequence', 'algorithm')
  const bits = readBitStringBytes(fields.any('subjectPublicKey'), 'subjectPublicKey')
  fields.end()
  const identifierFields = new DerFields(identifier, 'AlgorithmIdentifier')
  const algorithm = readOid(identifierFields.any('algorithm'), 'AlgorithmIdentifier.algorithm')
  if (algorithm === rsaEncryption) {
    identifierFields.take('null', 'parameters') // RFC 3279 §2.3.1: MUST be NULL
    identifierFields.end()
    return parseRsa(spki, bits)
  }
  if (algorithm === idEcPublicKey) refuseEc(identifierFields.any('parameters'), bits)
  const kind = fixedKinds.get(algorithm)
  if (kind) malformed(`${kind} public key: parameters must be absent and the key must have its exact length`)
  throw new Refusal(
    'bad-algorithm',
    `public key algorithm ${algorithm} is not supported: use EC P-256, P-384, P-521, RSA, Ed25519 or ML-DSA`,
  )
}

const curveNames: ReadonlyMap<string, Curve> = new Map([
  ['1.2.840.10045.3.1.7', 'P-256'],
  ['1.3.132.0.34', 'P-384'],
  ['1.3.132.0.35', 'P-521'],
])

function refuseEc(parameters: DerNode, point: Uint8Array): never {
  if (parameters.constructed || parameters.tag !== 6) {
    throw new Refusal(
      'bad-algorithm',
      'EC public key must name its curve (RFC 5480 §2.1.1), not spell it out',
    )
  }
  const oid = readOid(parameters, 'ECParameters')
  const curve = curveNames.get(oid)
  if (!curve)
    throw new Refusal('bad-algorithm', `EC curve ${oid} is not supported: use P-256, P-384 or P-521`)
  if (point[0] === 2 || point[0] === 3) {
    throw new Refusal('bad-algorithm', 'compressed EC point: encode the public key uncompressed')
  }
  if (point.length === 1 && point[0] === 0) {
    throw new Refusal('weak-key', 'ec-point-at-infinity: the public key is the point at infinity')
  }
  malformed(`EC public key: not an uncompressed point on ${curve}`)
}

/** RSA public exponents of more than 256 bits are outside FIPS 186-5 §5.1 and make each verification slow. */
const maxExponentBytes = 32

/** RSAPublicKey (RFC 8017 A.1.1). */
function parseRsa(spki: Uint8Array, bits: Uint8Array): PublicKey {
  const fields = new DerFields(readDer(bits), 'RSAPublicKey')
  const modulus = readPositiveBytes(fields.any('modulus'), 'RSAPublicKey.modulus')
  const exponent = readPositiveBytes(fields.any('publicExponent'), 'RSAPublicKey.publicExponent')
  fields.end()
  const size = modulus.length * 8 - Math.clz32((modulus[0] as number) << 24)
  if (size < 2048 || size > 4096 || size % 8 !== 0) {
    throw new Refusal(
      'weak-key',
      `rsa-size: the modulus has ${size} bits; 2048 to 4096 in steps of 8 are accepted`,
    )
  }
  if (exponent.length > maxExponentBytes) {
    throw new Refusal('weak-key', 'rsa-exponent: the public exponent has more than 256 bits')
  }
  const algorithm = size >= 4096 ? 'rsa-4096' : size >= 3072 ? 'rsa-3072' : 'rsa-2048'
  return new ParsedKey(algorithm, spki, bits, { kind: 'rsa', bits: size, modulus, exponent })
}

/** Short text for tables and messages: `rsa-2048`, or `rsa-2056` where the size is not the label's. */
export function describeKey(key: PublicKey): string {
  return key.details.kind === 'rsa' ? `rsa-${key.details.bits}` : key.algorithm
}

/** Hex of the RFC 5280 key identifier, as inventory rows hold it. */
export function keyIdentifierHex(key: PublicKey): string {
  return toHex(key.keyIdentifier)
}
