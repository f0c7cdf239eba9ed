/** EST as devices see it: statuses, headers and bodies of every operation, byte by byte. */
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import { after, before, test } from 'node:test'
import { dayMs, hourMs } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { decideRequests } from '../../src/engine/issuing/approval.ts'
import { retireDue } from '../../src/engine/renewals/retire.ts'
import { flushSightings } from '../../src/engine/renewals/sighting.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { parseCertsOnly } from '../../src/pki/cms.ts'
import { formatName } from '../../src/pki/name-text.ts'
import { findByIssuerAndSerial } from '../../src/store/inventory.ts'
import { issuingId, testActor } from '../helpers/app.ts'
import { createKey } from '../helpers/ca.ts'
import { type EstRig, startEstRig } from '../helpers/est-rig.ts'
import { ask, openTls, post, readAnswer, requestText } from './raw-client.ts'
import { basic, certificateIn, enrolRigDevice, renewal, renewRaw, renewRigDevice } from './rig-device.ts'

let rig: EstRig
before(async () => {
  rig = await startEstRig()
})
after(() => rig.close())

async function statusIn(certificate: Uint8Array): Promise<string | undefined> {
  const { serialNumber } = parseCertificate(certificate)
  return (await findByIssuerAndSerial(rig.engine.store.db, issuingId, serialNumber))?.status
}

test('cacerts: the whole chain, root included, without any authentication', async () => {
  const answer = await ask(rig, { path: 'cacerts' })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'application/pkcs7-mime; smime-type=certs-only')
  const certificates = parseCertsOnly(Buffer.from(answer.body, 'base64')).map(parseCertificate)
  const issuers = certificates.map(({ subject, issuer }) => `${formatName(subject)} by ${formatName(issuer)}`)
  assert.equal(certificates.length, 2, issuers.join(', '))
  assert.ok(certificates.some(({ subjectDer, issuerDer }) => Buffer.compare(subjectDer, issuerDer) === 0))
  const labelled = await ask(rig, { path: 'meter/cacerts' })
  assert.equal(labelled.body, answer.body)
  const head = await ask(rig, { path: 'cacerts', method: 'GET' })
  assert.equal(head.status, 200)
})

test('csrattrs: those of the label, and an empty list without one', async () => {
  const labelled = await ask(rig, { path: 'linked/csrattrs' })
  assert.equal(labelled.status, 200)
  assert.equal(labelled.headers.get('content-type'), 'application/csrattrs')
  assert.ok(labelled.body.length > 50)
  const bare = await ask(rig, { path: 'csrattrs' })
  assert.equal(bare.body, 'MAA=')
})

test('simpleenroll: 401 first, then the certificate for the secret; names are those of the record', async () => {
  const credentials = await rig.addDevice({ id: 'first' })
  const csr = createKey().csr({ subject: 'CN=somebody else', subjectAltNames: ['dns:evil.example'] })
  const challenge = await ask(rig, post('simpleenroll', csr))
  assert.equal(challenge.status, 401)
  const wrong = await ask(rig, post('simpleenroll', csr, [basic({ ...credentials, password: 'wrong' })]))
  assert.equal(wrong.status, 401)
  const answer = await ask(rig, post('simpleenroll', csr, [basic(credentials)]))
  assert.equal(answer.status, 200, answer.body)
  assert.equal(answer.headers.get('content-type'), 'application/pkcs7-mime; smime-type=certs-only')
  assert.equal(formatName(parseCertificate(certificateIn(answer)).subject), 'CN=first,O=Example')
})

test('takes base64 in one line, wrapped with LF or CRLF, with and without Content-Transfer-Encoding', async () => {
  const encodings: readonly ((text: string) => string)[] = [
    (text) => text,
    (text) => text.replaceAll(/.{64}/g, '$&\n'),
    (text) => `${text.replaceAll(/.{76}/g, '$&\r\n')}\r\n`,
    (text) => text.replaceAll(/.{7}/g, '$& \t'),
  ]
  for (const [index, encode] of encodings.entries()) {
    for (const extra of [[], ['Content-Transfer-Encoding: base64'], ['Content-Transfer-Encoding: binary']]) {
      const credentials = await rig.addDevice({ id: `encoded-${index}-${extra[0]?.slice(-6) ?? 'none'}` })
      const body = encode(Buffer.from(createKey().csr()).toString('base64'))
      const headers = ['content-type: Application/PKCS10; charset=x', basic(credentials), ...extra]
      const answer = await ask(rig, { path: 'simpleenroll', headers, body })
      assert.equal(answer.status, 200, answer.body)
    }
  }
})

test('refuses other media types with 415 and bodies that are no base64 of DER with 400', async () => {
  const csr = createKey().csr()
  const credentials = await rig.addDevice({ id: 'bodies' })
  const base64 = Buffer.from(csr).toString('base64')
  for (const type of ['text/plain', 'application/pkcs7-mime', 'application/pkcs10x', '']) {
    const headers = [`Content-Type: ${type}`, basic(credentials)]
    assert.equal((await ask(rig, { path: 'simpleenroll', headers, body: base64 })).status, 415, type)
  }
  assert.equal(
    (await ask(rig, { path: 'simpleenroll', headers: [basic(credentials)], body: base64 })).status,
    415,
  )
  for (const body of [
    '',
    'AAAA',
    base64.slice(0, -8),
    `${base64}AAAA`,
    `${base64.slice(0, 20)}!${base64.slice(21)}`,
    `-----BEGIN CERTIFICATE REQUEST-----\n${base64}\n-----END CERTIFICATE REQUEST-----\n`,
    Buffer.from(csr).toString('latin1'),
  ]) {
    const headers = ['Content-Type: application/pkcs10', basic(credentials)]
    const answer = await ask(rig, { path: 'simpleenroll', headers, body })
    assert.equal(answer.status, 400, body.slice(0, 40))
  }
})

test('unknown label and operation are 404, a wrong method 405 with Allow, fullcmc 501, each with a text', async () => {
  const cases: readonly (readonly [string, string, number])[] = [
    ['GET', 'nosuchprofile/cacerts', 404],
    ['GET', 'nosuchoperation', 404],
    ['GET', '/', 404],
    ['POST', 'cacerts', 405],
    ['GET', 'simpleenroll', 405],
    ['DELETE', 'cacerts', 405],
    ['POST', 'fullcmc', 501],
  ]
  for (const [method, path, status] of cases) {
    const body = method === 'POST' ? { body: 'AAAA', headers: ['Content-Type: application/pkcs7-mime'] } : {}
    const answer = await ask(rig, { method, path, ...body })
    assert.equal(answer.status, status, `${method} ${path}`)
    assert.ok(answer.body.length > 10)
    assert.equal(answer.headers.get('allow') !== undefined, status === 405)
  }
})

test('manual approval: 202 until a person says yes; then the same request, signed anew, gets the certificate', async () => {
  const credentials = await rig.addDevice({ id: 'manual-1', profile: 'manual' })
  const key = createKey()
  const send = () => ask(rig, post('simpleenroll', key.csr(), [basic(credentials)]))
  const waiting = await send()
  assert.equal(waiting.status, 202)
  assert.equal(waiting.headers.get('retry-after'), '2')
  assert.equal((await send()).status, 202)
  await decideRequests(rig.engine, {
    deviceId: 'manual-1' as DeviceId,
    decision: 'approved',
    actor: testActor,
  })
  const issued = await send()
  assert.equal(issued.status, 200)
  assert.equal((await send()).body, issued.body)
})

test('a renewal before its window is 403 with Retry-After and the date', async () => {
  const device = await enrolRigDevice(rig, { id: 'early', profile: 'gateway' })
  const answer = await renewRaw(rig, device)
  assert.equal(answer.status, 403)
  assert.match(answer.body, /20\d\d-\d\d-\d\d/)
  assert.ok(Number(answer.headers.get('retry-after')) > 86_400)
})

test('a renewal gives a new certificate; its first use begins the grace of the old one, which then no longer renews', async () => {
  const device = await enrolRigDevice(rig, { id: 'renewing' })
  const renewed = await renewRigDevice(rig, device)
  assert.equal(await statusIn(renewed.certificate), 'issued')
  // proof of use: any authenticated request, here a GET
  assert.equal((await ask(rig, { path: 'cacerts', identity: renewed.identity })).status, 200)
  await flushSightings(rig.engine, rig.clock.now())
  assert.equal(await statusIn(renewed.certificate), 'confirmed')
  assert.equal(await statusIn(device.certificate), 'confirmed')
  await retireDue(rig.engine, rig.clock.now() + 7 * dayMs, async () => {})
  assert.equal(await statusIn(device.certificate), 'superseded')
  const refused = await renewRaw(rig, device)
  assert.equal(refused.status, 403)
  assert.match(refused.body, /replaced by a newer one/)
})

test('one request delivered twenty times in parallel gives one certificate, the same bytes', async () => {
  const device = await enrolRigDevice(rig, { id: 'parallel' })
  const csr = renewal(device)
  const request = { ...post('simplereenroll', csr), identity: device.identity }
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask(rig, request)))
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [200])
  assert.equal(new Set(answers.map(({ body }) => body)).size, 1)
})

test('several requests share one connection', async () => {
  const device = await enrolRigDevice(rig, { id: 'kept-alive' })
  const socket = await openTls(rig, device)
  socket.write(requestText({ path: 'cacerts' }))
  assert.equal((await readAnswer(socket)).status, 200)
  socket.write(requestText(post('simplereenroll', renewal(device))))
  assert.equal((await readAnswer(socket)).status, 200)
  socket.destroy()
})

test('serverkeygen: two parts, the key fits the certificate; refused where the profile does not allow it', async () => {
  const forbidden = await ask(rig, {
    ...post('serverkeygen', createKey().csr(), [basic(await rig.addDevice({ id: 'own-key' }))]),
  })
  assert.equal(forbidden.status, 403)
  const credentials = await rig.addDevice({ id: 'made-key', profile: 'made' })
  const answer = await ask(rig, post('serverkeygen', createKey().csr(), [basic(credentials)]))
  assert.equal(answer.status, 200, answer.body)
  const { type, parts } = multipart(answer)
  assert.equal(type, 'multipart/mixed')
  assert.deepEqual(
    parts.map(({ headers }) => headers.get('content-type')),
    ['application/pkcs8', 'application/pkcs7-mime; smime-type=certs-only'],
  )
  const [key, certificates] = parts.map(({ body }) => Buffer.from(body, 'base64'))
  const [leaf] = parseCertsOnly(certificates as Buffer)
  const spki = createPublicKey(createPrivateKey({ key: key as Buffer, format: 'der', type: 'pkcs8' }))
  const wanted = spki.export({ type: 'spki', format: 'der' })
  assert.deepEqual(Buffer.from(parseCertificate(leaf as Uint8Array).spki), wanted)
})

test('an expired certificate renews inside the grace of its profile, one second later no more', async () => {
  const moved = await startEstRig()
  try {
    const device = await enrolRigDevice(moved, { id: 'late', profile: 'grace' })
    const { notAfter } = parseCertificate(device.certificate)
    const other = await enrolRigDevice(moved, { id: 'strict', profile: 'open' })
    moved.clock.shift(notAfter + 48 * hourMs - moved.clock.now() - 5_000)
    assert.equal((await renewRaw(moved, device)).status, 200)
    moved.clock.shift(10_000)
    const late = await renewRaw(moved, device)
    assert.equal(late.status, 403)
    assert.match(late.body, /expired/)
    moved.clock.shift(parseCertificate(other.certificate).notAfter - moved.clock.now() + 2_000)
    const strict = await renewRaw(moved, other)
    assert.equal(strict.status, 403)
    assert.match(strict.body, /expired/)
  } finally {
    await moved.close()
  }
})

interface Part {
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

function multipart(answer: { headers: ReadonlyMap<string, string>; body: string }): {
  type: string
  parts: Part[]
} {
  const [type = '', parameter = ''] = (answer.headers.get('content-type') ?? '').split('; ')
  const boundary = parameter.replace('boundary=', '--')
  const [preamble, ...sections] = answer.body.split(boundary)
  assert.equal(preamble, '')
  assert.equal(sections.pop(), '--\r\n')
  const parts = sections.map((section) => {
    const [head = '', body = ''] = section.split('\r\n\r\n')
    const lines = head.trim().split('\r\n')
    return { headers: new Map(lines.map((line) => splitLine(line))), body: body.trim() }
  })
  return { type, parts }
}

function splitLine(line: string): [string, string] {
  const colon = line.indexOf(':')
  return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
}

test('a client says what its clock shows, and one that is off is noted', async () => {
  const credentials = await rig.addDevice({ id: 'late-clock' })
  rig.engine.oddities.take()
  const behind = { now: () => rig.clock.now() - hourMs, sleep: rig.clock.sleep.bind(rig.clock) }
  const client = rig.client({ credentials, clock: behind })
  await client.enroll(createKey().csr())
  const [oddity] = rig.engine.oddities.take().oddities
  assert.deepEqual([oddity?.kind, oddity?.deviceId], ['clock-off', 'late-clock'])
  assert.ok(Math.abs((oddity?.value ?? 0) + hourMs) < 60_000, String(oddity?.value))
})
