/** Stapled answers, as clients of others see them: what we fetch, given by nginx, haproxy and the TLS server of a device. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { createServer, type Server } from 'node:tls'
import { systemClock } from '../../src/base/clock.ts'
import { systemRandom } from '../../src/base/random.ts'
import { OcspStaple } from '../../src/agent/ocsp-staple.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { decodePem } from '../../src/pki/pem.ts'
import { revokeCertificate } from '../../src/engine/revocation/revoke.ts'
import { findByIssuerAndSerial } from '../../src/store/inventory.ts'
import { issuingId, testActor } from '../helpers/app.ts'
import { freePorts } from '../helpers/checkout.ts'
import { perennial } from '../helpers/perennial.ts'
import { missing, programPath } from '../helpers/require.ts'
import { run } from '../helpers/run.ts'
import { StatusRig } from '../helpers/status-rig.ts'

let rig: StatusRig
let root: string

before(async () => {
  rig = await StatusRig.open()
  root = rig.write('root.pem', (await rig.chainPem())[1] as string)
})
after(async () => await rig.close())

/** What `openssl s_client -status` sees. */
async function stapled(port: number): Promise<string> {
  const args = [
    's_client',
    '-connect',
    `127.0.0.1:${port}`,
    '-servername',
    'localhost',
    '-status',
    '-CAfile',
    root,
  ]
  return (await run('openssl', args, { input: '' })).stdout.toString()
}

async function curlStatus(port: number): Promise<number | null> {
  const args = ['-s', '-o', '/dev/null', '--cert-status', '--cacert', root, `https://localhost:${port}/`]
  return (await run('curl', args)).exitCode
}

/** Of curl: the server gave no, or no good, status. */
const noStatus = 91

test(
  'nginx with the file of `perennial ocsp fetch`: curl --cert-status',
  { skip: missing('nginx', 'curl', 'openssl') },
  async () => {
    const { chain, key } = await rig.serverIdentity('nginx')
    const file = rig.path('nginx.ocsp')
    const fetched = await perennial(['ocsp', 'fetch', chain, '--out', file, '--json'], { cwd: rig.directory })
    assert.equal(fetched.exitCode, 0, fetched.stderr)
    assert.equal(JSON.parse(fetched.stdout)[0].status, 'good')
    const [port = 0, bare = 0] = await freePorts(2)
    const server = (on: number, more: string): string =>
      rig.nginxConf(`listen 127.0.0.1:${on} ssl; ssl_certificate ${chain}; ssl_certificate_key ${key}; ${more}
      location / { return 200 "hello"; }`)
    const stapling = `ssl_stapling on; ssl_stapling_file ${file};`
    await rig.start(programPath('nginx'), ['-c', rig.write('staple.conf', server(port, stapling))], port)
    assert.equal(await curlStatus(port), 0)
    assert.match(await stapled(port), /OCSP Response Status: successful[\s\S]*Cert Status: good/)
    await rig.start(programPath('nginx'), ['-c', rig.write('bare.conf', server(bare, ''))], bare)
    assert.equal(await curlStatus(bare), noStatus, 'without the file curl refuses')
  },
)

test('haproxy with FILE.ocsp beside the certificate', { skip: missing('haproxy', 'curl') }, async () => {
  const { chain, key } = await rig.serverIdentity('haproxy')
  const pem = rig.write('haproxy.pem', readFileSync(chain, 'utf8') + readFileSync(key, 'utf8'))
  const fetched = await perennial(['ocsp', 'fetch', pem], { cwd: rig.directory })
  assert.equal(fetched.exitCode, 0, fetched.stderr)
  const [port = 0] = await freePorts(1)
  const conf = rig.write(
    'haproxy.cfg',
    `defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  bind 127.0.0.1:${port} ssl crt ${pem}
  http-request return status 200 content-type text/plain string hello
`,
  )
  await rig.start(programPath('haproxy'), ['-f', conf, '-db'], port)
  assert.equal(await curlStatus(port), 0)
  assert.match(await stapled(port), /Cert Status: good/)
})

test(
  'the TLS server of a device, with the staple of the agent library',
  { skip: missing('curl', 'openssl') },
  async () => {
    const { chain, key } = await rig.serverIdentity('device')
    const [leaf, issuer] = decodePem(readFileSync(chain, 'utf8')).map(({ der }) => parseCertificate(der))
    assert.ok(leaf && issuer)
    const staple = new OcspStaple({
      clock: systemClock,
      random: systemRandom,
      subject: async () => ({ leaf, issuer }),
    })
    const server: Server = createServer({ cert: readFileSync(chain), key: readFileSync(key) }, (socket) => {
      socket.on('error', () => undefined)
      socket.resume()
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    })
    staple.attach(server)
    server.on('tlsClientError', () => undefined)
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    assert.equal(await curlStatus(port), noStatus, 'nothing is fetched yet')
    await staple.refresh(new AbortController().signal)
    assert.equal(await curlStatus(port), 0)
    assert.match(await stapled(port), /Cert Status: good/)
    await new Promise((done) => server.close(done))
  },
)

test('what is revoked gets no file, and the one that stands there is left alone', async () => {
  const { chain } = await rig.serverIdentity('revoked')
  const file = rig.path('revoked.ocsp')
  assert.equal((await perennial(['ocsp', 'fetch', chain, '--out', file], { cwd: rig.directory })).exitCode, 0)
  const standing = readFileSync(file)
  const { serialNumber } = parseCertificate(decodePem(readFileSync(chain, 'utf8'))[0]?.der as Uint8Array)
  const record = await findByIssuerAndSerial(rig.engine.store.db, issuingId, serialNumber)
  assert.ok(record)
  await revokeCertificate(rig.engine, record, {
    reason: 'keyCompromise',
    actor: testActor,
  })
  const again = await perennial(['ocsp', 'fetch', chain, '--out', file], { cwd: rig.directory })
  assert.equal(again.exitCode, 4)
  assert.match(again.stderr, /is revoked: nothing is written/)
  assert.deepEqual(readFileSync(file), standing)
})
