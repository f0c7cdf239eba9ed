import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeEst } from './est-route.ts'

function statusOf(method: string, path: string): number | string {
  const route = routeEst(method, path)
  return 'status' in route ? route.status : `${route.label ?? '-'}/${route.operation}`
}

test('routes each operation, with and without a label', () => {
  assert.equal(statusOf('GET', '/.well-known/est/cacerts'), '-/cacerts')
  assert.equal(statusOf('GET', '/.well-known/est/meter/cacerts'), 'meter/cacerts')
  assert.equal(statusOf('GET', '/.well-known/est/meter/csrattrs'), 'meter/csrattrs')
  assert.equal(statusOf('HEAD', '/.well-known/est/csrattrs'), '-/csrattrs')
  assert.equal(statusOf('POST', '/.well-known/est/simpleenroll'), '-/simpleenroll')
  assert.equal(statusOf('POST', '/.well-known/est/short-lived/simplereenroll'), 'short-lived/simplereenroll')
  assert.equal(statusOf('POST', '/.well-known/est/serverkeygen'), '-/serverkeygen')
  assert.equal(statusOf('POST', '/.well-known/est/fullcmc'), '-/fullcmc')
})

test('answers 404 to anything else, naming the operations', () => {
  for (const path of [
    '/',
    '/.well-known/est',
    '/.well-known/est/',
    '/.well-known/est/cacert',
    '/.well-known/est/CACERTS',
    '/.well-known/est/cacerts/',
    '/.well-known/est//cacerts',
    '/.well-known/est/a/b/cacerts',
    '/.well-known/est/%2e%2e/cacerts',
    '/.well-known/est/../cacerts',
    '/.well-known/est/Meter/cacerts',
    '/.well-known/est/constructor',
    '/.well-known/est/__proto__/cacerts',
    `/.well-known/est/${'a'.repeat(65)}/cacerts`,
  ]) {
    assert.equal(statusOf('GET', path), 404, path)
  }
})

test('refuses an operation name as a label (RFC 7030 §3.2.2)', () => {
  assert.equal(statusOf('GET', '/.well-known/est/simpleenroll/cacerts'), 404)
})

test('answers 405 with Allow to the wrong method', () => {
  const get = routeEst('POST', '/.well-known/est/cacerts')
  assert.ok('status' in get)
  assert.equal(get.status, 405)
  assert.equal(get.headers['Allow'], 'GET, HEAD')
  const post = routeEst('GET', '/.well-known/est/simpleenroll')
  assert.ok('status' in post)
  assert.equal(post.headers['Allow'], 'POST')
})
