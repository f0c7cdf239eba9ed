import assert from 'node:assert/strict'
import { createPublicKey, sign, verify } from 'node:crypto'
import { test } from 'node:test'
import { generateP256, privateKeyFrom } from './p256.ts'

test('the bytes are those that OpenSSL makes of the same key, and the scalar gives the key back', () => {
  // points with leading zeros come about once in 128
  for (let n = 0; n < 600; n++) {
    const { privateKey, spki, scalar } = generateP256()
    const publicKey = createPublicKey(privateKey)
    assert.deepEqual(Buffer.from(spki), publicKey.export({ type: 'spki', format: 'der' }))
    assert.ok(privateKeyFrom(spki, scalar).equals(privateKey))
  }
})

test('a key that was put together again signs what the first one verifies', () => {
  const { spki, scalar } = generateP256()
  const data = Buffer.from('a request')
  const signature = sign('sha256', data, privateKeyFrom(spki, scalar))
  const publicKey = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  assert.ok(verify('sha256', data, publicKey, signature))
})
