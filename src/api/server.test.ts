import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../base/errors.ts'
import type { HealthCheck } from './health.ts'
import { Metrics } from './metrics.ts'
import { createAdminServer } from './server.ts'

const fine: HealthCheck = { name: 'store', run: async () => {} }
const refusing: HealthCheck = {
  name: 'issuers',
  run: async () => {
    throw new Refusal('issuer-unavailable', 'the key of issuer x cannot be found')
  },
}
const broken: HealthCheck = {
  name: 'queue',
  run: async () => {
    throw new Error('connect postgres://user:password@host failed')
  },
}

async function server(healthChecks: readonly HealthCheck[], metrics: readonly Metrics[] = []) {
  const snapshots = () => Promise.all(metrics.map((each) => each.snapshot()))
  return await createAdminServer({ version: '1.2.3', healthChecks, snapshots, rest: null })
}

test('livez answers as long as the process does', async () => {
  const answer = await (await server([broken])).inject('/livez')
  assert.equal(answer.statusCode, 200)
  assert.equal(answer.body, 'ok\n')
})

test('readyz is 200 when every check passes and 503 when one fails', async () => {
  assert.equal((await (await server([fine])).inject('/readyz')).statusCode, 200)
  const failing = await (await server([fine, refusing])).inject('/readyz')
  assert.equal(failing.statusCode, 503)
  assert.doesNotMatch(failing.body, /issuer x/)
})

test('readyz?verbose names each check; a refusal says why, anything else could hold a secret and does not', async () => {
  const { body } = await (await server([fine, refusing, broken])).inject('/readyz?verbose')
  assert.match(body, /^\[\+\] store ok$/m)
  assert.match(body, /^\[-\] issuers failed: the key of issuer x cannot be found$/m)
  assert.match(body, /^\[-\] queue failed: internal error, see the log$/m)
  assert.doesNotMatch(body, /password/)
})

test('metrics of all processes are summed; build info is not', async () => {
  const main = new Metrics({ version: '1.2.3' })
  const worker = new Metrics({ version: '1.2.3' })
  worker.watchServer({ inFlight: () => 3, openConnections: () => 0 })
  const other = new Metrics({ version: '1.2.3' })
  other.watchServer({ inFlight: () => 4, openConnections: () => 0 })
  main.answered('est', 'simpleenroll', 'issued', 0.004)
  worker.answered('est', 'simpleenroll', 'issued', 0.02)
  other.answered('est', 'simpleenroll', 'too-early', 0.001)
  const { body, headers } = await (await server([], [main, worker, other])).inject('/metrics')
  assert.match(headers['content-type'] as string, /^text\/plain/)
  assert.match(
    body,
    /^perennial_requests_total\{protocol="est",operation="simpleenroll",result="issued"\} 2$/m,
  )
  assert.match(body, /^perennial_requests_total\{.*result="too-early"\} 1$/m)
  assert.match(body, /^perennial_request_seconds_count\{protocol="est",operation="simpleenroll"\} 3$/m)
  assert.match(body, /^perennial_requests_in_flight 7$/m)
  assert.match(body, /^perennial_build_info\{version="1\.2\.3",node="[^"]+",openssl="[^"]+"\} 1$/m)
  assert.match(body, /^nodejs_eventloop_lag_p99_seconds /m)
})

test('version says what is running', async () => {
  const answer = await (await server([])).inject('/version')
  const { node, openssl } = process.versions
  assert.deepEqual(answer.json(), { version: '1.2.3', node, openssl })
})

test('anything else is 404', async () => {
  assert.equal((await (await server([])).inject('/')).statusCode, 404)
  assert.equal((await (await server([])).inject({ url: '/livez', method: 'POST' })).statusCode, 404)
})

test('a warning is shown and leaves the process ready', async () => {
  const warning = { ...refusing, name: 'crl', isWarning: true }
  const answer = await (await server([fine, warning])).inject('/readyz?verbose')
  assert.equal(answer.statusCode, 200)
  assert.match(answer.body, /^\[!\] crl warning: the key of issuer x cannot be found$/m)
  assert.match(answer.body, /^ready$/m)
})

test('OCSP answers are counted by result', async () => {
  const metrics = new Metrics({ version: '1.2.3' })
  metrics.watchOcsp(() => new Map([['revoked', 3]]))
  const { body } = await (await server([], [metrics])).inject('/metrics')
  assert.match(body, /^perennial_ocsp_answers_total\{result="revoked"\} 3$/m)
})

test('startupz: what was good once has started, whatever comes later', async () => {
  let isGood = false
  const check: HealthCheck = {
    name: 'store',
    run: async () => {
      if (!isGood) throw new Refusal('store-busy', 'the database is away')
    },
  }
  const app = await server([check])
  const statuses = async () => [
    (await app.inject('/startupz')).statusCode,
    (await app.inject('/readyz')).statusCode,
    (await app.inject('/livez')).statusCode,
  ]
  assert.deepEqual(await statuses(), [503, 503, 200])
  assert.match((await app.inject('/startupz?verbose')).body, /^\[-\] store failed: the database is away$/m)
  isGood = true
  assert.deepEqual(await statuses(), [200, 200, 200])
  isGood = false
  assert.deepEqual(await statuses(), [200, 503, 200])
})
