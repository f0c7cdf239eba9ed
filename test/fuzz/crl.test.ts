/** Hostile CRLs: a Refusal or a CRL that says the same when it is read again, quickly. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { fromHex, toHex } from '../../src/base/bytes.ts'
import { Refusal } from '../../src/base/errors.ts'
import { CrlEntries } from '../../src/pki/crl-entries.ts'
import { type Crl, parseCrl } from '../../src/pki/crl-read.ts'
import { crlAt } from '../../src/pki/distribution-point.ts'
import { userCertsAt } from '../../src/pki/issuing-distribution-point.ts'
import { revocationReasons } from '../../src/pki/revocation-reason.ts'
import { makeCertificate, testNow } from '../helpers/certificates.ts'
import { makeCrl } from '../helpers/crl.ts'
import { chanceFrom, mutateDer } from './der-mutator.ts'

const issuer = makeCertificate()
const corpus = [
  makeCrl(issuer),
  makeCrl(issuer, [{ serial: '01' }, { serial: 'ff'.repeat(20), invalidityDate: testNow }]),
  makeCrl(issuer, [{ serial: '80', reason: 'unspecified' }], { freshestCRL: [crlAt('http://a.example/d')] }),
  makeCrl(issuer, [{ serial: '02', revokedAt: Date.UTC(2060, 0, 1), reason: 'removeFromCRL' }], {
    baseCrlNumber: 1,
    issuingDistributionPoint: userCertsAt('http://a.example/1.crl'),
  }),
]

function readOrRefused(bytes: Uint8Array): Crl | null {
  try {
    return parseCrl(bytes)
  } catch (error) {
    if (error instanceof Refusal) return null
    throw error
  }
}

test('a changed CRL is refused, or all of it can be read', () => {
  let accepted = 0
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.nat(corpus.length - 1), (seed, index) => {
      const crl = readOrRefused(mutateDer(corpus[index] as Uint8Array, corpus, chanceFrom(seed)))
      if (!crl) return
      accepted += 1
      const entries = [...crl.entries()]
      assert.equal(entries.length, crl.entryCount)
      for (const entry of entries) {
        assert.ok(Number.isSafeInteger(entry.revocationDate))
        assert.ok(revocationReasons.includes(entry.reason))
        assert.ok(crl.find(entry.serialNumber))
      }
    }),
    { numRuns: 20_000 },
  )
  assert.ok(accepted > 100, `mutations that leave a CRL readable are among them: ${accepted}`)
})

test('random bytes are no CRL, and reading them ends', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.equal(readOrRefused(Buffer.concat([Uint8Array.of(0x30, bytes.length & 0x7f), bytes])), null)
    }),
    { numRuns: 5000 },
  )
})

const entry = fc.record({
  serial: fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map(toHex)
    .filter((hex) => !hex.startsWith('00')),
  revokedAt: fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) }),
  reason: fc.constantFrom(...revocationReasons),
  invalidityDate: fc.option(fc.integer({ min: 0, max: Date.UTC(2200, 0, 1) })),
})

test('whatever is revoked is read back as it was written', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 20 }), (entries) => {
      const crl = parseCrl(makeCrl(issuer, entries))
      const whole = (at: number | null): number | null => at && Math.floor(at / 1000) * 1000
      assert.deepEqual(
        [...crl.entries()],
        entries.map(({ serial, revokedAt, reason, invalidityDate }) => ({
          serialNumber: serial,
          revocationDate: whole(revokedAt),
          reason,
          invalidityDate: whole(invalidityDate),
        })),
      )
    }),
    { numRuns: 500 },
  )
})

test('a list of a million entries is written and read in seconds', () => {
  const list = new CrlEntries()
  const serialNumber = fromHex('5a'.repeat(16)) as Uint8Array
  for (let count = 0; count < 1_000_000; count++) {
    list.add({ serialNumber, revokedAt: testNow + count * 10, reason: 'keyCompromise' })
  }
  assert.equal(list.count, 1_000_000)
  assert.equal(
    list.byteLength,
    list.blocks().reduce((sum, { length }) => sum + length, 0),
  )
})
