import assert from 'node:assert/strict'
import { constants, createPublicKey, createSign, generateKeyPairSync, sign } from 'node:crypto'
import { test } from 'node:test'
import { fromHex } from '../base/bytes.ts'
import { Refusal, type RefusalCode } from '../base/errors.ts'
import { readDer } from './der.ts'
import { generateKeyPair, type KeyAlgorithm, keyAlgorithms, parsePublicKey } from './key.ts'
import {
  defaultSignatureAlgorithm,
  encodeAlgorithm,
  keyFamily,
  parseAlgorithm,
  type SignatureAlgorithm,
  signatureFamily,
  signData,
  signDataAsync,
  verifySignature,
} from './signature.ts'

const all: readonly SignatureAlgorithm[] = [
  'ecdsa-sha256',
  'ecdsa-sha384',
  'ecdsa-sha512',
  'rsa-sha256',
  'rsa-sha384',
  'rsa-sha512',
  'rsa-pss-sha256',
  'rsa-pss-sha384',
  'rsa-pss-sha512',
  'ed25519',
  'ml-dsa-44',
  'ml-dsa-65',
  'ml-dsa-87',
]
const data = Buffer.from('to be signed')
const pairs = new Map(
  (
    ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'ed25519', 'ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'] as const
  ).map((algorithm) => [algorithm as KeyAlgorithm, generateKeyPair(algorithm)]),
)

function parse(hex: string): SignatureAlgorithm {
  return parseAlgorithm(readDer(fromHex(hex.replaceAll(' ', '')) as Uint8Array))
}

function refuses(code: RefusalCode, hex: string, message: RegExp): void {
  assert.throws(
    () => parse(hex),
    (error) => error instanceof Refusal && error.code === code && message.test(error.message),
  )
}

for (const algorithm of all) {
  test(`${algorithm}: its AlgorithmIdentifier reads back`, () => {
    assert.equal(parseAlgorithm(readDer(encodeAlgorithm(algorithm))), algorithm)
  })

  test(`${algorithm}: signs and verifies, and a changed byte of data or signature does not`, async () => {
    for (const [keyAlgorithm, pair] of pairs) {
      if (keyFamily(keyAlgorithm) !== signatureFamily(algorithm)) continue
      const key = parsePublicKey(pair.spki)
      const synchronous = signData(pair.privateKey, algorithm, data)
      const pooled = await signDataAsync(pair.privateKey, algorithm, data)
      for (const signature of [synchronous, pooled]) {
        assert.equal(verifySignature({ key, algorithm, data, signature }), true)
        const changed = Uint8Array.from(signature)
        changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1
        assert.equal(verifySignature({ key, algorithm, data, signature: changed }), false)
        assert.equal(verifySignature({ key, algorithm, data: Buffer.from('other'), signature }), false)
        assert.equal(verifySignature({ key, algorithm, data, signature: signature.subarray(1) }), false)
      }
    }
  })
}

test('every key algorithm has a default signature algorithm of its own family', () => {
  for (const algorithm of keyAlgorithms) {
    assert.equal(signatureFamily(defaultSignatureAlgorithm(algorithm)), keyFamily(algorithm))
  }
})

test('a signature never verifies under a key of another family', () => {
  for (const [keyAlgorithm, pair] of pairs) {
    const algorithm = defaultSignatureAlgorithm(keyAlgorithm)
    const signature = signData(pair.privateKey, algorithm, data)
    for (const [otherAlgorithm, other] of pairs) {
      if (otherAlgorithm === keyAlgorithm) continue
      const key = parsePublicKey(other.spki)
      assert.equal(verifySignature({ key, algorithm, data, signature }), false)
    }
  }
})

test('the identifiers are the bytes that OpenSSL writes', () => {
  // openssl x509 of each kind, AlgorithmIdentifier cut out by hand
  assert.equal(parse('300a 0608 2a8648ce3d040302'), 'ecdsa-sha256')
  assert.equal(parse('300d 0609 2a864886f70d01010b 0500'), 'rsa-sha256')
  assert.equal(parse('3005 0603 2b6570'), 'ed25519')
  assert.equal(parse('300b 0609 608648016503040311'), 'ml-dsa-44')
  assert.equal(
    parse(
      '3041 0609 2a864886f70d01010a 3034 a00f300d0609608648016503040201 0500' +
        'a11c 301a 06092a864886f70d010108 300d0609608648016503040201 0500 a203020120',
    ),
    'rsa-pss-sha256',
  )
})

test('RSASSA-PSS hash parameters may be absent (RFC 4055 §2.1)', () => {
  assert.equal(
    parse(
      '303d 0609 2a864886f70d01010a 3030 a00d300b0609608648016503040201' +
        'a11a 3018 06092a864886f70d010108 300b0609608648016503040201 a203020120',
    ),
    'rsa-pss-sha256',
  )
})

test('refuses MD5 and SHA-1 by name', () => {
  refuses('bad-algorithm', '300d 0609 2a864886f70d010104 0500', /MD5/)
  refuses('bad-algorithm', '300d 0609 2a864886f70d010105 0500', /SHA-1/)
  refuses('bad-algorithm', '3009 0607 2a8648ce3d0401', /SHA-1/)
  refuses('bad-algorithm', '300d 0609 2a864886f70d01010a 3000', /RSASSA-PSS only with SHA-256/)
})

test('refuses wrong parameters', () => {
  refuses('malformed', '300c 0608 2a8648ce3d040302 0500', /wrong parameters/) // ECDSA with NULL
  refuses('malformed', '300b 0609 2a864886f70d01010b', /wrong parameters/) // RSA without NULL
  refuses('malformed', '3007 0603 2b6570 0500', /wrong parameters/) // Ed25519 with NULL
  refuses('malformed', '300d 0609 608648016503040311 0500', /wrong parameters/) // ML-DSA with NULL
  refuses('malformed', '3000', /missing/)
  refuses('malformed', '3003 020101', /algorithm/)
})

test('refuses RSASSA-PSS with another MGF hash or another salt length', () => {
  const mgfSha1 =
    '303d 0609 2a864886f70d01010a 3030 a00f300d0609608648016503040201 0500' +
    'a118 3016 06092a864886f70d010108 3009 06052b0e03021a 0500 a203020120'
  refuses('bad-algorithm', mgfSha1, /RSASSA-PSS/)
  const salt20 =
    '3041 0609 2a864886f70d01010a 3034 a00f300d0609608648016503040201 0500' +
    'a11c 301a 06092a864886f70d010108 300d0609608648016503040201 0500 a203020114'
  refuses('bad-algorithm', salt20, /salt/)
})

test('refuses algorithms that are not ours', () => {
  refuses('bad-algorithm', '300b 0609 608648016503040312 '.replace('0312', '0314'), /not supported/) // SLH-DSA
  refuses('bad-algorithm', '3005 0603 2b6571', /1\.3\.101\.113 is not supported/) // Ed448
})

test('a PSS signature with a salt of another length does not verify', () => {
  const pair = generateKeyPair('rsa-2048')
  const key = parsePublicKey(pair.spki)
  const padding = constants.RSA_PKCS1_PSS_PADDING
  const signature = sign('sha256', data, { key: pair.privateKey, padding, saltLength: 20 })
  assert.equal(verifySignature({ key, algorithm: 'rsa-pss-sha256', data, signature }), false)
})

test('an ECDSA signature in BER or with trailing bytes does not verify', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const key = parsePublicKey(publicKey.export({ type: 'spki', format: 'der' }))
  const signature = createSign('sha256').update(data).sign(privateKey)
  const trailing = Buffer.concat([signature, Buffer.from([0])])
  const longForm = Buffer.concat([Buffer.from([0x30, 0x81, signature[1] as number]), signature.subarray(2)])
  assert.equal(verifySignature({ key, algorithm: 'ecdsa-sha256', data, signature }), true)
  assert.equal(verifySignature({ key, algorithm: 'ecdsa-sha256', data, signature: trailing }), false)
  assert.equal(verifySignature({ key, algorithm: 'ecdsa-sha256', data, signature: longForm }), false)
  assert.equal(createPublicKey(privateKey).equals(publicKey), true)
})
