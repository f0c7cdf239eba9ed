import assert from 'node:assert/strict'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { makeCertificate, testNow } from '../../test/helpers/certificates.ts'
import { ocspAnswer } from '../../test/helpers/ocsp-answer.ts'
import { dayMs, systemClock } from '../base/clock.ts'
import { Refusal, type RefusalCode } from '../base/errors.ts'
import { systemRandom } from '../base/random.ts'
import { encodeExtendedKeyUsage, encodeInfoAccess } from '../pki/extension-values.ts'
import { makeExtension } from '../pki/extensions.ts'
import { parseOcspRequest } from '../pki/ocsp-request.ts'
import { encodeOcspError } from '../pki/ocsp-response.ts'
import { oids } from '../pki/oid.ts'
import { askSignedTime } from './signed-time.ts'

const yearsMs = 3_650 * dayMs
const ca = makeCertificate()
const stranger = makeCertificate({ subject: 'CN=Stranger' })
const forOcsp = [makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.OCSPSigning]))]
const seen: Uint8Array[] = []
let answer: (nonce: Uint8Array | null) => Uint8Array
let server: Server
let leaf: ReturnType<typeof makeCertificate>

before(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => void chunks.push(chunk))
    request.on('end', () => {
      const { nonce } = parseOcspRequest(Buffer.concat(chunks))
      if (nonce) seen.push(nonce)
      response.writeHead(200, { 'Content-Type': 'application/ocsp-response' }).end(answer(nonce))
    })
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const location = { kind: 'uri', value: `http://127.0.0.1:${port}/ocsp` } as const
  const access = makeExtension(oids.authorityInfoAccess, encodeInfoAccess([{ method: oids.ocsp, location }]))
  leaf = makeCertificate({ issuer: ca, extensions: [access] })
})
after(() => void server.close())

const ask = async (subject = leaf) =>
  await askSignedTime({ clock: systemClock, random: systemRandom })({
    leaf: subject.certificate,
    issuer: ca.certificate,
  })
const signed = (options: Partial<Parameters<typeof ocspAnswer>[2]>) => (nonce: Uint8Array | null) =>
  ocspAnswer(leaf.certificate, ca, { now: testNow, nonce, ...options })

test('is what the responder says for this question, whatever our clock shows', async () => {
  const life = { notBefore: testNow + yearsMs - dayMs, notAfter: testNow + yearsMs + dayMs }
  const signer = makeCertificate({ ...life, issuer: ca, subject: 'CN=OCSP', extensions: forOcsp })
  answer = signed({})
  assert.equal(await ask(), testNow)
  answer = signed({ now: testNow + yearsMs, signer })
  assert.equal(await ask(), testNow + yearsMs)
  answer = signed({ status: { kind: 'revoked', revokedAt: testNow - dayMs, reason: 'keyCompromise' } })
  assert.equal(await ask(), testNow, 'a device that is revoked learns the time as well')
  assert.equal(new Set(seen.map((nonce) => Buffer.from(nonce).toString('hex'))).size, 3)
  assert.ok(seen.every(({ length }) => length === 32))
})

const past = makeCertificate({
  notBefore: testNow - 2 * dayMs,
  notAfter: testNow - dayMs,
  issuer: ca,
  subject: 'CN=OCSP',
  extensions: forOcsp,
})
const lies: readonly (readonly [string, RefusalCode, typeof answer])[] = [
  ['no nonce: signed before, for anybody', 'server-answer-invalid', signed({ nonce: null })],
  ['the nonce of another question', 'server-answer-invalid', () => signed({})(new Uint8Array(32))],
  ['a stranger', 'bad-signature', signed({ signer: stranger })],
  ['a signer whose certificate had ended by then', 'bad-signature', signed({ signer: past })],
  ['before the device was certified', 'server-answer-invalid', signed({ now: testNow - yearsMs })],
  ['a refusal', 'server-unreachable', () => encodeOcspError('tryLater')],
  ['nothing that is OCSP', 'malformed', () => Buffer.from('2036-01-01T00:00:00Z')],
  ['too much of it', 'too-large', () => new Uint8Array(65_537)],
]
for (const [what, code, lie] of lies) {
  test(`is not believed from ${what}`, async () => {
    answer = lie
    await assert.rejects(ask(), (error) => error instanceof Refusal && error.code === code)
  })
}

test('a signature that was changed is worth nothing', async () => {
  answer = (nonce) => {
    const der = Uint8Array.from(signed({})(nonce))
    der[der.length - 5] = (der[der.length - 5] as number) ^ 1
    return der
  }
  await assert.rejects(ask(), (error) => error instanceof Refusal)
})

test('there is nobody to ask when the certificate names nobody', async () => {
  await assert.rejects(
    ask(makeCertificate({ issuer: ca })),
    (error) => error instanceof Refusal && error.code === 'not-found',
  )
})
