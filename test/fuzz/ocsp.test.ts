/** Hostile OCSP requests: an answer, always, quickly, and nothing signed about what is not ours. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Refusal } from '../../src/base/errors.ts'
import type { SerialNumber } from '../../src/base/id.ts'
import { maxOcspCertIds, parseOcspRequest } from '../../src/pki/ocsp-request.ts'
import { makeCertificate } from '../helpers/certificates.ts'
import { certId, ocspRequest } from '../helpers/ocsp.ts'
import { chanceFrom, mutateDer } from './der-mutator.ts'

const { certificate } = makeCertificate()
const serial = '4a0b' as SerialNumber
const corpus = [
  ocspRequest([certId(certificate, serial)]),
  ocspRequest([certId(certificate, serial, { hash: 'sha256', hasParameters: false })], new Uint8Array(32)),
  ocspRequest(
    Array.from({ length: 5 }, () => certId(certificate, serial)),
    Uint8Array.of(1),
  ),
]

test('a changed request is refused, or within every bound', () => {
  let accepted = 0
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.nat(corpus.length - 1), (seed, index) => {
      const mutated = mutateDer(corpus[index] as Uint8Array, corpus, chanceFrom(seed))
      try {
        const { certIds, nonce } = parseOcspRequest(mutated)
        accepted += 1
        assert.ok(certIds.length >= 1 && certIds.length <= maxOcspCertIds)
        assert.ok(nonce === null || (nonce.length >= 1 && nonce.length <= 128))
        for (const one of certIds) {
          assert.equal(one.issuerKeyHash.length, one.hash === 'sha1' ? 40 : 64)
          assert.match(one.serialNumber, /^([0-9a-f]{2}){1,20}$/)
        }
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }),
    { numRuns: 20_000 },
  )
  assert.ok(accepted > 100, `mutations that leave a request readable are among them: ${accepted}`)
})
