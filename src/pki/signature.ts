/**
 * Signature algorithms of certificates, CSRs and CRLs: their AlgorithmIdentifiers, signing and verifying.
 * An AlgorithmIdentifier is accepted only in the exact bytes that its RFC prescribes, so a table of encodings is both the
 * strictest parser and the fastest. MD5 and SHA-1 are refused by name.
 */
import { constants, type KeyObject, sign, verify } from 'node:crypto'
import { fromHex, toHex } from '../base/bytes.ts'
import { assert, Refusal } from '../base/errors.ts'
import type { DerNode } from './der.ts'
import { malformed } from './der.ts'
import { readOid } from './der-values.ts'
import type { KeyAlgorithm, PublicKey } from './key.ts'

export type SignatureAlgorithm =
  | 'ecdsa-sha256'
  | 'ecdsa-sha384'
  | 'ecdsa-sha512'
  | 'rsa-sha256'
  | 'rsa-sha384'
  | 'rsa-sha512'
  | 'rsa-pss-sha256'
  | 'rsa-pss-sha384'
  | 'rsa-pss-sha512'
  | 'ed25519'
  | 'ml-dsa-44'
  | 'ml-dsa-65'
  | 'ml-dsa-87'

/** Which kind of key makes the signature. */
export type SignatureFamily = 'ec' | 'rsa' | 'ed25519' | 'ml-dsa-44' | 'ml-dsa-65' | 'ml-dsa-87'

/**
 * The DER AlgorithmIdentifier that we write. The same bytes at each call: callers must not change them.
 * ECDSA: parameters absent (RFC 5758 §3.2). RSA PKCS #1: NULL (RFC 4055 §5). RSASSA-PSS: hash, MGF1 with the same hash, salt
 * as long as the hash (RFC 4055 §3.1). Ed25519 and ML-DSA: absent (RFC 8410 §3, RFC 9881 §3).
 */
export function encodeAlgorithm(algorithm: SignatureAlgorithm): Uint8Array {
  return rules[algorithm].encoded
}

/**
 * @param node an AlgorithmIdentifier
 * @throws Refusal `bad-algorithm` for an algorithm that is broken (MD5, SHA-1) or not supported, `malformed` for wrong
 *   parameters
 */
export function parseAlgorithm(node: DerNode): SignatureAlgorithm {
  return algorithmsByEncoding.get(toHex(node.raw)) ?? refuseAlgorithm(node)
}

export function signatureFamily(algorithm: SignatureAlgorithm): SignatureFamily {
  return rules[algorithm].family
}

/** The family of signatures that a key can make. */
export function keyFamily(algorithm: KeyAlgorithm): SignatureFamily {
  return keyFamilies[algorithm]
}

/** The algorithm that a key of this kind signs with: a hash as strong as the key. */
export function defaultSignatureAlgorithm(algorithm: KeyAlgorithm): SignatureAlgorithm {
  return defaults[algorithm]
}

export interface SignatureToVerify {
  readonly key: PublicKey
  readonly algorithm: SignatureAlgorithm
  /** The signed bytes, not their hash. */
  readonly data: Uint8Array
  /** ECDSA: DER ECDSA-Sig-Value (RFC 3279 §2.2.3). */
  readonly signature: Uint8Array
}

/**
 * True when the key made this signature over the data; false as well when the key is of another family.
 * @throws Refusal `malformed` when the key is no valid key at all (point off its curve)
 */
export function verifySignature({ key, algorithm, data, signature }: SignatureToVerify): boolean {
  const rule = rules[algorithm]
  if (keyFamilies[key.algorithm] !== rule.family) return false
  const keyObject = key.keyObject()
  return verify(rule.hash, data, rule.pss ? { key: keyObject, ...rule.pss } : keyObject, signature)
}

/** Signs in the calling thread: right for one fast signature (P-256: 15 to 25 µs). ECDSA signatures are DER. */
export function signData(privateKey: KeyObject, algorithm: SignatureAlgorithm, data: Uint8Array): Uint8Array {
  const rule = rules[algorithm]
  assert(
    isKeyOfFamily(privateKey, rule.family),
    `key of type ${privateKey.asymmetricKeyType} signs ${algorithm}`,
  )
  return sign(rule.hash, data, rule.pss ? { key: privateKey, ...rule.pss } : privateKey)
}

/** Signs in the thread pool, so that slow keys (RSA, P-384, ML-DSA) do not hold up the event loop. */
export function signDataAsync(
  privateKey: KeyObject,
  algorithm: SignatureAlgorithm,
  data: Uint8Array,
): Promise<Uint8Array> {
  const rule = rules[algorithm]
  assert(
    isKeyOfFamily(privateKey, rule.family),
    `key of type ${privateKey.asymmetricKeyType} signs ${algorithm}`,
  )
  return new Promise((resolve, reject) => {
    sign(rule.hash, data, rule.pss ? { key: privateKey, ...rule.pss } : privateKey, (error, signature) => {
      if (error) reject(error)
      else resolve(signature)
    })
  })
}

interface PssOptions {
  readonly padding: number
  /** Bytes: as long as the hash. A verifier must find exactly this length. */
  readonly saltLength: number
}

interface SignatureRule {
  readonly family: SignatureFamily
  /** Name for node:crypto; null where the algorithm hashes by itself. */
  readonly hash: 'sha256' | 'sha384' | 'sha512' | null
  readonly pss: PssOptions | null
  readonly encoded: Uint8Array
}

const null0 = '0500'
const ecdsa = '2a8648ce3d0403'
const pkcs1 = '2a864886f70d0101'
const nistSignatures = '6086480165030403'
const nistHashes = '6086480165030402'
const hashArcs = { sha256: '01', sha384: '02', sha512: '03' } as const
const hashBytes = { sha256: 32, sha384: 48, sha512: 64 } as const
type Hash = keyof typeof hashArcs

const rules: Readonly<Record<SignatureAlgorithm, SignatureRule>> = {
  'ecdsa-sha256': plainRule('ec', 'sha256', identifier(`${ecdsa}02`)),
  'ecdsa-sha384': plainRule('ec', 'sha384', identifier(`${ecdsa}03`)),
  'ecdsa-sha512': plainRule('ec', 'sha512', identifier(`${ecdsa}04`)),
  'rsa-sha256': plainRule('rsa', 'sha256', identifier(`${pkcs1}0b`, null0)),
  'rsa-sha384': plainRule('rsa', 'sha384', identifier(`${pkcs1}0c`, null0)),
  'rsa-sha512': plainRule('rsa', 'sha512', identifier(`${pkcs1}0d`, null0)),
  'rsa-pss-sha256': pssRule('sha256'),
  'rsa-pss-sha384': pssRule('sha384'),
  'rsa-pss-sha512': pssRule('sha512'),
  ed25519: plainRule('ed25519', null, identifier('2b6570')),
  'ml-dsa-44': plainRule('ml-dsa-44', null, identifier(`${nistSignatures}11`)),
  'ml-dsa-65': plainRule('ml-dsa-65', null, identifier(`${nistSignatures}12`)),
  'ml-dsa-87': plainRule('ml-dsa-87', null, identifier(`${nistSignatures}13`)),
}

const keyFamilies: Readonly<Record<KeyAlgorithm, SignatureFamily>> = {
  'ec-p256': 'ec',
  'ec-p384': 'ec',
  'ec-p521': 'ec',
  'rsa-2048': 'rsa',
  'rsa-3072': 'rsa',
  'rsa-4096': 'rsa',
  ed25519: 'ed25519',
  'ml-dsa-44': 'ml-dsa-44',
  'ml-dsa-65': 'ml-dsa-65',
  'ml-dsa-87': 'ml-dsa-87',
}

const defaults: Readonly<Record<KeyAlgorithm, SignatureAlgorithm>> = {
  'ec-p256': 'ecdsa-sha256',
  'ec-p384': 'ecdsa-sha384',
  'ec-p521': 'ecdsa-sha512',
  'rsa-2048': 'rsa-sha256',
  'rsa-3072': 'rsa-sha256',
  'rsa-4096': 'rsa-sha256',
  ed25519: 'ed25519',
  'ml-dsa-44': 'ml-dsa-44',
  'ml-dsa-65': 'ml-dsa-65',
  'ml-dsa-87': 'ml-dsa-87',
}

const algorithmsByEncoding: ReadonlyMap<string, SignatureAlgorithm> = new Map(
  (Object.keys(rules) as SignatureAlgorithm[]).flatMap((algorithm) =>
    acceptedEncodings(algorithm).map((encoded) => [encoded, algorithm] as const),
  ),
)

/** Algorithms that we know in order to say why they are refused. */
const broken: ReadonlyMap<string, string> = new Map([
  ['1.2.840.113549.1.1.2', 'MD2 with RSA'],
  ['1.2.840.113549.1.1.4', 'MD5 with RSA'],
  ['1.2.840.113549.1.1.5', 'SHA-1 with RSA'],
  ['1.3.14.3.2.29', 'SHA-1 with RSA'],
  ['1.2.840.10045.4.1', 'SHA-1 with ECDSA'],
  ['1.2.840.10040.4.3', 'SHA-1 with DSA'],
])

function refuseAlgorithm(node: DerNode): never {
  const first = node.children[0]
  if (first === undefined) malformed('AlgorithmIdentifier: algorithm is missing')
  const algorithm = readOid(first, 'AlgorithmIdentifier.algorithm')
  const weak = broken.get(algorithm)
  if (weak) throw new Refusal('bad-algorithm', `${weak} is broken: sign with SHA-256 or stronger`)
  // id-RSASSA-PSS, whose default parameters mean SHA-1
  if (algorithm === '1.2.840.113549.1.1.10') {
    throw new Refusal(
      'bad-algorithm',
      'RSASSA-PSS only with SHA-256, SHA-384 or SHA-512, MGF1 with the same hash and a salt as long as the hash',
    )
  }
  const oidHex = toHex(first.raw)
  if ([...algorithmsByEncoding.keys()].some((encoded) => encoded.slice(4).startsWith(oidHex))) {
    malformed(`signature algorithm ${algorithm} with wrong parameters`)
  }
  throw new Refusal('bad-algorithm', `signature algorithm ${algorithm} is not supported`)
}

function isKeyOfFamily(key: KeyObject, family: SignatureFamily): boolean {
  return key.asymmetricKeyType === family
}

function plainRule(family: SignatureFamily, hash: SignatureRule['hash'], encodedHex: string): SignatureRule {
  return { family, hash, pss: null, encoded: fromHex(encodedHex) as Uint8Array }
}

function pssRule(hash: Hash): SignatureRule {
  const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: hashBytes[hash] }
  const encodedHex = pssIdentifier(hash, hashIdentifier(hash, null0), hashIdentifier(hash, null0))
  return { family: 'rsa', hash, pss, encoded: fromHex(encodedHex) as Uint8Array }
}

/** RFC 4055 §2.1: a reader must take the hash inside RSASSA-PSS-params with parameters NULL or absent, a writer puts NULL. */
function acceptedEncodings(algorithm: SignatureAlgorithm): string[] {
  const { pss, hash, encoded } = rules[algorithm]
  if (!pss || !hash) return [toHex(encoded)]
  const forms = [hashIdentifier(hash, null0), hashIdentifier(hash, '')]
  return forms.flatMap((outer) => forms.map((inner) => pssIdentifier(hash, outer, inner)))
}

/** RSASSA-PSS-params (RFC 4055 §3.1); trailerField has its default value and is therefore absent in DER. */
function pssIdentifier(hash: Hash, hashAlgorithm: string, mgfHashAlgorithm: string): string {
  const mgf1 = identifier(`${pkcs1}08`, mgfHashAlgorithm)
  const saltLength = tlv('02', hashBytes[hash].toString(16).padStart(2, '0'))
  const parameters = tlv('a0', hashAlgorithm) + tlv('a1', mgf1) + tlv('a2', saltLength)
  return identifier(`${pkcs1}0a`, tlv('30', parameters))
}

function hashIdentifier(hash: Hash, parameters: string): string {
  return identifier(`${nistHashes}${hashArcs[hash]}`, parameters)
}

function identifier(oidContent: string, parameters = ''): string {
  return tlv('30', tlv('06', oidContent) + parameters)
}

/** DER in hex; contents here are shorter than 128 bytes. */
function tlv(tag: string, content: string): string {
  return tag + (content.length / 2).toString(16).padStart(2, '0') + content
}
