import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Duplex } from 'node:stream'
import { after, before, suite, test } from 'node:test'
import { createServer, type TLSSocket } from 'node:tls'
import { makeCertificate, san, type TestCertificate } from '../../test/helpers/certificates.ts'
import { freePorts } from '../../test/helpers/checkout.ts'
import { missing } from '../../test/helpers/require.ts'
import { dayMs, systemClock } from '../base/clock.ts'
import { encodeExtendedKeyUsage } from '../pki/extension-values.ts'
import { makeExtension } from '../pki/extensions.ts'
import { oids } from '../pki/oid.ts'
import { encodePem } from '../pki/pem.ts'
import { writeFile } from './agent-directory.ts'
import { opensslTls } from './openssl-tls.ts'
import type { TlsTarget } from './tls-key.ts'

// OpenSSL looks at the real clock.
const now = Math.floor(systemClock.now() / 1000) * 1000
const life = { notBefore: now - dayMs, notAfter: now + dayMs }
const root = makeCertificate({ ...life, subject: 'CN=root' })
const between = makeCertificate({ ...life, subject: 'CN=between', issuer: root, ca: true })
const device = makeCertificate({ ...life, subject: 'CN=device-1', issuer: between })
const serverAuth = makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.serverAuth]))
const names = san('dns:localhost', 'ip:127.0.0.1')
const leaf = makeCertificate({
  ...life,
  issuer: root,
  subject: 'CN=localhost',
  extensions: [names, serverAuth],
})

const pemOf = ({ certificate }: TestCertificate): string => encodePem('CERTIFICATE', certificate.der)
const keyOf = ({ keys }: TestCertificate): string =>
  keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string

suite('TLS through openssl s_client', { skip: missing('openssl') }, () => {
  const directory = mkdtempSync(join(tmpdir(), 'perennial-tls-'))
  let onSocket: (socket: TLSSocket) => void = () => undefined
  let connections = 0
  const server = createServer(
    { cert: pemOf(leaf), key: keyOf(leaf), ca: pemOf(root), requestCert: true, rejectUnauthorized: true },
    (socket) => {
      connections++
      socket.on('error', () => undefined)
      onSocket(socket)
    },
  )
  before(() => new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve)))
  after(() => {
    server.close()
    rmSync(directory, { recursive: true })
  })

  const keyFile = join(directory, 'device.key')
  writeFileSync(keyFile, keyOf(device), { mode: 0o600 })
  const connector = opensslTls({
    keyArgs: ['-key', keyFile],
    env: {},
    directory,
    slot: 'a',
    write: writeFile,
  })

  async function connect(
    target: Partial<TlsTarget> = {},
    signal = new AbortController().signal,
  ): Promise<Duplex> {
    const { port } = server.address() as AddressInfo
    const chainPem = pemOf(device) + pemOf(between)
    const whole = { host: '127.0.0.1', port, serverName: 'localhost', trustPem: pemOf(root), chainPem }
    return await connector.connect({ ...whole, ...target }, signal)
  }

  /** All that comes until the end, or the error in its place. */
  async function read(stream: Duplex): Promise<Buffer> {
    const chunks: Uint8Array[] = []
    for await (const chunk of stream as AsyncIterable<Uint8Array>) chunks.push(chunk)
    return Buffer.concat(chunks)
  }

  const codeOf = (error: unknown): string =>
    error instanceof Error && 'code' in error ? String(error.code) : ''

  test('carries any bytes both ways, also such as a person would type as commands', async () => {
    const sent = Buffer.concat([Buffer.from('Q\nR\nk\nB\r\n\0\u001a\u0004'), randomBytes(300_000)])
    onSocket = (socket) => {
      let size = 0
      socket.on('data', (chunk) => {
        size += chunk.length
        socket.write(chunk)
        if (size === sent.length) socket.end()
      })
    }
    const stream = await connect()
    for (const command of ['Q\n', 'R\n'])
      stream.write(sent.subarray(sent.indexOf(command), sent.indexOf(command) + 2))
    stream.write(sent.subarray(4))
    assert.deepEqual(await read(stream), sent)
  })

  test('presents the certificate with what leads to its CA, each once', async () => {
    const seen = new Promise<string[]>((resolve) => {
      onSocket = (socket) => {
        const peer = socket.getPeerCertificate(true)
        resolve([peer.subject.CN, peer.issuerCertificate.subject.CN].map(String))
        socket.end()
      }
    })
    await read(await connect())
    assert.deepEqual(await seen, ['device-1', 'between'])
  })

  test('a server of another name, another address or another CA is shown no certificate and no byte', async () => {
    const stranger = makeCertificate({ ...life, subject: 'CN=stranger' })
    connections = 0
    onSocket = () => assert.fail('no connection may come about')
    for (const target of [
      { serverName: 'other.example' },
      { serverName: '127.0.0.9' },
      { trustPem: pemOf(stranger) },
    ]) {
      const stream = await connect(target)
      stream.write('secret')
      await assert.rejects(read(stream), (error) => {
        assert.match(String(error), /certificate verify failed/)
        return true
      })
    }
    assert.equal(connections, 0)
    onSocket = (socket) => socket.end('hello')
    assert.equal((await read(await connect({ serverName: '127.0.0.1' }))).toString(), 'hello')
  })

  test('the server must be valid at the instant that is given', async () => {
    onSocket = (socket) => socket.end('hello')
    const at = systemClock.now()
    assert.equal((await read(await connect({ at }))).toString(), 'hello')
    for (const years of [-3_650, 3_650]) {
      const stream = await connect({ at: at + years * dayMs })
      await assert.rejects(read(stream), /certificate verify failed/)
    }
  })

  test('an alert about the certificate of the device is told as Node tells it', async () => {
    const other = makeCertificate({ ...life, subject: 'CN=other root' })
    const unknown = makeCertificate({
      ...life,
      subject: 'CN=device-1',
      issuer: other,
      keys: device.keys,
    })
    // Node closes such a connection without an alert
    const files = { 'root.pem': pemOf(root), 'server.pem': pemOf(leaf) + keyOf(leaf) }
    for (const [name, pem] of Object.entries(files))
      writeFileSync(join(directory, name), pem, { mode: 0o600 })
    const [port = 0] = await freePorts(1)
    const identity = ['-cert', 'server.pem', '-key', 'server.pem', '-CAfile', 'root.pem']
    const args = [
      's_server',
      '-accept',
      `127.0.0.1:${port}`,
      ...identity,
      '-Verify',
      '3',
      '-verify_return_error',
    ]
    const judge = spawn('openssl', args, { cwd: directory })
    try {
      for await (const line of createInterface(judge.stdout)) if (line === 'ACCEPT') break
      await assert.rejects(read(await connect({ port, chainPem: pemOf(unknown) })), (error) => {
        assert.match(codeOf(error), /^ERR_SSL_.*ALERT.*(?:CERTIFICATE|UNKNOWN_CA)/)
        return true
      })
    } finally {
      judge.kill('SIGKILL')
    }
  })

  test('ends with its signal, and a port that is shut is an error', async () => {
    const stop = new AbortController()
    onSocket = () => undefined
    const stream = await connect({}, stop.signal)
    const closed = new Promise<void>((resolve) => void stream.once('close', resolve))
    stop.abort()
    await closed
    await assert.rejects(read(await connect({ port: 1 })), /onnection refused|connect/)
  })

  test('writes its files only when they have changed', async () => {
    onSocket = (socket) => socket.end()
    let writes = 0
    const counting = opensslTls({
      keyArgs: ['-key', keyFile],
      env: {},
      directory,
      slot: 'b',
      write: async (...written) => {
        writes++
        await writeFile(...written)
      },
    })
    const { port } = server.address() as AddressInfo
    const target = { host: '127.0.0.1', port, serverName: 'localhost', trustPem: pemOf(root) }
    for (let times = 0; times < 2; times++) {
      const { signal } = new AbortController()
      await read(await counting.connect({ ...target, chainPem: pemOf(device) + pemOf(between) }, signal))
    }
    assert.equal(writes, 2)
    assert.deepEqual(
      readdirSync(directory)
        .filter((name) => name.startsWith('tls-'))
        .sort(),
      ['tls-a-chain.pem', 'tls-a.pem', 'tls-b-chain.pem', 'tls-b.pem', 'tls-trust.pem'],
    )
  })
})
