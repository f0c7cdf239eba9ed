/** The same certificates and requests as @peculiar/x509 sees them, and its own as we see them. */
import assert from 'node:assert/strict'
import { webcrypto } from 'node:crypto'
import { test } from 'node:test'
import { toHex } from '../base/bytes.ts'
import { makeCertificate, makeCsr, san, testNow } from '../../test/helpers/certificates.ts'
import { refuses } from '../../test/helpers/refuses.ts'
import { x509 } from '../../test/helpers/peculiar.ts'
import { noExpiry, parseCertificate } from './certificate.ts'
import { certsOnly, parseCertsOnly } from './cms.ts'
import { parseCsr, verifyCsr } from './csr.ts'
import { crlAt, encodeDistributionPoints } from './distribution-point.ts'
import { makeExtension } from './extensions.ts'
import { formatGeneralName } from './general-name-text.ts'
import { parsePublicKey } from './key.ts'
import { formatName } from './name-text.ts'
import { oids } from './oid.ts'
import { encodePem } from './pem.ts'
import { verifySignature } from './signature.ts'

const ec = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

function bytes(buffer: ArrayBuffer): Uint8Array {
  return new Uint8Array(buffer)
}

test('@peculiar/x509 reads and verifies our certificate', async () => {
  const root = makeCertificate()
  const { certificate } = makeCertificate({
    issuer: root,
    subject: 'CN=Zähler 1,serialNumber=SN-1,O=Example\\, Inc.',
    notAfter: noExpiry,
    extensions: [
      san('dns:a.example', 'uri:urn:x', 'ip:2001:db8::1'),
      makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints([crlAt('http://a.example/1.crl')])),
    ],
  })
  const theirs = new x509.X509Certificate(certificate.der)
  assert.equal(theirs.serialNumber, certificate.serialNumber)
  assert.equal(theirs.subjectName.getField('CN')[0], 'Zähler 1')
  assert.equal(theirs.subjectName.getField('O')[0], 'Example, Inc.')
  assert.equal(theirs.notBefore.getTime(), certificate.notBefore)
  assert.equal(theirs.notAfter.getTime(), noExpiry)
  const names = theirs.getExtension(x509.SubjectAlternativeNameExtension)?.names.items
  assert.deepEqual(
    names?.map(({ type, value }) => `${type}:${value}`),
    ['dns:a.example', 'url:urn:x', 'ip:2001:db8::1'],
  )
  assert.equal(theirs.getExtension(x509.BasicConstraintsExtension)?.ca, false)
  assert.equal(theirs.getExtension(x509.KeyUsagesExtension)?.usages, x509.KeyUsageFlags.digitalSignature)
  assert.deepEqual(Array.from(theirs.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? []), [
    oids.clientAuth,
  ])
  const keyId = theirs.getExtension(x509.SubjectKeyIdentifierExtension)?.keyId
  assert.equal(keyId, toHex(certificate.extensions.subjectKeyIdentifier ?? new Uint8Array()))
  const issuer = new x509.X509Certificate(root.certificate.der)
  assert.equal(await theirs.verify({ publicKey: issuer.publicKey, date: new Date(testNow) }), true)
  assert.equal(theirs.toString('pem').trim(), encodePem('CERTIFICATE', certificate.der).trim())
})

test('@peculiar/x509 reads and verifies our request', async () => {
  const extensions = [san('dns:a.example')]
  const der = makeCsr({ subject: 'CN=device-1,O=Example', challengePassword: 'a secret', extensions })
  const theirs = new x509.Pkcs10CertificateRequest(der)
  assert.equal(await theirs.verify(), true)
  assert.equal(theirs.subject, 'O=Example, CN=device-1')
  assert.equal(theirs.getAttribute(oids.challengePassword) instanceof x509.ChallengePasswordAttribute, true)
  const names = theirs.getExtension(oids.subjectAltName)
  assert.ok(names instanceof x509.SubjectAlternativeNameExtension)
  assert.equal(names.names.items[0]?.value, 'a.example')
})

test('we read and verify the certificate and the request of @peculiar/x509', async () => {
  const keys = await webcrypto.subtle.generateKey(ec, true, ['sign', 'verify'])
  const extensions = [
    new x509.BasicConstraintsExtension(true, 2, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    new x509.ExtendedKeyUsageExtension([oids.clientAuth, oids.serverAuth]),
    new x509.SubjectAlternativeNameExtension([
      { type: 'dns', value: 'a.example' },
      { type: 'url', value: 'urn:x' },
      { type: 'ip', value: '10.0.0.1' },
      { type: 'email', value: 'a@b.example' },
      { type: 'dn', value: 'CN=inner' },
    ]),
    new x509.CRLDistributionPointsExtension(['http://a.example/a.crl']),
    new x509.CertificatePolicyExtension(['1.2.3.4']),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
  ]
  const theirs = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '0123456789',
    name: 'CN=Root, O=Example, C=DE',
    notBefore: new Date(testNow),
    notAfter: new Date(noExpiry),
    signingAlgorithm: ec,
    keys,
    extensions,
  })
  const ours = parseCertificate(bytes(theirs.rawData))
  assert.equal(ours.serialNumber, '0123456789')
  assert.equal(formatName(ours.subject), 'C=DE,O=Example,CN=Root')
  assert.equal(ours.notAfter, noExpiry)
  assert.deepEqual(ours.extensions.basicConstraints, { ca: true, pathLength: 2 })
  assert.deepEqual(ours.extensions.keyUsage, ['keyCertSign', 'cRLSign'])
  assert.deepEqual(ours.extensions.subjectAltName?.map(formatGeneralName), [
    'dns:a.example',
    'uri:urn:x',
    'ip:10.0.0.1',
    'email:a@b.example',
    'dir:CN=inner',
  ])
  const { signatureAlgorithm: algorithm, signature, tbs: data } = ours
  assert.equal(verifySignature({ key: parsePublicKey(ours.spki), algorithm, data, signature }), true)

  const request = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=device-1',
    keys,
    signingAlgorithm: ec,
    extensions: extensions.slice(3, 4),
    attributes: [new x509.ChallengePasswordAttribute('a secret')],
  })
  const csr = parseCsr(bytes(request.rawData))
  verifyCsr(csr)
  assert.equal(csr.challengePassword, 'a secret')
  assert.equal(csr.extensionRequest?.subjectAltName?.length, 5)
})

test('@peculiar/x509 reads our bundle', () => {
  const all = [makeCertificate(), makeCertificate()].map(({ certificate }) => certificate.der)
  const read = Array.from(new x509.X509Certificates(certsOnly(all)), ({ rawData }) => toHex(bytes(rawData)))
  assert.deepEqual(read.sort(), all.map(toHex).sort())
})

test('its own bundle is refused: it holds empty content where RFC 5652 §5.2 wants none', () => {
  const written = new x509.X509Certificates([new x509.X509Certificate(makeCertificate().certificate.der)])
  refuses(
    'malformed',
    () => parseCertsOnly(bytes(written.export('raw'))),
    /encapContentInfo: unexpected context tag 0/,
  )
})
