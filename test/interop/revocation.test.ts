/** Real verifiers with what we publish: each refuses the revoked device and accepts the good one. */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemClock } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import type { Engine } from '../../src/engine/context.ts'
import { currentCrl } from '../../src/engine/revocation/crl.ts'
import { publishNow } from '../../src/engine/revocation/crl-publish.ts'
import { issuerChain } from '../../src/engine/issuing/issuer.ts'
import { revokeDevice } from '../../src/engine/revocation/revoke.ts'
import { issueServerCertificate } from '../../src/engine/issuing/server-certificate.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { serveHttp, serverOptions } from '../../src/protocols/http-server.ts'
import { statusHandler, statusLimits } from '../../src/protocols/status.ts'
import { listen, type Listener } from '../../src/serve/listener.ts'
import {
  enrolDevice,
  issuingId,
  rootId,
  testActor,
  testEngine,
  type Enrolled,
  type TestEngine,
} from '../helpers/app.ts'
import { freePorts } from '../helpers/checkout.ts'
import { missing, programPath } from '../helpers/require.ts'
import { run } from '../helpers/run.ts'

const directory = mkdtempSync(join(tmpdir(), 'perennial-revocation-'))
chmodSync(directory, 0o755)
const children: ChildProcess[] = []

let rig: TestEngine
let engine: Engine
let status: Listener
let url: string
let good: Device
let revoked: Device
let caFile: string
let rootFile: string
let issuingFile: string
/** The complete CRL as it was before anything was revoked. */
let emptyCrl: Uint8Array

interface Device {
  readonly enrolled: Enrolled
  readonly certificateFile: string
  readonly keyFile: string
}

const write = (name: string, content: string): string => {
  const path = join(directory, name)
  writeFileSync(path, content)
  return path
}
const certificatePem = (der: Uint8Array): string => encodePem('CERTIFICATE', der)
const crlPem = (der: Uint8Array): string => encodePem('X509 CRL', der)

async function enrol(id: string): Promise<Device> {
  const enrolled = await enrolDevice(engine, id)
  const keyPem = enrolled.key.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  return {
    enrolled,
    certificateFile: write(`${id}.pem`, certificatePem(enrolled.certificate)),
    keyFile: write(`${id}.key`, keyPem),
  }
}

async function crl(kind: 'complete' | 'shard' | 'delta', issuerId = issuingId): Promise<Uint8Array> {
  const found = await currentCrl(engine, { issuerId, kind, shard: 0 })
  assert.ok(found)
  return found.der
}

before(async () => {
  const [port = 0] = await freePorts(1)
  url = `http://127.0.0.1:${port}`
  rig = await testEngine({ clock: systemClock, settings: { statusUrl: url } })
  engine = rig.engine
  const server = createServer(serverOptions(statusLimits))
  serveHttp(server, statusHandler(engine), statusLimits, systemClock)
  status = await listen(server, { host: '127.0.0.1', port, reusePort: false }, systemClock)
  good = await enrol('SN-good')
  revoked = await enrol('SN-revoked')
  const [issuing, root] = (await issuerChain(engine, issuingId)).map(certificatePem)
  issuingFile = write('issuing.pem', issuing as string)
  rootFile = write('root.pem', root as string)
  caFile = write('ca.pem', `${issuing}${root}`)
  await publishNow(engine)
  emptyCrl = await crl('complete')
  await revokeDevice(engine, 'SN-revoked' as DeviceId, { reason: 'keyCompromise', actor: testActor })
  await publishNow(engine)
})

after(async () => {
  for (const child of children) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  await status.stop(1_000)
  await rig.close()
  rmSync(directory, { recursive: true, force: true })
})

/** OK, or what `openssl verify` says. */
async function verify(device: Device, crls: readonly Uint8Array[], ...flags: string[]): Promise<string> {
  const all = [await crl('complete', rootId), ...crls].map(crlPem).join('')
  const { exitCode, stderr } = await run('openssl', [
    'verify',
    '-crl_check_all',
    '-x509_strict',
    ...flags,
    '-CAfile',
    rootFile,
    '-untrusted',
    issuingFile,
    '-CRLfile',
    write(`crls-${all.length}.pem`, all),
    device.certificateFile,
  ])
  return exitCode === 0 ? 'OK' : (/error \d+ at \d+ depth lookup: (.*)/.exec(stderr)?.[1] ?? stderr)
}

const openssl = { skip: missing('openssl') }

test('openssl verify with the complete CRL', openssl, async () => {
  assert.equal(await verify(good, [await crl('complete')]), 'OK')
  assert.equal(await verify(revoked, [await crl('complete')]), 'certificate revoked')
})

test('openssl verify with the shard that the certificate names', openssl, async () => {
  assert.equal(await verify(good, [await crl('shard')], '-extended_crl'), 'OK')
  assert.equal(await verify(revoked, [await crl('shard')], '-extended_crl'), 'certificate revoked')
})

test('openssl verify with an old complete CRL and the newest delta', openssl, async () => {
  const flags = ['-extended_crl', '-use_deltas']
  assert.equal(await verify(revoked, [emptyCrl], ...flags), 'OK', 'the old CRL alone does not know')
  assert.equal(await verify(revoked, [emptyCrl, await crl('delta')], ...flags), 'certificate revoked')
  assert.equal(await verify(good, [emptyCrl, await crl('delta')], ...flags), 'OK')
})

test('openssl verify fetches the CRL from where the certificate points', openssl, async () => {
  const args = ['verify', '-crl_check', '-crl_download', '-extended_crl', '-CAfile', rootFile]
  for (const [device, expected] of [
    [good, 0],
    [revoked, 2],
  ] as const) {
    const ran = await run('openssl', [...args, '-untrusted', issuingFile, device.certificateFile])
    assert.equal(ran.exitCode, expected, ran.stderr)
    if (expected !== 0) assert.match(ran.stderr, /certificate revoked/)
  }
})

for (const flags of [[], ['-no_nonce'], ['-sha256'], ['-sha256', '-no_nonce']]) {
  test(`openssl ocsp ${flags.join(' ')}`, openssl, async () => {
    for (const [device, expected] of [
      [good, /: good/],
      [revoked, /: revoked[\s\S]*Reason: keyCompromise/],
    ] as const) {
      const digest = flags.filter((flag) => flag === '-sha256')
      const { exitCode, stdout, stderr } = await run('openssl', [
        'ocsp',
        '-issuer',
        issuingFile,
        ...digest,
        '-cert',
        device.certificateFile,
        '-url',
        `${url}/ocsp`,
        '-CAfile',
        caFile,
        ...flags.filter((flag) => flag !== '-sha256'),
      ])
      assert.equal(exitCode, 0, stderr)
      assert.match(stderr, /Response verify OK/)
      assert.doesNotMatch(stderr, /WARNING/)
      assert.match(stdout.toString(), expected)
    }
  })
}

test('openssl ocsp about several, and about a number that was never issued', openssl, async () => {
  const { stdout, stderr } = await run('openssl', [
    'ocsp',
    '-issuer',
    issuingFile,
    '-cert',
    good.certificateFile,
    '-cert',
    revoked.certificateFile,
    '-serial',
    '0x4a4b4c',
    '-url',
    `${url}/ocsp`,
    '-CAfile',
    caFile,
  ])
  assert.match(stderr, /Response verify OK/)
  assert.match(stdout.toString(), /: good[\s\S]*: revoked[\s\S]*: unknown/)
})

test('GnuTLS ocsptool asks where the certificate says', { skip: missing('ocsptool') }, async () => {
  for (const [device, expected] of [
    [good, /Certificate Status: good/],
    [revoked, /Certificate Status: revoked/],
  ] as const) {
    const { exitCode, stdout, stderr } = await run('ocsptool', [
      '--ask',
      '--load-cert',
      device.certificateFile,
      '--load-issuer',
      issuingFile,
      '--load-trust',
      issuingFile,
    ])
    assert.equal(exitCode, 0, stderr + stdout.toString())
    assert.match(stdout.toString(), expected)
    assert.match(stdout.toString() + stderr, /Verifying OCSP Response: Success/)
  }
})

test('GnuTLS certtool with the complete CRLs', { skip: missing('certtool') }, async () => {
  const crls = write(
    'all.crl',
    (await Promise.all([crl('complete'), crl('complete', rootId)])).map(crlPem).join(''),
  )
  for (const [device, expected] of [
    [good, /Chain verification output: Verified/],
    [revoked, /revoked/],
  ] as const) {
    const input = certificatePem(device.enrolled.certificate) + (await issuerPem())
    const args = ['--verify', '--load-ca-certificate', rootFile, '--load-crl', crls]
    const { stdout } = await run('certtool', args, { input })
    assert.match(stdout.toString(), expected)
  }
})

async function issuerPem(): Promise<string> {
  return certificatePem((await issuerChain(engine, issuingId))[0] as Uint8Array)
}

/** A server certificate of ours: files of its chain and key. */
async function serverIdentity(): Promise<{ readonly chain: string; readonly key: string }> {
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const { der } = await issueServerCertificate(engine, {
    issuerId: issuingId,
    hostnames: ['localhost'],
    spki,
  })
  return {
    chain: write('server.pem', certificatePem(der) + (await issuerPem())),
    key: write('server.key', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
  }
}

async function start(program: string, args: readonly string[], port: number): Promise<void> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  children.push(child)
  let said = ''
  child.stderr.on('data', (text: Buffer) => (said += text.toString()))
  for (let left = 200; left > 0; left--) {
    if (await answers(port)) return
    await systemClock.sleep(25)
  }
  throw new Error(`${program} did not start: ${said}`)
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(socket.destroy() !== null))
    socket.once('error', () => resolve(false))
  })
}

test('nginx ssl_crl', { skip: missing('nginx', 'curl') }, async () => {
  const [port = 0] = await freePorts(1)
  const { chain, key } = await serverIdentity()
  const crls = write('nginx.crl', crlPem(await crl('complete')) + crlPem(await crl('complete', rootId)))
  const configuration = write(
    'nginx.conf',
    `daemon off; master_process off; pid ${directory}/nginx.pid; error_log stderr; ${process.getuid?.() === 0 ? 'user root;' : ''}
    events {}
    http {
      access_log off;
      ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')}
      server {
        listen 127.0.0.1:${port} ssl;
        ssl_certificate ${chain}; ssl_certificate_key ${key};
        ssl_client_certificate ${caFile}; ssl_verify_client on; ssl_verify_depth 2; ssl_crl ${crls};
        location / { return 200 "let in"; }
      }
    }`,
  )
  await start(programPath('nginx'), ['-c', configuration], port)
  const ask = async ({ certificateFile, keyFile }: Device): Promise<string> => {
    const args = [
      '-s',
      '--cacert',
      caFile,
      '--cert',
      certificateFile,
      '--key',
      keyFile,
      '-w',
      ' %{http_code}',
    ]
    return (await run('curl', [...args, `https://localhost:${port}/`])).stdout.toString()
  }
  assert.match(await ask(good), /let in 200$/)
  assert.match(await ask(revoked), /SSL certificate error[\s\S]* 400$/)
})

test('Mosquitto crlfile', { skip: missing('mosquitto', 'mosquitto_pub') }, async () => {
  const [port = 0] = await freePorts(1)
  const { chain, key } = await serverIdentity()
  const configuration = write(
    'mosquitto.conf',
    [
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      `listener ${port} 127.0.0.1`,
      `cafile ${caFile}`,
      `certfile ${chain}`,
      `keyfile ${key}`,
      `crlfile ${write('mosquitto.crl', crlPem(await crl('complete')))}`,
      'require_certificate true',
      'use_identity_as_username true',
      'allow_anonymous false',
      '',
    ].join('\n'),
  )
  await start(programPath('mosquitto'), ['-c', configuration], port)
  const publish = async ({ certificateFile, keyFile }: Device): Promise<number | null> => {
    const tls = ['--cafile', caFile, '--cert', certificateFile, '--key', keyFile]
    const args = ['-h', 'localhost', '-p', String(port), ...tls, '-t', 'a', '-m', 'b', '-q', '1']
    return (await run('mosquitto_pub', args, { timeoutMs: 10_000 })).exitCode
  }
  assert.equal(await publish(good), 0)
  assert.notEqual(await publish(revoked), 0)
})
