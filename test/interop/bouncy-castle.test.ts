/**
 * Bouncy Castle's EST client: Basic only after a 401 with a challenge, a body in a 401 or 202 breaks it, channel binding by
 * tls-unique on its own TLS 1.2 (docs/rfc/est.md).
 */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { after, before, test } from 'node:test'
import type { DeviceId } from '../../src/base/id.ts'
import { decideRequests } from '../../src/engine/issuing/approval.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { formatName } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { testActor } from '../helpers/app.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { missing } from '../helpers/require.ts'
import { runOk } from '../helpers/run.ts'
import { clientSource } from './bouncy-castle-client.ts'

const skip = missing('bouncycastle', 'javac')
const classPath = ['bcpkix', 'bcprov', 'bcutil', 'bctls']
  .map((name) => `/usr/share/java/${name}.jar`)
  .join(':')

let rig: EstRig
let client: ChildProcessByStdio<Writable, Readable, null>
let answers: AsyncIterator<string>

before(async () => {
  if (skip) return
  rig = await startEstRig({ limits: { headersTimeoutMs: 30_000, requestTimeoutMs: 30_000 } })
  writeFileSync(join(rig.directory, 'root.pem'), rig.rootPem)
  writeFileSync(join(rig.directory, 'EstRig.java'), clientSource)
  await runOk('javac', ['-cp', classPath, 'EstRig.java'], { cwd: rig.directory })
  const args = ['-cp', `${classPath}:${rig.directory}`, 'EstRig', `127.0.0.1:${rig.port}`, 'root.pem']
  client = spawn('java', args, { cwd: rig.directory, stdio: ['pipe', 'pipe', 'ignore'] })
  answers = createInterface({ input: client.stdout })[Symbol.asyncIterator]()
})

after(async () => {
  client?.stdin.end()
  await rig?.close()
})

/** One command, one line back. */
async function tell(command: string): Promise<string> {
  client.stdin.write(`${command}\n`)
  const { value, done } = await answers.next()
  assert.ok(!done, 'the client ended')
  return value
}

async function tellOk(command: string): Promise<string> {
  const answer = await tell(command)
  assert.match(answer, /^ok/, `${command}: ${answer.slice(0, 1_500)}`)
  return answer.slice(3)
}

function subjectOf(base64: string): string {
  return formatName(parseCertificate(Buffer.from(base64, 'base64')).subject)
}

/** A fresh client side: no label, no password, no identity. */
async function begin(version: string): Promise<void> {
  for (const command of [`tls ${version}`, 'label', 'nobasic', 'identity']) await tellOk(command)
}

for (const version of ['TLSv1.2', 'TLSv1.3']) {
  for (const kind of ['ec', 'rsa']) {
    test(`cacerts, enrol with Basic after a 401, renew: ${version}, ${kind}`, { skip }, async () => {
      const id = `bc-${kind}-${version}`
      const { username, password } = await rig.addDevice({ id })
      await begin(version)
      assert.equal((await tellOk('cacerts')).split(' ').length, 2)
      await tellOk(`basic ${username} ${password}`)
      await tellOk(`key ${id} ${kind}`)
      assert.equal(subjectOf(await tellOk(`enroll ${id} CN=${id},O=Example`)), `CN=${id},O=Example`)
      await tellOk('nobasic')
      await tellOk(`identity ${id}`)
      await tellOk(`key ${id}-2 ${kind}`)
      // it makes requests without a SAN, and a renewal keeps its names (RFC 7030 §4.2.2)
      assert.match(await tell(`reenroll ${id}-2 CN=${id},O=Example`), /^refused 403 .*SubjectAltName/)
      const renewed = await tellOk(`reenroll ${id}-2 CN=${id},O=Example urn:perennial:device:${id}`)
      assert.equal(subjectOf(renewed), `CN=${id},O=Example`)
    })
  }
}

test('csrattrs: what the profile asks for', { skip }, async () => {
  await begin('TLSv1.2')
  await tellOk('label linked')
  const types = (await tellOk('csrattrs')).split(' ')
  assert.ok(types.includes(oids.challengePassword))
  assert.ok(types.includes(oids.ecPublicKey))
  await tellOk('label open')
  assert.ok((await tellOk('csrattrs')).split(' ').includes(oids.extensionRequest))
  await tellOk('label')
  assert.equal((await tell('csrattrs')).trim(), 'ok')
})

test('proof-of-possession linking by tls-unique, for a first enrolment and a renewal', { skip }, async () => {
  const id = 'bc-linked'
  const { username, password } = await rig.addDevice({ id, profile: 'linked' })
  await begin('TLSv1.2')
  await tellOk('cacerts')
  await tellOk(`basic ${username} ${password}`)
  await tellOk(`key ${id} ec`)
  assert.match(await tell(`enroll ${id} CN=${id},O=Example`), /^refused 403 /)
  await tellOk(`enrollpop ${id} CN=${id},O=Example`)
  await tellOk(`identity ${id}`)
  await tellOk('nobasic')
  await tellOk(`key ${id}-2 ec`)
  await tellOk(`reenrollpop ${id}-2 CN=${id},O=Example urn:perennial:device:${id}`)
})

test('202: waits, and gets the certificate after the approval', { skip }, async () => {
  const id = 'bc-manual'
  const { username, password } = await rig.addDevice({ id, profile: 'manual' })
  await begin('TLSv1.2')
  await tellOk(`basic ${username} ${password}`)
  await tellOk(`key ${id} ec`)
  const waiting = await tell(`enroll ${id} CN=${id}`)
  assert.match(waiting, /^pending [1-9]\d*$/)
  assert.match(await tell('retry'), /^pending /)
  await decideRequests(rig.engine, { deviceId: id as DeviceId, decision: 'approved', actor: testActor })
  assert.equal(subjectOf(await tellOk('retry')), `CN=${id},O=Example`)
})

test('serverkeygen: key and certificate come together', { skip }, async () => {
  const id = 'bc-made'
  const { username, password } = await rig.addDevice({ id, profile: 'made' })
  await begin('TLSv1.2')
  await tellOk(`basic ${username} ${password}`)
  await tellOk(`key ${id} ec`)
  assert.equal(subjectOf(await tellOk(`keygen ${id} CN=${id}`)), `CN=${id},O=Example`)
})

test('a wrong secret is refused, and the reason of a refusal arrives', { skip }, async () => {
  const { username } = await rig.addDevice({ id: 'bc-wrong' })
  await begin('TLSv1.2')
  await tellOk('key bc-wrong ec')
  await tellOk(`basic ${username} guess`)
  assert.match(await tell('enroll bc-wrong CN=bc-wrong'), /^(refused 401|error)/)
  assert.match(await tell('reenroll bc-wrong CN=bc-wrong'), /^(refused|error)/)
})
