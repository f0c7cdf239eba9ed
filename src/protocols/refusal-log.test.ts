import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { Refusal } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { logRefusal, type RefusedRequest } from './refusal-log.ts'

function recording(level: 'debug' | 'info'): { log: Log; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = []
  const log = pino(
    { level },
    { write: (line) => void lines.push(JSON.parse(line) as Record<string, unknown>) },
  )
  return { log, lines }
}

function requestOf(user: string | null, path = '/.well-known/est/simpleenroll'): RefusedRequest {
  const authorization =
    user === null
      ? {}
      : { authorization: `Basic ${Buffer.from(`${user}:hunter2-secret`).toString('base64')}` }
  return {
    method: 'POST',
    path,
    headers: authorization,
    peer: { address: '192.0.2.1', certificate: null },
  }
}

test('a refusal is one line with code, reason and user, and without the secret', () => {
  const { log, lines } = recording('info')
  logRefusal(log, requestOf('press-7'), new Refusal('secret-invalid', 'the secret is wrong'))
  assert.equal(lines.length, 1)
  const [line] = lines
  assert.equal(line?.code, 'secret-invalid')
  assert.equal(line?.reason, 'the secret is wrong')
  assert.equal(line?.username, 'press-7')
  assert.equal(line?.address, '192.0.2.1')
  assert.ok(!JSON.stringify(line).includes('hunter2'))
})

test('what a client sent cannot write the log: control characters are shown, long text is cut', () => {
  const { log, lines } = recording('info')
  logRefusal(log, requestOf(null, `/\u001b[2J${'a'.repeat(5000)}`), new Refusal('malformed', 'no\u202e'))
  const [line] = lines
  assert.ok(String(line?.path).startsWith('/\\u{1b}[2J'))
  assert.equal(String(line?.path).length, 200)
  assert.equal(line?.reason, 'no\\u{202e}')
})

test('a certificate that cannot be read still gives a line', () => {
  const { log, lines } = recording('info')
  const peer = { address: '192.0.2.1', certificate: Uint8Array.of(0x30, 0x80) }
  logRefusal(log, { ...requestOf(null), peer }, new Refusal('malformed', 'certificate: indefinite length'))
  assert.equal(lines.length, 1)
  assert.equal(lines[0]?.certificateSubject, undefined)
})

test('a first request without credentials is below info', () => {
  const refusal = new Refusal('unauthenticated', 'connect with a certificate')
  const info = recording('info')
  logRefusal(info.log, requestOf(null), refusal)
  assert.equal(info.lines.length, 0)
  const debug = recording('debug')
  logRefusal(debug.log, requestOf(null), refusal)
  assert.equal(debug.lines.length, 1)
})
