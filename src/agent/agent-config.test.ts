import assert from 'node:assert/strict'
import { test } from 'node:test'
import { refuses } from '../../test/helpers/refuses.ts'
import { agentDefaults, checkAgentConfig, formatAgentConfig, parseAgentConfig } from './agent-config.ts'

const good = { ...agentDefaults, deviceId: 'press-7', server: 'https://est.example:8443', label: null }

test('what is written is read', () => {
  const config = checkAgentConfig({ ...good, label: 'meter', renewAt: 0.95, jitter: 0 })
  assert.deepEqual(parseAgentConfig(formatAgentConfig(config)), config)
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
  ]
  for (const [change, message] of cases) {
    refuses('configuration-invalid', () => checkAgentConfig({ ...good, ...change }), message)
  }
  for (const text of ['', '[]', 'null', '{']) refuses('configuration-invalid', () => parseAgentConfig(text))
})
