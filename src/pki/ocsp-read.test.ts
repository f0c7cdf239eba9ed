import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hourMs, minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { makeCertificate, testNow, type TestCertificate } from '../../test/helpers/certificates.ts'
import { ocspAnswer, type AnswerOptions } from '../../test/helpers/ocsp-answer.ts'
import { encodeExtendedKeyUsage } from './extension-values.ts'
import { makeExtension } from './extensions.ts'
import { checkOcspResponse, type CheckedOcsp } from './ocsp-read.ts'
import { encodeOcspError } from './ocsp-response.ts'
import { oids } from './oid.ts'

const ca = makeCertificate()
const other = makeCertificate({ subject: 'CN=Other CA' })
const leaf = makeCertificate({ issuer: ca })
const forOcsp = [makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.OCSPSigning]))]
const signer = makeCertificate({ issuer: ca, subject: 'CN=OCSP', extensions: forOcsp })

function check(der: Uint8Array, now = testNow): CheckedOcsp {
  return checkOcspResponse({ der, leaf: leaf.certificate, issuer: ca.certificate, now })
}

const answer = (options: Partial<AnswerOptions> = {}, about: TestCertificate = leaf): Uint8Array =>
  ocspAnswer(about.certificate, ca, { now: testNow, ...options })

test('good, revoked and unknown; signed by the CA or by whom it certified for this; SHA-1 and SHA-256', () => {
  for (const by of [ca, signer]) {
    for (const hash of ['sha1', 'sha256'] as const) {
      assert.equal(check(answer({ signer: by, hash })).status, 'good')
      assert.equal(check(answer({ signer: by, hash, status: { kind: 'unknown' } })).status, 'unknown')
      const revoked = { kind: 'revoked', revokedAt: testNow - hourMs, reason: 'keyCompromise' } as const
      const { status, revokedAt, nextUpdate } = check(answer({ signer: by, hash, status: revoked }))
      assert.deepEqual([status, revokedAt, nextUpdate], ['revoked', testNow - hourMs, testNow + hourMs])
    }
  }
})

const refusals: readonly (readonly [string, () => Uint8Array, string])[] = [
  ['another certificate', () => answer({}, makeCertificate({ issuer: ca })), 'server-answer-invalid'],
  [
    'the same number of another CA',
    () => ocspAnswer(leaf.certificate, other, { now: testNow, signer: ca }),
    'server-answer-invalid',
  ],
  [
    'a signer of another CA',
    () => answer({ signer: makeCertificate({ issuer: other, subject: 'CN=OCSP', extensions: forOcsp }) }),
    'bad-signature',
  ],
  [
    'a device of the same CA as signer',
    () => answer({ signer: makeCertificate({ issuer: ca }) }),
    'bad-signature',
  ],
  [
    'a signer that has expired',
    () =>
      answer({
        signer: makeCertificate({
          issuer: ca,
          subject: 'CN=OCSP',
          extensions: forOcsp,
          notBefore: testNow - 9 * hourMs,
          notAfter: testNow - hourMs,
        }),
      }),
    'bad-signature',
  ],
  ['tryLater', () => encodeOcspError('tryLater'), 'server-unreachable'],
  ['unauthorized', () => encodeOcspError('unauthorized'), 'server-refused'],
  ['nothing', () => new Uint8Array(), 'malformed'],
  ['successful without a response', () => Uint8Array.of(0x30, 3, 0x0a, 1, 0), 'malformed'],
]

for (const [what, make, code] of refusals) {
  test(`is not used: ${what}`, () => {
    assert.throws(() => check(make()), { code })
  })
}

test('in force from 5 minutes before thisUpdate to the instant of nextUpdate', () => {
  const der = answer()
  assert.equal(check(der, testNow + hourMs - 1).status, 'good')
  assert.throws(() => check(der, testNow + hourMs), { code: 'server-answer-invalid' })
  assert.equal(check(der, testNow - 6 * minuteMs).status, 'good')
  assert.throws(() => check(der, testNow - 6 * minuteMs - 1), { code: 'server-answer-invalid' })
})

test('a changed octet never makes it say something else', () => {
  const der = answer({
    signer,
    status: { kind: 'revoked', revokedAt: testNow - hourMs, reason: 'keyCompromise' },
  })
  for (let at = 0; at < der.length; at++) {
    for (const bit of [0x01, 0x80]) {
      const changed = der.slice()
      changed[at] = (changed[at] as number) ^ bit
      try {
        assert.equal(check(changed).status, 'revoked', `octet ${at}`)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }
  }
})
