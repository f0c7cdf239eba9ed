import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { X509Certificate } from 'node:crypto'
import { createInstallation, type TestInstallation, testPassphrase } from '../test/helpers/installation.ts'
import { EstClient } from './agent/est-client.ts'
import { openApp } from './app.ts'
import { systemClock } from './base/clock.ts'
import { Refusal } from './base/errors.ts'
import { enrolDemoFleet } from './demo.ts'
import type { Engine } from './engine/context.ts'
import { devicePage } from './engine/inventory/inventory.ts'
import { serve, type ServeOptions, type Serving } from './serve.ts'
import { listCertificates } from './store/inventory.ts'
import { roles } from './config/schema.ts'

let installation: TestInstallation
before(async () => {
  installation = await createInstallation()
})
after(() => installation.close())

function start(options: Partial<ServeOptions> = {}): Promise<Serving> {
  const passphrase = async () => testPassphrase
  return serve(installation.app, {
    roles,
    workers: 1,
    version: '0.0.0',
    passphrase,
    env: process.env,
    ...options,
  })
}

function client({ endpoints }: Serving): EstClient {
  return new EstClient({ url: endpoints.est ?? '', trustPem: installation.rootPem, clock: systemClock })
}

async function text(url: string): Promise<{ status: number; body: string }> {
  const answer = await fetch(url)
  return { status: answer.status, body: await answer.text() }
}

test('runs every role, and the demo fleet enrols over it; a second time it is there already', async () => {
  const serving = await start()
  try {
    const { engine } = installation.app
    const lines: string[] = []
    const first = await enrolDemoFleet(installation.app, serving, { print: (line) => lines.push(line) })
    assert.deepEqual(first, { enrolled: 12, alreadyThere: 0 })
    assert.equal(lines.length, 12)
    const second = await enrolDemoFleet(installation.app, serving, { print: () => {} })
    assert.deepEqual(second, { enrolled: 0, alreadyThere: 12 })
    while ((await confirmed(engine)) < 12) await systemClock.sleep(50)
    const devices = await devicePage(engine, { limit: 100 })
    assert.ok(devices.rows.every(({ lastSeenAt, state }) => lastSeenAt !== null && state === 'active'))

    const ready = await text(`${serving.endpoints.admin}/readyz?verbose`)
    assert.equal(ready.status, 200, ready.body)
    const metrics = await text(`${serving.endpoints.admin}/metrics`)
    assert.match(metrics.body, /perennial_requests_total\{.*operation="simpleenroll",result="issued"\} 12/)
    assert.match(metrics.body, /perennial_issuer_not_after_seconds\{issuer="issuing"\} \d+/)
    assert.doesNotMatch(metrics.body, /demo-/)
  } finally {
    await serving.stop()
  }
  await assert.rejects(text(`${serving.endpoints.status}/`))
})

/** Sightings are written in batches by a job. */
async function confirmed({ store }: Engine): Promise<number> {
  const { rows } = await listCertificates(store.db, { filter: { status: 'confirmed' }, limit: 100 })
  return rows.length
}

test('the status endpoint gives CA certificates with validators, and nothing else', async () => {
  const serving = await start({ roles: ['status'] })
  try {
    const { status } = serving.endpoints
    const answer = await fetch(`${status}/ca/issuing.cer`)
    assert.equal(answer.headers.get('content-type'), 'application/pkix-cert')
    const issuing = new X509Certificate(Buffer.from(await answer.arrayBuffer()))
    assert.match(issuing.subject, /CN=Issuing CA/)
    const etag = answer.headers.get('etag') ?? ''
    const known = await fetch(`${status}/ca/issuing.cer`, { headers: { 'If-None-Match': etag } })
    assert.equal(known.status, 304)
    const changed = answer.headers.get('last-modified') ?? ''
    const since = { 'If-Modified-Since': changed }
    assert.equal((await fetch(`${status}/ca/issuing.cer`, { headers: since })).status, 304)
    const stale = { 'If-None-Match': '"other"', ...since }
    assert.equal((await fetch(`${status}/ca/issuing.cer`, { headers: stale })).status, 200)
    const head = await fetch(`${status}/ca/root.cer`, { method: 'HEAD' })
    assert.equal(head.status, 200)
    assert.match(head.headers.get('cache-control') ?? '', /max-age=\d+/)
    for (const path of ['/ca/other.cer', '/ca/', '/ca/..%2f..%2fpasswd', '/keys/root']) {
      assert.equal((await fetch(`${status}${path}`)).status, 404, path)
    }
    const post = await fetch(`${status}/ca/root.cer`, { method: 'POST', body: 'x' })
    assert.equal(post.status, 405)
    assert.equal(post.headers.get('allow'), 'GET, HEAD')
    assert.match((await text(`${status}/`)).body, /CA certificates are under/)
    assert.equal(serving.endpoints.est, null)
  } finally {
    await serving.stop()
  }
})

test('an address in use is a refusal, and what had been started is stopped again', async () => {
  const { app } = installation
  const first = await start({ roles: ['est'] })
  const port = Number(new URL(first.endpoints.est ?? '').port)
  const config = { ...app.config, admin: { ...app.config.admin, port } }
  const passphrase = async () => testPassphrase
  const options = { roles, workers: 1, version: '0.0.0', passphrase, env: {} }
  const second = serve({ ...app, config }, options)
  await assert.rejects(second, (error) => error instanceof Refusal && /already in use/.test(error.message))
  await first.stop()
})

test('TLS workers share the port and the store; one that dies is replaced; a stop ends them all', async () => {
  const serving = await start({ workers: 2 })
  const port = Number(new URL(serving.endpoints.est ?? '').port)
  try {
    const fleet = await enrolDemoFleet(installation.app, serving, { print: () => {} })
    assert.equal(fleet.enrolled + fleet.alreadyThere, 12)
    for (let i = 0; i < 20; i++) assert.equal((await client(serving).cacerts()).length, 2)
    const requests = await answered(serving)
    assert.ok(requests >= 20, `${requests} requests in the metrics of both workers`)
    const [victim] = serving.workerProcessIds()
    assert.ok(victim)
    process.kill(victim, 'SIGKILL')
    while (serving.workerProcessIds().length < 2 || serving.workerProcessIds().includes(victim)) {
      await systemClock.sleep(50)
    }
    for (let i = 0; i < 20; i++) assert.equal((await client(serving).cacerts()).length, 2)
    assert.equal((await text(`${serving.endpoints.admin}/readyz`)).status, 200)
  } finally {
    await serving.stop()
  }
  assert.deepEqual(serving.workerProcessIds(), [])
  const socket = connect(port, '127.0.0.1')
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  assert.equal(error.code, 'ECONNREFUSED')
})

async function answered(serving: Serving): Promise<number> {
  const { body } = await text(`${serving.endpoints.admin}/metrics`)
  const lines = body.match(/^perennial_requests_total\{.*operation="cacerts".*\} \d+$/gm) ?? []
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}

test('a wrong passphrase is found before anybody listens', async () => {
  const { app } = installation
  const { dataDirectory, config } = app
  const wrong = await openApp({
    dataDirectory,
    config,
    env: {},
    passphrase: async () => 'not the passphrase',
  })
  const passphrase = async () => testPassphrase
  const options = { roles, workers: 1, version: '0.0.0', passphrase, env: {} }
  await assert.rejects(
    serve(wrong, options),
    (error) => error instanceof Refusal && error.code === 'passphrase-wrong',
  )
  await wrong.close()
})

test('a worker that cannot start is a refusal with its reason', async () => {
  const wrong = start({ workers: 2, passphrase: async () => 'not the passphrase' })
  await assert.rejects(wrong, (error) => error instanceof Refusal && /passphrase/.test(error.message))
})
