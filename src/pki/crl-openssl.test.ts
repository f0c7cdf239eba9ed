/** What OpenSSL, GnuTLS and @peculiar/x509 say to the CRLs that we write, and what we read of OpenSSL's. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { SerialNumber } from '../base/id.ts'
import { makeCertificate, type TestCertificate, testNow } from '../../test/helpers/certificates.ts'
import { makeCrl, type TestCrlEntry } from '../../test/helpers/crl.ts'
import { x509 } from '../../test/helpers/peculiar.ts'
import { missing } from '../../test/helpers/require.ts'
import type { CrlContent } from './crl.ts'
import { parseCrl, verifyCrl } from './crl-read.ts'
import { crlAt, encodeDistributionPoints } from './distribution-point.ts'
import { makeExtension } from './extensions.ts'
import { userCertsAt } from './issuing-distribution-point.ts'
import { type KeyAlgorithm, parsePublicKey } from './key.ts'
import { oids } from './oid.ts'
import { encodePem } from './pem.ts'

const directory = mkdtempSync(join(tmpdir(), 'perennial-crl-'))
after(() => rmSync(directory, { recursive: true, force: true }))

let files = 0
function file(content: Uint8Array | string): string {
  const path = join(directory, `file-${(files += 1)}`)
  writeFileSync(path, content)
  return path
}

function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

const shardUri = 'http://ca.example/crl/issuing/3.crl'
const deltaUri = 'http://ca.example/crl/issuing/delta.crl'
const root = makeCertificate({ subject: 'CN=Root,O=Example' })
const issuing = makeCertificate({ issuer: root, ca: true, subject: 'CN=Issuing,O=Example' })
const device = (serial: string, extensions = [crlExtension(shardUri)]): TestCertificate =>
  makeCertificate({ issuer: issuing, serialNumber: serial as SerialNumber, extensions })

function crlExtension(uri: string) {
  return makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints([crlAt(uri)]))
}

const revoked = device('5a01')
const good = device('5a02')
const entries: TestCrlEntry[] = [
  { serial: '5a01', reason: 'keyCompromise', invalidityDate: testNow - 86_400_000 },
  { serial: 'ff'.repeat(20), reason: 'unspecified' },
  { serial: '80', reason: 'superseded' },
]
const rootCrl = makeCrl(root)

/** @returns what `openssl verify` says; OK when it accepts */
function verdict({ certificate }: TestCertificate, crls: readonly Uint8Array[], ...flags: string[]): string {
  const pem = [rootCrl, ...crls].map((der) => encodePem('X509 CRL', der)).join('')
  const { stdout, stderr, status } = spawnSync(
    'openssl',
    [
      'verify',
      '-crl_check_all',
      '-x509_strict',
      '-attime',
      String(testNow / 1000 + 60),
      ...flags,
      '-CAfile',
      file(encodePem('CERTIFICATE', root.certificate.der)),
      '-untrusted',
      file(encodePem('CERTIFICATE', issuing.certificate.der)),
      '-CRLfile',
      file(pem),
      file(encodePem('CERTIFICATE', certificate.der)),
    ],
    { encoding: 'utf8' },
  )
  return status === 0 ? 'OK' : (/error \d+ at \d+ depth lookup: (.*)/.exec(stderr)?.[1] ?? stdout + stderr)
}

describe('OpenSSL', { skip: missing('openssl') }, () => {
  test('shows every field', () => {
    const der = makeCrl(issuing, entries, {
      crlNumber: 255,
      baseCrlNumber: 254,
      issuingDistributionPoint: userCertsAt(shardUri),
    })
    const text = openssl('crl', '-inform', 'der', '-in', file(der), '-noout', '-text')
    for (const expected of [
      /Version 2/,
      /Issuer: CN = Issuing, O = Example|Issuer: O = Example, CN = Issuing/,
      /Last Update: Nov 20 12:00:00 2026 GMT/,
      /Next Update: Nov 21 12:00:00 2026 GMT/,
      /X509v3 CRL Number: \s+(255|0xFF)/,
      /X509v3 Delta CRL Indicator: critical\s+(254|0xFE)/,
      /X509v3 Issuing Distribution Point: critical\s+Full Name:\s+URI:http:\/\/ca\.example\/crl\/issuing\/3\.crl\s+Only User Certificates/,
      /Serial Number: 5A01\s+Revocation Date: Nov 20 11:00:00 2026 GMT\s+CRL entry extensions:\s+X509v3 CRL Reason Code: \s+Key Compromise\s+Invalidity Date: \s+Nov 19 12:00:00 2026 GMT/,
      /Serial Number: (FF){20}\s+Revocation Date: Nov 20 11:00:00 2026 GMT\s+Serial Number: 80/,
    ]) {
      assert.match(text, expected)
    }
  })

  for (const keyAlgorithm of ['ec-p256', 'ec-p384', 'rsa-2048', 'ed25519'] satisfies KeyAlgorithm[]) {
    test(`verifies the signature of ${keyAlgorithm}`, () => {
      const signer = makeCertificate({ keyAlgorithm })
      const ca = file(encodePem('CERTIFICATE', signer.certificate.der))
      const { stderr } = spawnSync(
        'openssl',
        ['crl', '-inform', 'der', '-in', file(makeCrl(signer, entries)), '-noout', '-CAfile', ca],
        { encoding: 'utf8' },
      )
      assert.match(stderr, /verify OK/)
    })
  }

  test('refuses the revoked and accepts the good one: complete CRL', () => {
    const crl = makeCrl(issuing, entries)
    assert.equal(verdict(revoked, [crl]), 'certificate revoked')
    assert.equal(verdict(good, [crl]), 'OK')
    assert.equal(verdict(good, []), 'unable to get certificate CRL')
  })

  test('refuses the revoked and accepts the good one: partition, which counts only where the certificate points', () => {
    const crl = makeCrl(issuing, entries, { issuingDistributionPoint: userCertsAt(shardUri) })
    assert.equal(verdict(revoked, [crl], '-extended_crl'), 'certificate revoked')
    assert.equal(verdict(good, [crl], '-extended_crl'), 'OK')
    const elsewhere = device('5a03', [crlExtension('http://ca.example/crl/issuing/4.crl')])
    assert.equal(verdict(elsewhere, [crl], '-extended_crl'), 'different CRL scope')
  })

  test('refuses what only the delta CRL knows, and accepts what the delta CRL takes back', () => {
    const scope: Partial<CrlContent> = { crlNumber: 7, freshestCRL: [crlAt(deltaUri)] }
    const complete = makeCrl(issuing, [{ serial: '5a01', reason: 'certificateHold' }], scope)
    const delta = makeCrl(
      issuing,
      [
        { serial: '5a01', reason: 'removeFromCRL' },
        { serial: '5a02', reason: 'keyCompromise' },
      ],
      { crlNumber: 8, baseCrlNumber: 7 },
    )
    const withFreshest = (serial: string): TestCertificate =>
      device(serial, [makeExtension(oids.freshestCRL, encodeDistributionPoints([crlAt(deltaUri)]))])
    const flags = ['-extended_crl', '-use_deltas']
    assert.equal(verdict(withFreshest('5a01'), [complete]), 'certificate revoked')
    assert.equal(verdict(withFreshest('5a02'), [complete]), 'OK')
    assert.equal(verdict(withFreshest('5a01'), [complete, delta], ...flags), 'OK')
    assert.equal(verdict(withFreshest('5a02'), [complete, delta], ...flags), 'certificate revoked')
    assert.equal(verdict(withFreshest('5a03'), [complete, delta], ...flags), 'OK')
  })

  test('writes CRLs that we read', () => {
    const config = file(
      [
        '[ca]\ndefault_ca=c\n[c]',
        `database=${file(`R\t301120120000Z\t261101000000Z,keyCompromise\t5A01\tunknown\t/CN=a\nR\t301120120000Z\t261102000000Z\t00F0\tunknown\t/CN=b\n`)}`,
        `crlnumber=${file('1F\n')}`,
        'default_md=sha256\ndefault_crl_days=2\ncrl_extensions=x',
        '[x]\nauthorityKeyIdentifier=keyid\nissuingDistributionPoint=critical,@i',
        `[i]\nfullname=URI:${shardUri}\nonlyuser=TRUE\n`,
      ].join('\n'),
    )
    const ca = file(encodePem('CERTIFICATE', issuing.certificate.der))
    const key = file(issuing.keys.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
    const out = file('')
    openssl('ca', '-gencrl', '-config', config, '-cert', ca, '-keyfile', key, '-out', out)
    const der = execFileSync('openssl', ['crl', '-in', out, '-outform', 'der'])
    const crl = parseCrl(der)
    assert.ok(verifyCrl(crl, parsePublicKey(issuing.certificate.spki)))
    assert.equal(crl.crlNumber, 0x1fn)
    assert.deepEqual(crl.issuingDistributionPoint, userCertsAt(shardUri))
    assert.equal(crl.find('5a01' as SerialNumber)?.reason, 'keyCompromise')
    assert.equal(crl.find('f0' as SerialNumber)?.reason, 'unspecified')
    assert.equal(crl.entryCount, 2)
    assert.ok(readFileSync(out).length > 0)
  })
})

test('GnuTLS shows number, entries and verifies the signature', { skip: missing('certtool') }, () => {
  // in force whenever the test runs: certtool has no clock of its own to set
  const crl = makeCrl(issuing, entries, { crlNumber: 255, nextUpdate: testNow + 3_650 * 86_400_000 })
  const ca = file(encodePem('CERTIFICATE', issuing.certificate.der))
  const pem = file(encodePem('X509 CRL', crl))
  const info = execFileSync('certtool', ['--crl-info', '--infile', pem], { encoding: 'utf8' })
  assert.match(info, /Revoked certificates \(3\)/)
  assert.match(info, /CRL Number .*: 00ff/)
  assert.match(info, /5a01/)
  const verify = spawnSync('certtool', ['--verify-crl', '--load-ca-certificate', ca, '--infile', pem], {
    encoding: 'utf8',
  })
  assert.match(verify.stdout, /Verification output: Verified/)
})

test('@peculiar/x509 reads and verifies our CRL', async () => {
  const theirs = new x509.X509Crl(Buffer.from(makeCrl(issuing, entries, { crlNumber: 9 })))
  assert.equal(theirs.thisUpdate.getTime(), testNow)
  assert.deepEqual(
    theirs.entries.map(({ serialNumber, reason }) => [serialNumber.replace(/^00/, ''), reason ?? null]),
    [
      ['5a01', x509.X509CrlReason.keyCompromise],
      ['ff'.repeat(20), null],
      ['80', x509.X509CrlReason.superseded],
    ],
  )
  const issuer = new x509.X509Certificate(Buffer.from(issuing.certificate.der))
  assert.equal(await theirs.verify({ publicKey: await issuer.publicKey.export() }), true)
})

test('we read the CRL of @peculiar/x509', async () => {
  const keys = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
    'sign',
    'verify',
  ])
  const theirs = await x509.X509CrlGenerator.create({
    issuer: 'CN=Other',
    thisUpdate: new Date(testNow),
    nextUpdate: new Date(testNow + 1000),
    entries: [
      { serialNumber: '0a0b', revocationDate: new Date(testNow), reason: x509.X509CrlReason.cACompromise },
    ],
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    signingKey: keys.privateKey,
  })
  const crl = parseCrl(new Uint8Array(theirs.rawData))
  assert.deepEqual(
    [...crl.entries()].map(({ serialNumber, reason }) => [serialNumber, reason]),
    [['0a0b', 'cACompromise']],
  )
})
