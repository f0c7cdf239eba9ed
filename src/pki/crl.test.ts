import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { fromHex, toHex } from '../base/bytes.ts'
import { hourMs } from '../base/clock.ts'
import { makeCertificate, testNow } from '../../test/helpers/certificates.ts'
import { makeCrl } from '../../test/helpers/crl.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { CrlEntries } from './crl-entries.ts'
import { parseCrl, verifyCrl } from './crl-read.ts'
import { crlAt } from './distribution-point.ts'
import { userCertsAt } from './issuing-distribution-point.ts'
import { type KeyAlgorithm, parsePublicKey } from './key.ts'
import { findExtension } from './extensions.ts'
import { oids } from './oid.ts'
import { isRevocationReason, reasonCode, reasonFromCode, revocationReasons } from './revocation-reason.ts'

const issuer = makeCertificate()
const key = parsePublicKey(issuer.certificate.spki)

test('what is written is read again', () => {
  const crl = parseCrl(
    makeCrl(
      issuer,
      [
        { serial: '01', reason: 'unspecified' },
        { serial: 'ff00', reason: 'cessationOfOperation', revokedAt: testNow - 1 },
        { serial: '00'.repeat(2) + '7f', invalidityDate: testNow - 5 * hourMs, reason: 'keyCompromise' },
        { serial: 'aa'.repeat(20), invalidityDate: testNow - 5 * hourMs, reason: 'unspecified' },
      ],
      { crlNumber: 2n ** 150n },
    ),
  )
  assert.equal(crl.version, 2)
  assert.equal(crl.crlNumber, 2n ** 150n)
  assert.equal(crl.baseCrlNumber, null)
  assert.equal(crl.thisUpdate, testNow)
  assert.equal(crl.nextUpdate, testNow + 24 * hourMs)
  assert.equal(toHex(crl.issuerDer), toHex(issuer.certificate.subjectDer))
  assert.equal(
    toHex(crl.authorityKeyIdentifier?.keyIdentifier as Uint8Array),
    toHex(issuer.certificate.extensions.subjectKeyIdentifier as Uint8Array),
  )
  assert.equal(crl.entryCount, 4)
  assert.deepEqual(
    [...crl.entries()],
    [
      { serialNumber: '01', revocationDate: testNow - hourMs, reason: 'unspecified', invalidityDate: null },
      // seconds are whole: never later than it was
      {
        serialNumber: 'ff00',
        revocationDate: testNow - 1000,
        reason: 'cessationOfOperation',
        invalidityDate: null,
      },
      {
        serialNumber: '7f',
        revocationDate: testNow - hourMs,
        reason: 'keyCompromise',
        invalidityDate: testNow - 5 * hourMs,
      },
      {
        serialNumber: 'aa'.repeat(20),
        revocationDate: testNow - hourMs,
        reason: 'unspecified',
        invalidityDate: testNow - 5 * hourMs,
      },
    ],
  )
  assert.ok(verifyCrl(crl, key))
})

test('an empty CRL has no list of entries at all', () => {
  const crl = parseCrl(makeCrl(issuer))
  assert.equal(crl.entryCount, 0)
  assert.deepEqual([...crl.entries()], [])
})

test('find tells a serial number from one that only begins or ends like it', () => {
  const crl = parseCrl(makeCrl(issuer, [{ serial: '0102' }, { serial: '80' }, { serial: '010203' }]))
  assert.equal(crl.find('80' as never)?.serialNumber, '80')
  assert.equal(crl.find('010203' as never)?.serialNumber, '010203')
  for (const absent of ['01', '02', '0203', '008001', 'zz']) assert.equal(crl.find(absent as never), null)
})

test('a delta CRL names its base, critical', () => {
  const crl = parseCrl(makeCrl(issuer, [{ serial: '05' }], { crlNumber: 8, baseCrlNumber: 7 }))
  assert.equal(crl.crlNumber, 8n)
  assert.equal(crl.baseCrlNumber, 7n)
  assert.equal(findExtension(crl.extensions, oids.deltaCRLIndicator)?.critical, true)
})

test('a partition says what it is for, critical; a complete CRL where its delta is', () => {
  const shard = parseCrl(
    makeCrl(issuer, [], { issuingDistributionPoint: userCertsAt('http://a.example/1.crl') }),
  )
  assert.deepEqual(shard.issuingDistributionPoint, userCertsAt('http://a.example/1.crl'))
  assert.equal(findExtension(shard.extensions, oids.issuingDistributionPoint)?.critical, true)
  const complete = parseCrl(makeCrl(issuer, [], { freshestCRL: [crlAt('http://a.example/delta.crl')] }))
  assert.deepEqual(complete.freshestCRL, [crlAt('http://a.example/delta.crl')])
  assert.equal(findExtension(complete.extensions, oids.freshestCRL)?.critical, false)
})

describe('signatures', () => {
  const algorithms: KeyAlgorithm[] = ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519', 'ml-dsa-44']
  for (const keyAlgorithm of algorithms) {
    test(`of ${keyAlgorithm} over parts are those over the whole`, () => {
      const signer = makeCertificate({ keyAlgorithm })
      const crl = parseCrl(makeCrl(signer, [{ serial: '01' }]))
      assert.ok(verifyCrl(crl, parsePublicKey(signer.certificate.spki)))
      assert.equal(verifyCrl(crl, parsePublicKey(makeCertificate().certificate.spki)), false)
      const changed = Uint8Array.from(crl.tbs)
      changed[changed.length - 1] = (changed[changed.length - 1] as number) ^ 1
      assert.equal(verifyCrl({ ...crl, tbs: changed }, parsePublicKey(signer.certificate.spki)), false)
    })
  }
})

test('entries go over the edge of a block without a gap', () => {
  const list = new CrlEntries()
  for (let serial = 1; serial <= 20_000; serial++) {
    const serialNumber = fromHex(serial.toString(16).padStart(40, '1')) as Uint8Array
    list.add({ serialNumber, revokedAt: testNow + serial * 7_777_000, reason: 'superseded' })
  }
  const blocks = list.blocks()
  assert.ok(blocks.length > 2)
  assert.equal(
    blocks.reduce((sum, block) => sum + block.length, 0),
    list.byteLength,
  )
})

test('dates from 2050 on are GeneralizedTime, those before UTCTime (§5.1.2.4)', () => {
  const first = Date.UTC(2050, 0, 1)
  const der = makeCrl(issuer, [
    { serial: '01', revokedAt: first - 1 },
    { serial: '02', revokedAt: first },
  ])
  assert.match(toHex(der), new RegExp(`170d${toHex(Buffer.from('491231235959Z'))}`))
  assert.match(toHex(der), new RegExp(`180f${toHex(Buffer.from('20500101000000Z'))}`))
  assert.deepEqual(
    [...parseCrl(der).entries()].map(({ revocationDate }) => revocationDate),
    [first - 1000, first],
  )
})

test('reasons have the numbers of §5.3.1', () => {
  assert.deepEqual(revocationReasons.map(reasonCode), [0, 1, 2, 3, 4, 5, 6, 8, 9, 10])
  for (const reason of revocationReasons) assert.equal(reasonFromCode(reasonCode(reason)), reason)
  assert.equal(reasonFromCode(7), null)
  assert.equal(reasonFromCode(11), null)
  assert.equal(isRevocationReason('keyCompromise'), true)
  assert.equal(isRevocationReason('toString'), false)
})

test('a CRL larger than the limit is refused before it is read', () => {
  const der = makeCrl(issuer)
  assert.ok(parseCrl(der, { maxBytes: der.length }))
  refuses('malformed', () => parseCrl(der, { maxBytes: der.length - 1 }), /limit/)
})
