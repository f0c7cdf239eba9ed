/**
 * Servers of others with the configuration that we write and files that the watcher keeps: each lets the good device in, and
 * refuses the revoked one as soon as the watcher has been there.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { parse } from 'yaml'
import type { DeviceId } from '../../src/base/id.ts'
import { systemClock } from '../../src/base/clock.ts'
import { verifierFiles } from '../../src/cli/verifier-files.ts'
import { currentCrl } from '../../src/engine/revocation/crl.ts'
import { publishNow } from '../../src/engine/revocation/crl-publish.ts'
import { revokeDevice } from '../../src/engine/revocation/revoke.ts'
import { encodePem } from '../../src/pki/pem.ts'
import type { VerifierServer } from '../../src/protocols/verifier-conf.ts'
import { issuingId, testActor } from '../helpers/app.ts'
import { freePorts } from '../helpers/checkout.ts'
import { perennial } from '../helpers/perennial.ts'
import { missing, programPath } from '../helpers/require.ts'
import { run } from '../helpers/run.ts'
import { StatusRig, type DeviceFiles } from '../helpers/status-rig.ts'

let rig: StatusRig
let root: string
let good: DeviceFiles

before(async () => {
  rig = await StatusRig.open()
  root = rig.write('root.pem', (await rig.chainPem())[1] as string)
  good = await rig.enrol('good')
  await publishNow(rig.engine)
})
after(async () => await rig.close())

/** A directory as `perennial verifier config` writes it. @returns its path and the directives */
async function configured(
  server: VerifierServer,
  reload: string,
  directory: string = server,
): Promise<{ path: string; text: string }> {
  const path = rig.path(directory)
  mkdirSync(path)
  const files = await verifierFiles(rig.engine, { server, path, reload })
  for (const [name, content] of files) writeFileSync(join(path, name), content)
  return { path, text: [...files.values()][0] as string }
}

async function watch(
  path: string,
): Promise<{ exitCode: number | null; isChanged: boolean; problems: string[] }> {
  const args = ['verifier', 'agent', '--config', join(path, 'verifier.json'), '--once', '--json']
  const { exitCode, stdout, stderr } = await perennial(args, { cwd: rig.directory })
  assert.ok(exitCode === 0 || exitCode === 1, stderr)
  return { exitCode, ...JSON.parse(stdout) }
}

/** Revokes a device that the server lets in, publishes, and lets the watcher look. */
async function revokedUnderWatch(
  id: string,
  path: string,
  isLetIn: (device: DeviceFiles) => Promise<boolean>,
): Promise<void> {
  const victim = await rig.enrol(id)
  await watch(path)
  assert.ok(await isLetIn(good), 'the good one is let in')
  assert.ok(await isLetIn(victim), 'the other one is let in before')
  await revokeDevice(rig.engine, id as DeviceId, { reason: 'keyCompromise', actor: testActor })
  await publishNow(rig.engine)
  const { exitCode, isChanged, problems } = await watch(path)
  assert.deepEqual([exitCode, isChanged, problems], [0, true, []])
  let isRefused = false
  for (let left = 40; left > 0 && !isRefused; left--) {
    isRefused = !(await isLetIn(victim))
    if (!isRefused) await systemClock.sleep(50)
  }
  assert.ok(isRefused, 'the revoked one is refused after the watcher was there')
  assert.ok(await isLetIn(good), 'the good one is still let in')
  assert.equal((await watch(path)).isChanged, false)
}

const https =
  (port: number) =>
  async ({ certificateFile, keyFile }: DeviceFiles): Promise<boolean> => {
    const tls = ['--cacert', root, '--cert', certificateFile, '--key', keyFile]
    const { stdout } = await run('curl', ['-s', ...tls, '-w', ' %{http_code}', `https://localhost:${port}/`])
    return stdout.toString().includes('let in 200')
  }

test('nginx', { skip: missing('nginx', 'curl') }, async () => {
  const [port = 0] = await freePorts(1)
  const { chain, key } = await rig.serverIdentity('nginx-server')
  const { path, text } = await configured('nginx', `kill -HUP $(cat ${rig.path('nginx.pid')})`)
  const conf =
    rig.nginxConf(`listen 127.0.0.1:${port} ssl; ssl_certificate ${chain}; ssl_certificate_key ${key};
    ${text}
    location / { return 200 "let in"; }`)
  await rig.start(programPath('nginx'), ['-c', rig.write('verify.conf', conf)], port)
  await revokedUnderWatch('nginx-victim', path, https(port))
})

test('haproxy', { skip: missing('haproxy', 'curl') }, async () => {
  const [port = 0] = await freePorts(1)
  const { chain, key } = await rig.serverIdentity('haproxy-server')
  const pem = rig.write('haproxy-server-all.pem', readFileSync(chain, 'utf8') + readFileSync(key, 'utf8'))
  const { path, text } = await configured('haproxy', `kill -USR2 $(cat ${rig.path('haproxy.pid')})`)
  const bind = text
    .split('\n')
    .find((line) => line.startsWith('bind '))
    ?.replace(':443', `127.0.0.1:${port}`)
    .replace('/etc/haproxy/certs/server.pem', pem)
  const conf = rig.write(
    'verify.cfg',
    `global
  hard-stop-after 1s
defaults
  mode http
  timeout connect 5s
  timeout client 5s
  timeout server 5s
frontend f
  ${bind}
  http-request return status 200 content-type text/plain string "let in"
`,
  )
  await rig.start(programPath('haproxy'), ['-W', '-f', conf, '-p', rig.path('haproxy.pid')], port)
  await revokedUnderWatch('haproxy-victim', path, https(port))
})

test('Mosquitto', { skip: missing('mosquitto', 'mosquitto_pub') }, async () => {
  const [port = 0] = await freePorts(1)
  const { chain, key } = await rig.serverIdentity('broker')
  const pidFile = rig.path('mosquitto.pid')
  const { path, text } = await configured('mosquitto', `kill -HUP $(cat ${pidFile})`)
  const conf = [
    ...(process.getuid?.() === 0 ? ['user root'] : []),
    `pid_file ${pidFile}`,
    `listener ${port} 127.0.0.1`,
    `certfile ${chain}`,
    `keyfile ${key}`,
    text,
    'allow_anonymous false',
    '',
  ].join('\n')
  const child = await rig.start(
    programPath('mosquitto'),
    ['-c', rig.write('verify-mosquitto.conf', conf)],
    port,
  )
  writeFileSync(pidFile, String(child.pid))
  await revokedUnderWatch('mosquitto-victim', path, async ({ certificateFile, keyFile }) => {
    const tls = ['--cafile', root, '--cert', certificateFile, '--key', keyFile]
    const args = ['-h', 'localhost', '-p', String(port), ...tls, '-t', 'a', '-m', 'b', '-q', '1']
    return (await run('mosquitto_pub', args, { timeoutMs: 10_000 })).exitCode === 0
  })
})

test('Envoy: the file is YAML and names the files', async () => {
  const { path, text } = await configured('envoy', 'true')
  const [secret] = parse(text).resources
  assert.deepEqual(secret.validation_context, {
    trusted_ca: { filename: `${path}/trust.pem` },
    crl: { filename: `${path}/crl.pem` },
    watched_directory: { path },
  })
})

test('nginx ssl_ocsp asks our responder', { skip: missing('nginx', 'curl') }, async () => {
  const [port = 0] = await freePorts(1)
  const { chain, key } = await rig.serverIdentity('ocsp-server')
  const ca = rig.write('ocsp-ca.pem', (await rig.chainPem()).join(''))
  const conf = rig
    .nginxConf(`listen 127.0.0.1:${port} ssl; ssl_certificate ${chain}; ssl_certificate_key ${key};
    ssl_client_certificate ${ca}; ssl_verify_client on; ssl_verify_depth 3;
    ssl_session_cache off; ssl_session_tickets off;
    ssl_ocsp leaf; ssl_ocsp_responder ${rig.url}/ocsp; resolver 127.0.0.1;
    location / { return 200 "let in"; }`)
    .replace('nginx.pid', 'nginx-ocsp.pid')
  await rig.start(programPath('nginx'), ['-c', rig.write('ocsp.conf', conf)], port)
  const isLetIn = https(port)
  const victim = await rig.enrol('ocsp-victim')
  assert.ok((await isLetIn(good)) && (await isLetIn(victim)))
  await revokeDevice(rig.engine, 'ocsp-victim' as DeviceId, { reason: 'keyCompromise', actor: testActor })
  assert.equal(await isLetIn(victim), false, 'at once: nothing is published for it')
  assert.ok(await isLetIn(good))
})

test('the watcher repeats a reload that failed, and keeps the last good files while the platform is away', async () => {
  const { path } = await configured('nginx', 'false', 'lies')
  const read = (): string => readFileSync(join(path, 'crl.pem'), 'utf8')
  const first = read()
  // a newer CRL comes; its reload fails, and is tried again by the next pass
  await rig.enrol('lies-victim')
  await revokeDevice(rig.engine, 'lies-victim' as DeviceId, { reason: 'keyCompromise', actor: testActor })
  await publishNow(rig.engine)
  const failed = await watch(path)
  assert.deepEqual([failed.exitCode, failed.isChanged], [1, true])
  assert.match(failed.problems.join(), /reload command ended with 1/)
  const second = read()
  assert.notEqual(second, first)
  const newest = await currentCrl(rig.engine, { issuerId: issuingId, kind: 'complete', shard: 0 })
  assert.ok(newest)
  assert.ok(second.includes(encodePem('X509 CRL', newest.der)))
  const settings = JSON.parse(readFileSync(join(path, 'verifier.json'), 'utf8'))
  const away = { ...settings, statusUrl: 'http://127.0.0.1:9', reload: null }
  writeFileSync(join(path, 'verifier.json'), JSON.stringify(away))
  const alone = await watch(path)
  assert.deepEqual([alone.exitCode, alone.isChanged], [1, false])
  assert.match(alone.problems.join(), /is not reached/)
  assert.equal(read(), second)
})
