import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { brotliCompressSync, brotliDecompressSync, gzipSync } from 'node:zlib'
import { fastify } from 'fastify'
import { registerDashboard } from './dashboard.ts'

function built(): string {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-web-'))
  mkdirSync(join(directory, 'assets'))
  const write = (name: string, text: string): void => {
    writeFileSync(join(directory, name), text)
    writeFileSync(join(directory, `${name}.br`), brotliCompressSync(text))
    writeFileSync(join(directory, `${name}.gz`), gzipSync(text))
  }
  write('index.html', '<!doctype html><title>Perennial</title>')
  write('assets/index-1234.js', 'console.log(1)')
  writeFileSync(join(directory, '.made-from'), 'secret of the build')
  return directory
}

function server(directory: string) {
  const app = fastify()
  app.get('/metrics', async () => 'metrics')
  registerDashboard(app, directory)
  return app
}

test('the page comes with a policy that allows no inline script, no inline style and nothing from elsewhere', async () => {
  const answer = await server(built()).inject('/')
  assert.equal(answer.statusCode, 200)
  const policy = String(answer.headers['content-security-policy'])
  assert.match(policy, /default-src 'none'/)
  assert.match(policy, /script-src 'self'(;|$)/)
  assert.match(policy, /style-src 'self'(;|$)/)
  assert.match(policy, /require-trusted-types-for 'script'/)
  assert.doesNotMatch(policy, /unsafe|\*|data:|https?:/)
  assert.equal(answer.headers['x-content-type-options'], 'nosniff')
  assert.equal(answer.headers['cache-control'], 'no-cache')
})

test('every address without a file is a page; the browser finds out which', async () => {
  const app = server(built())
  for (const path of ['/devices', '/devices/meter-1', '/campaigns/new?q=a', '/nowhere']) {
    const answer = await app.inject(path)
    assert.equal(answer.statusCode, 200, path)
    assert.match(answer.body, /<title>Perennial/)
  }
  assert.equal((await app.inject('/metrics')).body, 'metrics')
})

test('the API and files that were not built are not pages', async () => {
  const app = server(built())
  for (const path of [
    '/api/v1/nothing',
    '/assets/other.js',
    '/.made-from',
    '/index.html.br',
    '/favicon.ico',
  ]) {
    assert.equal((await app.inject(path)).statusCode, 404, path)
  }
})

test('no path of a request reaches the file system', async () => {
  const app = server(built())
  for (const path of [
    '/../package.json',
    '/assets/../../package.json',
    '/%2e%2e/%2e%2e/etc/hosts.txt',
    '/assets/..%2f.made-from',
    '//etc/hosts.txt',
    '//x.y',
    '/assets/%00.js',
  ]) {
    const answer = await app.inject(path)
    assert.ok([400, 404].includes(answer.statusCode), `${path} ${answer.statusCode}`)
  }
})

test('files whose names are made from their content are kept for ever, and sent as the browser takes them', async () => {
  const app = server(built())
  const url = '/assets/index-1234.js'
  const br = await app.inject({ url, headers: { 'accept-encoding': 'gzip, br' } })
  assert.equal(br.headers['content-encoding'], 'br')
  assert.match(String(br.headers['cache-control']), /immutable/)
  assert.match(String(br.headers['content-type']), /^text\/javascript/)
  assert.equal(brotliDecompressSync(br.rawPayload).toString(), 'console.log(1)')
  const gzip = await app.inject({ url, headers: { 'accept-encoding': 'gzip' } })
  assert.equal(gzip.headers['content-encoding'], 'gzip')
  const plain = await app.inject({ url })
  assert.equal(plain.headers['content-encoding'], undefined)
  assert.equal(plain.body, 'console.log(1)')
  const again = await app.inject({ url, headers: { 'if-none-match': String(plain.headers['etag']) } })
  assert.equal(again.statusCode, 304)
})

test('without a build the page says what to do', async () => {
  const answer = await server(join(tmpdir(), 'perennial-not-there')).inject('/')
  assert.equal(answer.statusCode, 503)
  assert.match(answer.body, /npm run build:web/)
})
