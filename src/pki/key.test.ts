import assert from 'node:assert/strict'
import { createHash, createPublicKey, ECDH, generateKeyPairSync } from 'node:crypto'
import { test } from 'node:test'
import { concatBytes, fromHex, toHex } from '../base/bytes.ts'
import { Refusal, type RefusalCode } from '../base/errors.ts'
import { describeKey, generateKeyPair, type KeyAlgorithm, keyAlgorithms, parsePublicKey } from './key.ts'

function refuses(code: RefusalCode, spki: Uint8Array, message: RegExp): void {
  assert.throws(
    () => parsePublicKey(spki),
    (error) => error instanceof Refusal && error.code === code && message.test(error.message),
  )
}

const quick = keyAlgorithms.filter((algorithm) => algorithm !== 'rsa-4096')

for (const algorithm of quick) {
  test(`reads ${algorithm} and gives node the same key`, () => {
    const { spki, privateKey } = generateKeyPair(algorithm)
    const key = parsePublicKey(spki)
    assert.equal(key.algorithm, algorithm)
    assert.equal(key.keyObject().equals(createPublicKey(privateKey)), true)
    assert.equal(key.keyObject(), key.keyObject())
    assert.equal(key.spkiHash, createHash('sha256').update(spki).digest('hex'))
    assert.equal(describeKey(key), algorithm)
  })

  test(`refuses ${algorithm} truncated, extended or with a changed header`, () => {
    const { spki } = generateKeyPair(algorithm)
    refuses('malformed', spki.subarray(0, -1), /./)
    refuses('malformed', concatBytes(spki, Uint8Array.of(0)), /trailing/)
    for (let index = 0; index < 12; index++) {
      const changed = Uint8Array.from(spki)
      changed[index] = (changed[index] as number) ^ 0x04
      assert.throws(() => parsePublicKey(changed), Refusal)
    }
  })
}

test('the key identifier is SHA-1 of the BIT STRING value (RFC 5280 §4.2.1.2)', () => {
  const expectations: [KeyAlgorithm, number][] = [
    ['ec-p256', 65],
    ['ec-p384', 97],
    ['ec-p521', 133],
    ['ed25519', 32],
    ['ml-dsa-44', 1312],
    ['rsa-2048', 270],
  ]
  for (const [algorithm, length] of expectations) {
    const { spki } = generateKeyPair(algorithm)
    const expected = createHash('sha1').update(spki.subarray(-length)).digest('hex')
    assert.equal(toHex(parsePublicKey(spki).keyIdentifier), expected, algorithm)
  }
})

test('labels RSA by the size that it reaches', () => {
  const sizes: [number, KeyAlgorithm][] = [
    [2048, 'rsa-2048'],
    [2056, 'rsa-2048'],
    [3072, 'rsa-3072'],
  ]
  for (const [modulusLength, label] of sizes) {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength })
    const key = parsePublicKey(publicKey.export({ type: 'spki', format: 'der' }))
    assert.equal(key.algorithm, label)
    assert.equal(describeKey(key), `rsa-${modulusLength}`)
  }
})

test('refuses RSA outside 2048 to 4096 bits or not in whole bytes', () => {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
  refuses(
    'weak-key',
    publicKey.export({ type: 'spki', format: 'der' }),
    /^rsa-size: the modulus has 1024 bits/,
  )
  refuses('weak-key', rsaSpki(`7f${'ff'.repeat(255)}`, '010001'), /^rsa-size: the modulus has 2047 bits/)
  assert.equal(parsePublicKey(rsaSpki(`80${'00'.repeat(254)}01`, '010001')).algorithm, 'rsa-2048')
  refuses('weak-key', rsaSpki(`01${'ff'.repeat(256)}`, '010001'), /^rsa-size: the modulus has 2049 bits/)
  assert.equal(parsePublicKey(rsaSpki('ff'.repeat(512), '010001')).algorithm, 'rsa-4096')
  refuses('weak-key', rsaSpki(`80${'00'.repeat(512)}`, '010001'), /^rsa-size: the modulus has 4104 bits/)
})

test('refuses an RSA exponent of more than 256 bits', () => {
  const modulus = `80${'00'.repeat(254)}01`
  assert.equal(parsePublicKey(rsaSpki(modulus, 'ff'.repeat(32))).algorithm, 'rsa-2048')
  refuses('weak-key', rsaSpki(modulus, `01${'00'.repeat(31)}01`), /^rsa-exponent: /)
})

test('refuses a negative or zero RSA modulus', () => {
  refuses('malformed', rsaSpki('00', '010001'), /positive/)
})

test('refuses other algorithms and curves', () => {
  const secp256k1 = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey
  refuses('bad-algorithm', secp256k1.export({ type: 'spki', format: 'der' }), /1\.3\.132\.0\.10/)
  const p224 = generateKeyPairSync('ec', { namedCurve: 'P-224' }).publicKey
  refuses('bad-algorithm', p224.export({ type: 'spki', format: 'der' }), /curve/)
  const x25519 = generateKeyPairSync('x25519').publicKey
  refuses('bad-algorithm', x25519.export({ type: 'spki', format: 'der' }), /not supported/)
  const ed448 = generateKeyPairSync('ed448').publicKey
  refuses('bad-algorithm', ed448.export({ type: 'spki', format: 'der' }), /not supported/)
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey
  refuses('bad-algorithm', pss.export({ type: 'spki', format: 'der' }), /not supported/)
})

test('refuses explicit curve parameters', () => {
  const explicit = generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }).publicKey
  refuses('bad-algorithm', explicit.export({ type: 'spki', format: 'der' }), /name its curve/)
})

test('refuses compressed points and the point at infinity', () => {
  const { spki } = generateKeyPair('ec-p256')
  const compressed = ECDH.convertKey(spki.subarray(-65), 'prime256v1', undefined, undefined, 'compressed')
  const header = '3039301306072a8648ce3d020106082a8648ce3d030107032200'
  refuses('bad-algorithm', concatBytes(hex(header), compressed as Buffer), /compressed/)
  refuses(
    'weak-key',
    hex('3019301306072a8648ce3d020106082a8648ce3d03010703020000'),
    /^ec-point-at-infinity: /,
  )
})

test('refuses RSA without the NULL parameters and Ed25519 with them', () => {
  const { spki } = generateKeyPair('rsa-2048')
  const identifier = '300d06092a864886f70d0101010500'
  const changed = toHex(spki)
    .replace(identifier, '300b06092a864886f70d010101')
    .replace(/^30820122/, '30820120')
  refuses('malformed', hex(changed), /parameters/)
  const ed25519 = toHex(generateKeyPair('ed25519').spki).replace(/^302a30050603/, '302c30070603')
  refuses('malformed', hex(ed25519.replace('2b6570', '2b65700500')), /parameters must be absent/)
})

test('an EC point off the curve fails when the key is first used', () => {
  const { spki } = generateKeyPair('ec-p256')
  const off = Uint8Array.from(spki)
  off[90] = (off[90] as number) ^ 1
  const key = parsePublicKey(off)
  assert.throws(
    () => key.keyObject(),
    (error) => error instanceof Refusal && error.code === 'malformed',
  )
})

function hex(text: string): Uint8Array {
  return fromHex(text) as Uint8Array
}

/** An RSA SPKI of any numbers; both are given as magnitudes. */
function rsaSpki(modulus: string, exponent: string): Uint8Array {
  const integer = (magnitude: string): string => {
    const isHigh = Number.parseInt(magnitude.slice(0, 2), 16) >= 0x80
    return tlv('02', isHigh ? `00${magnitude}` : magnitude)
  }
  const key = tlv('30', integer(modulus) + integer(exponent))
  return hex(tlv('30', `300d06092a864886f70d0101010500${tlv('03', `00${key}`)}`))
}

function tlv(tag: string, content: string): string {
  const length = content.length / 2
  if (length < 0x80) return tag + length.toString(16).padStart(2, '0') + content
  return `${tag}82${length.toString(16).padStart(4, '0')}${content}`
}
