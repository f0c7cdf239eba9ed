import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuses } from '../../test/helpers/refuses.ts'
import { generateKeyPair } from '../pki/key.ts'
import { encodePem } from '../pki/pem.ts'
import {
  agentDefaults,
  checkAgentConfig,
  formatAgentConfig,
  parseAgentConfig,
  parseAnyPublicKey,
} from './agent-config.ts'

const good = { ...agentDefaults, deviceId: 'press-7', server: 'https://est.example:8443', label: null }

test('what is written is read', () => {
  const config = checkAgentConfig({ ...good, label: 'meter', renewAt: 0.95, jitter: 0 })
  assert.deepEqual(parseAgentConfig(formatAgentConfig(config)), config)
})

test('hardware, a broker and keys for bundles are written and read', () => {
  const { spki } = generateKeyPair('ed25519')
  const base64 = Buffer.from(spki).toString('base64')
  const config = checkAgentConfig({
    ...good,
    keystore: {
      kind: 'pkcs11',
      module: '/usr/lib/softhsm/libsofthsm2.so',
      token: 'dev 1',
      pinFile: '/etc/pin',
    },
    mqtt: { url: 'mqtts://broker.example:8883', topicPrefix: 'fleet/v1' },
    bundleKeys: [parseAnyPublicKey(encodePem('PUBLIC KEY', spki))],
  })
  assert.deepEqual(config.bundleKeys, [base64])
  assert.deepEqual(parseAgentConfig(formatAgentConfig(config)), config)
  refuses(
    'configuration-invalid',
    () => parseAnyPublicKey(encodePem('PUBLIC KEY', generateKeyPair('ec-p256').spki)),
    /Ed25519/,
  )
})

test('refuses what it cannot work with, and names it', () => {
  const cases: readonly (readonly [Record<string, unknown>, RegExp])[] = [
    [{ deviceId: '../x' }, /deviceId/],
    [{ server: 'http://est.example' }, /server/],
    [{ server: 'https://user@est.example' }, /server/],
    [{ server: 'https://est.example/.well-known/est' }, /server/],
    [{ label: 'a/b' }, /label/],
    [{ keyAlgorithm: 'rsa-1024' }, /keyAlgorithm/],
    [{ renewAt: 0.96 }, /renewAt/],
    [{ renewAt: Number.NaN }, /renewAt/],
    [{ jitter: 0.21 }, /jitter/],
    [{ jitter: '0.1' }, /jitter/],
    [{ keystore: { kind: 'yubikey' } }, /keystore.kind/],
    [{ keystore: { kind: 'tpm2', tcti: 'a b' } }, /tcti/],
    [{ keystore: { kind: 'pkcs11', token: 'dev' } }, /module/],
    [{ keystore: { kind: 'pkcs11', module: 'libx.so', token: 'dev' } }, /module/],
    [{ keystore: { kind: 'pkcs11', module: '/lib/x.so\nPIN = 1', token: 'dev' } }, /module/],
    [{ keystore: { kind: 'pkcs11', module: '/lib/$ENV::HOME', token: 'dev' } }, /module/],
    [{ keystore: { kind: 'pkcs11', module: '/lib/x.so', token: '' } }, /token/],
    [{ keystore: { kind: 'pkcs11', module: '/lib/x.so', token: 'dev', pinFile: 'pin' } }, /pinFile/],
    [{ mqtt: { url: 'mqtt://broker.example' } }, /mqtts/],
    [{ mqtt: { url: 'mqtts://user@broker.example' } }, /mqtts/],
    [{ mqtt: { url: 'mqtts://broker.example', topicPrefix: '#' } }, /topicPrefix/],
    [{ mqtt: 'mqtts://broker.example' }, /mqtts/],
    [{ bundleKeys: ['AAAA'] }, /bundleKeys/],
    [{ bundleKeys: 'AAAA' }, /bundleKeys/],
  ]
  for (const [change, message] of cases) {
    refuses('configuration-invalid', () => checkAgentConfig({ ...good, ...change }), message)
  }
  for (const text of ['', '[]', 'null', '{']) refuses('configuration-invalid', () => parseAgentConfig(text))
})
