import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DeviceId } from '../base/id.ts'
import { generateKeyPair, keyAlgorithms, parsePublicKey } from './key.ts'
import { isProof, requestToSign, signProof, statusToSign } from './mqtt-proof.ts'

const deviceId = 'meter-1' as DeviceId
const request = { deviceId, clientToken: 'a', csr: Buffer.from('302a', 'hex') }

test('the signed text of a request is the label, the names and the CSR', () => {
  assert.equal(
    Buffer.from(requestToSign(request)).toString('latin1'),
    'perennial-mqtt-enrol-v1\0meter-1\0a\0\x30\x2a',
  )
})

for (const algorithm of keyAlgorithms.filter(
  (name) => !name.startsWith('rsa-3') && !name.startsWith('rsa-4'),
)) {
  test(`a proof by ${algorithm} holds for what was signed and nothing else`, () => {
    const { privateKey, spki } = generateKeyPair(algorithm)
    const key = parsePublicKey(spki)
    const signature = signProof(privateKey, algorithm, requestToSign(request))
    assert.equal(isProof(key, requestToSign(request), signature), true)
    assert.equal(isProof(key, requestToSign({ ...request, clientToken: 'b' }), signature), false)
    assert.equal(
      isProof(key, requestToSign({ ...request, deviceId: 'meter-2' as DeviceId }), signature),
      false,
    )
    assert.equal(
      isProof(key, requestToSign({ ...request, csr: Buffer.from('302b', 'hex') }), signature),
      false,
    )
    assert.equal(isProof(key, requestToSign(request), new Uint8Array(0)), false)
    const other = parsePublicKey(generateKeyPair(algorithm).spki)
    assert.equal(isProof(other, requestToSign(request), signature), false)
  })
}

test('a request cannot be taken for a status message', () => {
  const status = statusToSign({
    deviceId,
    clientToken: 'a',
    state: 'confirmed',
    certificate: '00'.repeat(32),
  })
  const asRequest = requestToSign({
    deviceId,
    clientToken: 'a',
    csr: Buffer.from(`confirmed\0${'00'.repeat(32)}`),
  })
  assert.notDeepEqual(Buffer.from(status), Buffer.from(asRequest))
})
