/** What OpenSSL and strongSwan say to what we write, and what we read of what they write. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { toHex } from '../base/bytes.ts'
import { makeCertificate, makeCsr, san, testNow } from '../../test/helpers/certificates.ts'
import { missing } from '../../test/helpers/require.ts'
import { cpsQualifier, encodeCertificatePolicies } from './certificate-policies.ts'
import { noExpiry, parseCertificate } from './certificate.ts'
import { certsOnly, parseCertsOnly } from './cms.ts'
import { parseCsr, verifyCsr } from './csr.ts'
import { nullValue } from './der-writer.ts'
import { crlAt, encodeDistributionPoints } from './distribution-point.ts'
import { encodeInfoAccess } from './extension-values.ts'
import { makeExtension } from './extensions.ts'
import { formatGeneralName } from './general-name-text.ts'
import { type KeyAlgorithm, generateKeyPair } from './key.ts'
import { encodeNameConstraints } from './name-constraints.ts'
import { formatName } from './name-text.ts'
import { oids } from './oid.ts'
import { decodePem, encodePem } from './pem.ts'

const skip = missing('openssl')
const directory = mkdtempSync(join(tmpdir(), 'perennial-pki-'))
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

function opensslBytes(...args: string[]): Buffer {
  return execFileSync('openssl', args, { stdio: ['ignore', 'pipe', 'pipe'] })
}

const uri = (value: string) => ({ kind: 'uri', value }) as const

/** OpenSSL 3.0 knows no ML-DSA; node's own OpenSSL does, and certificate.test.ts asks it. */
const keyAlgorithms: readonly KeyAlgorithm[] = ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048', 'ed25519']

describe('OpenSSL reads what we write', { skip }, () => {
  for (const keyAlgorithm of keyAlgorithms) {
    test(`a ${keyAlgorithm} chain passes openssl verify -x509_strict`, () => {
      const root = makeCertificate({ keyAlgorithm, subject: 'CN=Root,O=Example' })
      const constraints = encodeNameConstraints({
        permitted: [
          { kind: 'dns', value: 'example.com' },
          { kind: 'directoryName', name: [[{ type: oids.organizationName, value: 'Example' }]] },
          { kind: 'ip', address: Uint8Array.of(10, 0, 0, 0), mask: Uint8Array.of(255, 0, 0, 0) },
        ],
        excluded: [{ kind: 'dns', value: 'bad.example.com' }],
      })
      const issuing = makeCertificate({
        issuer: root,
        ca: true,
        keyAlgorithm,
        subject: 'CN=Issuing,O=Example',
        extensions: [makeExtension(oids.nameConstraints, constraints)],
      })
      const leaf = makeCertificate({
        issuer: issuing,
        keyAlgorithm,
        subject: 'serialNumber=SN-1+CN=device-1,O=Example',
        notAfter: noExpiry,
        extensions: [
          san('dns:device-1.example.com', 'uri:urn:perennial:device:1', 'ip:10.1.2.3', 'hw:1.2.3:0a0b'),
          makeExtension(
            oids.cRLDistributionPoints,
            encodeDistributionPoints([crlAt('http://status.example/1.crl')]),
          ),
          makeExtension(
            oids.authorityInfoAccess,
            encodeInfoAccess([{ method: oids.caIssuers, location: uri('http://status.example/ca.cer') }]),
          ),
          makeExtension(
            oids.certificatePolicies,
            encodeCertificatePolicies([
              { policy: '1.2.3.4', qualifiers: [cpsQualifier('https://example/cps')] },
            ]),
          ),
          makeExtension(oids.ocspNoCheck, nullValue()),
        ],
      })
      const pem = (name: { certificate: { der: Uint8Array } }) =>
        file(encodePem('CERTIFICATE', name.certificate.der))
      const args = [
        '-x509_strict',
        '-attime',
        String(testNow / 1000),
        '-CAfile',
        pem(root),
        '-untrusted',
        pem(issuing),
      ]
      assert.match(openssl('verify', ...args, pem(leaf)), /: OK/)

      const text = openssl('x509', '-in', pem(leaf), '-noout', '-text', '-nameopt', 'RFC2253')
      assert.match(text, /Subject: CN=device-1\+serialNumber=SN-1,O=Example/)
      assert.match(
        text,
        /DNS:device-1\.example\.com, URI:urn:perennial:device:1, IP Address:10\.1\.2\.3, othername:/,
      )
      assert.match(text, /Not After : Dec 31 23:59:59 9999 GMT/)
      assert.match(text, /CPS: https:\/\/example\/cps/)
      assert.match(text, /CA Issuers - URI:http:\/\/status\.example\/ca\.cer/)
      assert.match(text, /OCSP No Check/)
      assert.equal(text.includes(leaf.certificate.serialNumber.match(/../g)?.join(':') ?? '?'), true)
    })

    test(`a ${keyAlgorithm} request passes openssl req -verify`, () => {
      const csr = makeCsr({
        keyAlgorithm,
        subject: 'CN=Zähler 7,O=Example\\, Inc.,C=DE',
        challengePassword: 'täst',
        extensions: [san('dns:a.example', 'email:ops@example.com')],
      })
      const path = file(csr)
      const result = spawnSync(
        'openssl',
        ['req', '-inform', 'DER', '-in', path, '-verify', '-noout', '-text'],
        {
          encoding: 'utf8',
        },
      )
      assert.equal(result.status, 0, result.stderr)
      assert.match(result.stderr, /verify OK/)
      assert.match(result.stdout, /DNS:a\.example, email:ops@example\.com/)
      assert.match(result.stdout, /challengePassword/)
    })
  }

  test('PEM and certs-only', () => {
    const root = makeCertificate()
    const leaf = makeCertificate({ issuer: root })
    const path = file(certsOnly([leaf.certificate.der, root.certificate.der]))
    const printed = openssl('pkcs7', '-inform', 'DER', '-in', path, '-print_certs')
    const certificates = decodePem(printed.replaceAll(/^(subject|issuer)=.*$/gm, '')).map(({ der }) =>
      toHex(der),
    )
    assert.deepEqual(
      certificates.sort(),
      [root, leaf].map(({ certificate }) => toHex(certificate.der)).sort(),
    )
    assert.match(
      openssl('cms', '-cmsout', '-inform', 'DER', '-in', path, '-print', '-noout'),
      /digestAlgorithms:\s+<EMPTY>\s+encapContentInfo:\s+eContentType: pkcs7-data.*\s+eContent: <ABSENT>/,
    )
  })
})

describe('we read what OpenSSL writes', { skip }, () => {
  const config = `
[req]
distinguished_name = dn
prompt = no
string_mask = utf8only
utf8 = yes
attributes = attrs
req_extensions = ext
[dn]
C = DE
O = "Example, Inc."
0.OU = Ünïts
CN = device-1
serialNumber = SN-1
emailAddress = ops@example.com
[attrs]
challengePassword = a secret
unstructuredName = ignored
[ext]
basicConstraints = critical, CA:TRUE, pathlen:3
keyUsage = critical, keyCertSign, cRLSign, decipherOnly, keyAgreement
extendedKeyUsage = clientAuth, serverAuth, 1.3.6.1.5.5.7.3.28
subjectAltName = DNS:a.example, DNS:*.b.example, IP:10.0.0.1, IP:2001:db8::5, URI:urn:x, email:a@b.example, RID:1.2.3.4, dirName:dir, otherName:1.2.3.4.5;UTF8:some
certificatePolicies = 1.2.3.4, @pol
crlDistributionPoints = dp
freshestCRL = URI:http://a.example/delta.crl
authorityInfoAccess = OCSP;URI:http://ocsp.example/, caIssuers;URI:http://a.example/ca.cer
nameConstraints = critical, permitted;DNS:example, permitted;IP:10.0.0.0/255.0.0.0, excluded;email:.example, permitted;dirName:dir
policyConstraints = requireExplicitPolicy:3, inhibitPolicyMapping:0
inhibitAnyPolicy = 2
noCheck = ignored
issuerAltName = URI:urn:issuer
[dir]
O = inner
[pol]
policyIdentifier = 1.2.3.5
CPS.1 = http://a.example/cps
userNotice.1 = @notice
[notice]
explicitText = UTF8:hello
[dp]
fullname = URI:http://a.example/a.crl
CRLissuer = dirName:dir
reasons = keyCompromise, CACompromise
`

  function newKey(): string {
    const path = join(directory, `key-${(files += 1)}`)
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path)
    return path
  }

  test('a request with every extension and attribute', () => {
    const key = newKey()
    const der = opensslBytes('req', '-new', '-key', key, '-config', file(config), '-outform', 'DER')
    const csr = parseCsr(der)
    verifyCsr(csr)
    assert.equal(csr.challengePassword, 'a secret')
    assert.equal(
      formatName(csr.subject),
      'emailAddress=ops@example.com,serialNumber=SN-1,CN=device-1,OU=Ünïts,O=Example\\, Inc.,C=DE',
    )
    assert.equal(csr.extensionRequest?.list.length, 13)
    assert.deepEqual(csr.extensionRequest.subjectAltName?.map(formatGeneralName), [
      'dns:a.example',
      'dns:*.b.example',
      'ip:10.0.0.1',
      'ip:2001:db8::5',
      'uri:urn:x',
      'email:a@b.example',
      'rid:1.2.3.4',
      'dir:O=inner',
      'other:1.2.3.4.5:0c04736f6d65',
    ])
  })

  test('a certificate with every extension', () => {
    const key = newKey()
    const path = join(directory, 'all.pem')
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      key,
      '-config',
      file(config),
      '-extensions',
      'ext',
      '-days',
      '30000',
      '-out',
      path,
    )
    const [block] = decodePem(readFileSync(path, 'utf8'))
    assert.equal(block?.label, 'CERTIFICATE')
    const { extensions, notAfter } = parseCertificate(block.der)
    assert.ok(notAfter > Date.UTC(2100, 0, 1))
    assert.deepEqual(extensions.basicConstraints, { ca: true, pathLength: 3 })
    assert.deepEqual(extensions.keyUsage, ['keyAgreement', 'keyCertSign', 'cRLSign', 'decipherOnly'])
    assert.deepEqual(extensions.extendedKeyUsage, [oids.clientAuth, oids.serverAuth, oids.cmcRA])
    assert.deepEqual(
      extensions.certificatePolicies?.map(({ policy, qualifiers }) => [policy, qualifiers.length]),
      [
        ['1.2.3.4', 0],
        ['1.2.3.5', 2],
      ],
    )
    assert.equal(extensions.cRLDistributionPoints?.[0]?.reasons, 0b110)
    assert.equal(extensions.cRLDistributionPoints[0]?.cRLIssuer?.length, 1)
    assert.equal(extensions.freshestCRL?.length, 1)
    assert.deepEqual(
      extensions.authorityInfoAccess?.map(({ method }) => method),
      [oids.ocsp, oids.caIssuers],
    )
    assert.equal(extensions.nameConstraints?.permitted.length, 3)
    assert.deepEqual(extensions.nameConstraints.excluded, [{ kind: 'email', value: '.example' }])
    assert.deepEqual(extensions.policyConstraints, { requireExplicitPolicy: 3, inhibitPolicyMapping: 0 })
    assert.equal(extensions.inhibitAnyPolicy, 2)
    assert.equal(extensions.ocspNoCheck, true)
    assert.equal(extensions.issuerAltName?.length, 1)
  })

  test('a PKCS #7 bundle of crl2pkcs7, which does not sort', () => {
    const all = [makeCertificate(), makeCertificate(), makeCertificate()].map(
      ({ certificate }) => certificate.der,
    )
    const bundle = file(all.map((der) => encodePem('CERTIFICATE', der)).join(''))
    const der = opensslBytes('crl2pkcs7', '-nocrl', '-certfile', bundle, '-outform', 'DER')
    assert.deepEqual(parseCertsOnly(der).map(toHex), all.map(toHex))
  })
})

describe('we read what strongSwan writes', { skip: missing('strongswan') }, () => {
  const pki = (...args: string[]) => execFileSync('pki', args, { stdio: ['ignore', 'pipe', 'ignore'] })

  test('a request with unsorted attributes', () => {
    const key = file(generateKeyPair('ec-p256').privateKey.export({ type: 'sec1', format: 'pem' }))
    const dn = 'C=DE, O=Example, CN=device-1, serialNumber=SN-1'
    const args = [
      '--req',
      '--type',
      'ecdsa',
      '--in',
      key,
      '--dn',
      dn,
      '--san',
      'a.example',
      '--password',
      'hello',
    ]
    const csr = parseCsr(pki(...args))
    verifyCsr(csr)
    assert.deepEqual(csr.attributeTypes, [oids.extensionRequest, oids.challengePassword])
    assert.equal(csr.challengePassword, 'hello')
    assert.equal(formatName(csr.subject), 'serialNumber=SN-1,CN=device-1,O=Example,C=DE')
  })

  test('a self-signed certificate', () => {
    const key = file(generateKeyPair('ec-p256').privateKey.export({ type: 'sec1', format: 'pem' }))
    const args = ['--self', '--type', 'ecdsa', '--in', key, '--dn', 'C=DE, CN=root', '--ca', '--san', 'uri:x']
    const certificate = parseCertificate(pki(...args.slice(0, -2)))
    assert.equal(certificate.extensions.basicConstraints?.ca, true)
    assert.equal(formatName(certificate.subject), 'CN=root,C=DE')
  })
})
