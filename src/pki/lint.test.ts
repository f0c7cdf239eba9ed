/**
 * Each rule has a test that violates it, and sound certificates of each kind pass. One file of more than 400 lines, because
 * its last test asks whether every rule was seen violated in this process.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dayMs } from '../base/clock.ts'
import { makeCertificate, san, testNow } from '../../test/helpers/certificates.ts'
import {
  issuing,
  type Kind,
  lint,
  passes,
  root,
  tbsOf,
  violatedRules,
  violates,
} from '../../test/helpers/lint.ts'
import { concatBytes, fromHex, toHex } from '../base/bytes.ts'
import {
  encodeCertificatePolicies,
  encodePolicyConstraints,
  encodePolicyMappings,
} from './certificate-policies.ts'
import { noExpiry } from './certificate.ts'
import { integer, nullValue, octetString, sequence, time } from './der-writer.ts'
import { crlAt, encodeDistributionPoints } from './distribution-point.ts'
import {
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeInfoAccess,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
  type KeyUsageName,
} from './extension-values.ts'
import { type Extension, findExtension, makeExtension } from './extensions.ts'
import { encodeGeneralNames } from './general-name.ts'
import { generateKeyPair, parsePublicKey } from './key.ts'
import { lintCertificate, lintRules } from './lint.ts'
import { encodeNameConstraints } from './name-constraints.ts'
import { parseNameText } from './name-text.ts'
import { oids } from './oid.ts'
import { encodeAlgorithm } from './signature.ts'

const kinds: readonly Kind[] = ['device', 'server', 'intermediate', 'root', 'matter-dac', 'pai', 'paa']

const usage = (...usages: KeyUsageName[]): Extension => makeExtension(oids.keyUsage, encodeKeyUsage(usages))
const purposes = (...list: string[]): Extension =>
  makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage(list))
const basic = (ca: boolean, pathLength: number | null): Extension =>
  makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca, pathLength }), true)
const uri = (value: string) => ({ kind: 'uri', value }) as const
const hostsBelow = encodeNameConstraints({ permitted: [{ kind: 'dns', value: 'example.com' }], excluded: [] })
const constraints = makeExtension(oids.nameConstraints, hostsBelow)

for (const kind of kinds) test(`has nothing to say against a sound ${kind} certificate`, () => passes(kind))

test('keys of every kind pass, as far as they can be used', () => {
  for (const keyAlgorithm of ['ec-p384', 'rsa-2048', 'ed25519', 'ml-dsa-44'] as const) {
    passes('device', { keyAlgorithm })
    passes('root', { keyAlgorithm })
  }
})

test('version, serial number and validity', () => {
  passes('device', { serialNumber: '7f'.repeat(20) })
  violates('serial-number-length', 'device', { serialNumber: '80'.repeat(20) })
  violates('serial-number-entropy', 'device', { serialNumber: '01'.repeat(7) })
  passes('device', { serialNumber: '01'.repeat(8) })
  violates('validity-order', 'device', { notBefore: testNow + 1000, notAfter: testNow })
  passes('device', { notBefore: testNow, notAfter: testNow })
})

test('a certificate without extensions, which is version 1, is found', () => {
  const { subjectDer, spki } = root.certificate
  const validity = sequence(time(testNow), time(testNow))
  const tbs = sequence(
    integer(Buffer.from('4f'.repeat(16), 'hex')),
    encodeAlgorithm('ecdsa-sha256'),
    subjectDer,
    validity,
    subjectDer,
    spki,
  )
  const rules = rulesOf(lintCertificate({ tbs, issuer: null, context: {} }))
  assert.deepEqual(rules, ['version-3', 'self-signed-is-ca', 'subject-key-identifier-in-leaf'])
  noted.add('version-3')
})

test('subject', () => {
  violates(['ca-subject-not-empty', 'subject-or-alternative-name'], 'intermediate', { subject: [] })
  violates('subject-or-alternative-name', 'device', { subject: [], without: [oids.subjectAltName] })
  violates('subject-country', 'device', { subject: 'CN=x,C=de' })
  passes('device', { subject: 'CN=x,C=DE' })
  violates('subject-single-attributes', 'device', { subject: 'CN=x,O=A,O=B' })
  passes('device', { subject: 'CN=x,OU=A,OU=B,DC=a,DC=b' })
  violates('subject-multi-valued-rdn', 'device', { subject: 'CN=x+serialNumber=1' })
  violates('subject-email', 'device', {
    subject: [[{ type: oids.emailAddress, value: 'a@example.com' }]],
  })
})

test('subject text is PrintableString or UTF8String', () => {
  const tbs = toHex(tbsOf('device', { subject: 'CN=ab' }))
  const bmp = tbs.replace('060355040 30c026162'.replace(' ', ''), '06035504031e026162')
  assert.notEqual(bmp, tbs)
  const request = { tbs: fromHex(bmp) as Uint8Array, issuer: issuing.certificate, context: {} }
  assert.deepEqual(rulesOf(lintCertificate(request)), ['subject-string-types'])
  noted.add('subject-string-types')
})

test('keys are sound', () => {
  const { spki } = generateKeyPair('ec-p256')
  spki[spki.length - 1] = (spki[spki.length - 1] as number) ^ 1
  violates('key-sound', 'device', { spki })
})

test('self-signed certificates', () => {
  violates('self-signed-names', 'root', { issuerName: parseNameText('CN=Other') })
  violates(['self-signed-is-ca', 'purpose-ca', 'key-cert-sign-in-ca', 'crl-sign-in-leaf'], 'root', {
    set: [basic(false, null)],
  })
  violates('self-signed-algorithm', 'root', { signatureAlgorithm: 'ed25519' })
  const authority = encodeAuthorityKeyIdentifier({
    keyIdentifier: Uint8Array.of(1),
    issuer: null,
    serialNumber: null,
  })
  violates('self-signed-key-identifier', 'root', {
    set: [makeExtension(oids.authorityKeyIdentifier, authority)],
  })
})

test('criticality', () => {
  violates('extension-critical-unknown', 'device', { set: [makeExtension('1.2.3.4', nullValue(), true)] })
  passes('device', { set: [makeExtension('1.2.3.4', nullValue(), false)] })
  for (const [oid, rule] of [
    [oids.subjectKeyIdentifier, 'subject-key-identifier-not-critical'],
    [oids.authorityKeyIdentifier, 'authority-key-identifier-not-critical'],
    [oids.authorityInfoAccess, 'authority-info-access-not-critical'],
    [oids.cRLDistributionPoints, 'crl-distribution-points-not-critical'],
  ] as const) {
    const { spki } = generateKeyPair('ec-p256')
    violates(rule, 'device', { spki, set: [toggled(oid, spki)] })
  }
  const access = encodeInfoAccess([{ method: oids.caIssuers, location: uri('http://a.example') }])
  violates('subject-info-access-not-critical', 'device', {
    set: [makeExtension(oids.subjectInfoAccess, access, true)],
  })
  const point = encodeDistributionPoints([crlAt('http://a.example/d.crl')])
  violates('freshest-crl-not-critical', 'device', { set: [makeExtension(oids.freshestCRL, point, true)] })
  const names = encodeGeneralNames([uri('urn:x')])
  violates('issuer-alt-name-not-critical', 'device', {
    set: [makeExtension(oids.issuerAltName, names, true)],
  })
  violates('basic-constraints-critical', 'intermediate', { set: [{ ...basic(true, 0), critical: false }] })
  violates('key-usage-critical', 'device', { set: [{ ...usage('digitalSignature'), critical: false }] })
})

test('extensions of CAs are critical, and only in CAs', () => {
  const mappings = encodePolicyMappings([{ issuerDomainPolicy: '1.2.3', subjectDomainPolicy: '1.2.4' }])
  const policy = encodePolicyConstraints({ requireExplicitPolicy: 0, inhibitPolicyMapping: null })
  const inCas = [
    constraints,
    makeExtension(oids.policyMappings, mappings),
    makeExtension(oids.policyConstraints, policy),
    makeExtension(oids.inhibitAnyPolicy, integer(0)),
  ]
  passes('intermediate', { set: inCas })
  violates(
    [
      'name-constraints-in-ca',
      'policy-mappings-in-ca',
      'policy-constraints-in-ca',
      'inhibit-any-policy-in-ca',
    ],
    'device',
    { set: inCas },
  )
  violates(
    ['name-constraints-critical', 'policy-constraints-critical', 'inhibit-any-policy-critical'],
    'intermediate',
    { set: inCas.map(({ oid, value }) => makeExtension(oid, value, false)) },
  )
})

test('basic constraints and path length', () => {
  violates('path-length-in-ca', 'device', { set: [basic(false, 0)] })
  violates(['path-length-in-ca', 'ca-key-cert-sign'], 'intermediate', { set: [usage('cRLSign')] })
  violates(['purpose-ca', 'issuer-path-length', 'issuer-path-length-inherited'], 'device', {
    set: [basic(true, null), usage('keyCertSign', 'digitalSignature')],
  })
  violates(['purpose-ca', 'key-cert-sign-in-ca', 'crl-sign-in-leaf'], 'intermediate', {
    set: [basic(false, null)],
  })
})

test('key identifiers', () => {
  violates('subject-key-identifier-in-ca', 'intermediate', { without: [oids.subjectKeyIdentifier] })
  violates('subject-key-identifier-in-leaf', 'device', { without: [oids.subjectKeyIdentifier] })
  violates('issuer-key-identifier-present', 'device', { without: [oids.authorityKeyIdentifier] })
  const authority = (content: Partial<Parameters<typeof encodeAuthorityKeyIdentifier>[0]>): Extension =>
    makeExtension(
      oids.authorityKeyIdentifier,
      encodeAuthorityKeyIdentifier({ keyIdentifier: null, issuer: null, serialNumber: null, ...content }),
    )
  violates('issuer-key-identifier', 'device', { set: [authority({ keyIdentifier: Uint8Array.of(1) })] })
  const { keyIdentifier } = parsePublicKey(issuing.certificate.spki)
  const issuer = [{ kind: 'directoryName', name: root.certificate.subject }] as const
  const { serialNumber } = issuing.certificate
  passes('device', { set: [authority({ keyIdentifier, issuer, serialNumber })] })
  violates('issuer-serial-number', 'device', {
    set: [authority({ keyIdentifier, issuer, serialNumber: root.certificate.serialNumber })],
  })
  violates('issuer-serial-number', 'device', {
    set: [
      authority({
        keyIdentifier,
        issuer: [{ kind: 'directoryName', name: parseNameText('CN=x') }],
        serialNumber,
      }),
    ],
  })
})

test('alternative names', () => {
  const names = san('uri:urn:x')
  violates('alternative-name-critical', 'device', { subject: [], set: [{ ...names, critical: false }] })
  passes('device', { subject: [], set: [{ ...names, critical: true }] })
  violates('alternative-name-not-critical', 'device', { set: [{ ...names, critical: true }] })
  violates('alternative-name-repeated', 'device', { set: [san('dns:a.example', 'dns:A.example')] })
  violates('alternative-name-wildcard', 'device', { set: [san('dns:*.example')] })
  passes('server', { set: [san('dns:*.example.com')] })
  violates('server-alternative-name', 'server', { set: [names] })
})

test('where the status and the issuer’s certificate are', () => {
  const points = (...uris: string[]): Extension =>
    makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints(uris.map(crlAt)))
  violates('distribution-point-http', 'device', { set: [points('https://a.example/1.crl')] })
  violates('distribution-point-http', 'device', {
    set: [points('http://a.example/1.crl', 'ldap://a.example/x')],
  })
  const relative = encodeDistributionPoints([
    { fullName: null, nameRelativeToIssuer: parseNameText('CN=x')[0] ?? [], reasons: null, cRLIssuer: null },
  ])
  violates('distribution-point-full-name', 'device', {
    set: [makeExtension(oids.cRLDistributionPoints, relative)],
  })
  const access = (method: string, location: string): Extension =>
    makeExtension(oids.authorityInfoAccess, encodeInfoAccess([{ method, location: uri(location) }]))
  violates('info-access-http', 'device', { set: [access(oids.ocsp, 'https://a.example')] })
  violates('info-access-method', 'device', { set: [access('1.2.3', 'http://a.example')] })
  passes('device', { set: [access(oids.ocsp, 'http://a.example')] })
})

test('policies and OCSP', () => {
  const any = encodeCertificatePolicies([{ policy: oids.anyPolicy, qualifiers: [] }])
  violates('any-policy-in-leaf', 'device', { set: [makeExtension(oids.certificatePolicies, any)] })
  passes('intermediate', { set: [makeExtension(oids.certificatePolicies, any)] })
  const noCheck = makeExtension(oids.ocspNoCheck, nullValue())
  violates('ocsp-no-check-for-responder', 'device', { set: [noCheck] })
  passes('device', { set: [noCheck, purposes(oids.OCSPSigning)] })
})

test('key usage', () => {
  violates('key-usage-present', 'device', { without: [oids.keyUsage] })
  violates('key-usage-present', 'intermediate', { without: [oids.keyUsage] })
  violates('key-usage-fits-key', 'device', { set: [usage('digitalSignature', 'dataEncipherment')] })
  for (const keyAlgorithm of ['rsa-2048', 'ed25519', 'ml-dsa-44'] as const) {
    violates('key-usage-fits-key', 'device', {
      keyAlgorithm,
      set: [usage('digitalSignature', 'keyAgreement')],
    })
  }
  passes('device', { set: [usage('digitalSignature', 'keyAgreement', 'encipherOnly')] })
  violates('key-usage-encipher-or-decipher-only', 'device', {
    set: [usage('digitalSignature', 'encipherOnly')],
  })
  violates('key-cert-sign-in-ca', 'device', { set: [usage('digitalSignature', 'keyCertSign')] })
  violates('crl-sign-in-leaf', 'device', { set: [usage('digitalSignature', 'cRLSign')] })
  violates('ca-key-cert-sign', 'root', { set: [usage('cRLSign')] })
  violates('device-digital-signature', 'device', { set: [usage('keyAgreement')] })
  const encipherment = {
    keyAlgorithm: 'rsa-2048',
    set: [usage('digitalSignature', 'keyEncipherment')],
  } as const
  violates('client-key-encipherment', 'device', encipherment)
  passes('device', { ...encipherment, context: { purpose: 'device', keyEnciphermentExpected: true } })
})

test('extended key usage', () => {
  violates('extended-key-usage-any', 'device', { set: [purposes(oids.clientAuth, oids.anyExtendedKeyUsage)] })
  violates('extended-key-usage-fits-key-usage', 'server', {
    set: [usage('nonRepudiation'), purposes(oids.serverAuth)],
  })
  violates('time-stamping-alone', 'device', { set: [purposes(oids.timeStamping)] })
  violates('time-stamping-alone', 'device', {
    set: [{ ...purposes(oids.timeStamping, oids.clientAuth), critical: true }],
  })
  passes('device', { set: [{ ...purposes(oids.timeStamping), critical: true }] })
  violates('server-extended-key-usage', 'server', { set: [purposes(oids.clientAuth)] })
})

test('certificate and issuer together', () => {
  violates('issuer-name-bytes', 'device', { issuerName: parseNameText('CN=issuing,O=Example') })
  violates('issuer-signature-algorithm', 'device', { signatureAlgorithm: 'rsa-sha256' })
  violates('issuer-outlives', 'device', { notAfter: issuing.certificate.notAfter + 1000 })
  passes('device', { notAfter: issuing.certificate.notAfter })
  const { notBefore } = issuing.certificate
  passes('device', { notBefore: notBefore - dayMs })
  violates('issuer-not-before', 'device', { notBefore: notBefore - dayMs - 1000 })
  violates('issuer-key-differs', 'device', { spki: issuing.certificate.spki })
  violates('issuer-serial-number-differs', 'intermediate', { serialNumber: root.certificate.serialNumber })
})

test('what the issuer may not do', () => {
  const noCa = makeCertificate({ subject: 'CN=x', issuer: root, notAfter: noExpiry }).certificate
  const withoutSign = issuerWith(usage('cRLSign'))
  violates(['issuer-is-ca', 'issuer-extended-key-usage'], 'server', { issuer: noCa })
  violates('issuer-is-ca', 'device', { issuer: withoutSign })
  violates('issuer-path-length', 'intermediate', { issuer: issuerWith(basic(true, 0)) })
  violates('issuer-path-length', 'intermediate', {
    issuer: issuerWith(basic(true, 1)),
    set: [basic(true, 1)],
  })
  passes('intermediate', { issuer: issuerWith(basic(true, 1)) })
  violates('issuer-path-length-inherited', 'intermediate', {
    issuer: issuerWith(basic(true, 1)),
    set: [basic(true, null)],
  })
  violates('issuer-extended-key-usage', 'device', { issuer: issuerWith(purposes(oids.serverAuth)) })
  passes('device', { issuer: issuerWith(purposes(oids.serverAuth, oids.clientAuth)) })
  violates('issuer-name-constraints', 'device', {
    issuer: issuerWith(constraints),
    set: [san('dns:a.example.org')],
  })
  passes('device', { issuer: issuerWith(constraints), set: [san('dns:a.example.com')] })
  const strong = makeCertificate({ subject: 'CN=P384', keyAlgorithm: 'ec-p384' }).certificate
  passes('device', { issuer: strong })
  violates('issuer-signature-hash', 'device', { issuer: strong, signatureAlgorithm: 'ecdsa-sha256' })
})

test('Matter: DAC', () => {
  const dac = 'matter-dac'
  violates(['matter-key'], dac, { keyAlgorithm: 'ec-p384' })
  violates(['matter-ids-form', 'matter-ids-issuer'], dac, { subject: 'CN=L,matterPid=8000,matterVid=fff1' })
  violates('matter-ids-form', dac, { subject: 'CN=L Mvid:FFF1,matterPid=8000,matterVid=FFF1' })
  passes(dac, { subject: 'CN=L Mvid:FFF1 Mpid:8000' })
  violates(['matter-ids-dac', 'matter-ids-issuer'], dac, { subject: 'CN=L,matterVid=FFF1' })
  violates('matter-ids-issuer', dac, { subject: 'CN=L,matterPid=8000,matterVid=FFF2' })
  violates('matter-ids-issuer', dac, { subject: 'CN=L,matterPid=8001,matterVid=FFF1' })
  violates(['matter-ids-form', 'subject-single-attributes'], dac, {
    subject: 'CN=L,matterPid=8000,matterPid=8000,matterVid=FFF1',
  })
  violates('matter-key-usage', dac, { set: [usage('digitalSignature', 'nonRepudiation')] })
  violates('matter-basic-constraints', dac, { without: [oids.basicConstraints] })
  violates(['matter-key-identifiers', 'subject-key-identifier-in-leaf'], dac, {
    without: [oids.subjectKeyIdentifier],
  })
  violates(['matter-key-identifiers', 'issuer-key-identifier-present'], dac, {
    without: [oids.authorityKeyIdentifier],
  })
  const padded = (bytes: number) => ({ set: [makeExtension('1.2.3.4', octetString(new Uint8Array(bytes)))] })
  // 91 bytes come with the signature
  let room = 0
  while (tbsOf(dac, padded(room)).length < 600 - 91) room += 1
  passes(dac, padded(room))
  violates('matter-size', dac, padded(room + 1))
})

test('Matter: PAI and PAA', () => {
  violates('matter-path-length', 'paa', { set: [basic(true, 0)] })
  violates('matter-path-length', 'paa', { set: [basic(true, 2)] })
  passes('paa', { set: [basic(true, null)] })
  violates('matter-ids-paa', 'paa', { subject: 'CN=PAA,matterPid=8000,matterVid=FFF1' })
  violates('matter-key-usage', 'paa', { set: [usage('keyCertSign')] })
  violates(['matter-path-length', 'issuer-path-length-inherited'], 'pai', { set: [basic(true, null)] })
  violates('matter-ids-issuer', 'pai', { subject: 'CN=PAI,matterVid=FFF2' })
  violates('matter-key', 'paa', { keyAlgorithm: 'ec-p384' })
})

test('what cannot be read is one finding that says why', () => {
  const tbs = tbsOf('device')
  const finding = (bytes: Uint8Array, rule: string, message: RegExp): void => {
    const [first, ...more] = lintCertificate({ tbs: bytes, issuer: issuing.certificate, context: {} })
    assert.deepEqual([first?.rule, first?.severity, more.length], [rule, 'error', 0])
    assert.match(first?.message ?? '', message)
  }
  finding(concatBytes(tbs, Uint8Array.of(0)), 'syntax', /trailing/)
  finding(tbs.subarray(0, -1), 'syntax', /./)
  const names = san('uri:urn:x')
  const twice = tbsOf('device', { set: [names, names] })
  finding(twice, 'syntax', /subjectAltName occurs twice/)
  const replaced = (from: string, to: string): Uint8Array =>
    fromHex(toHex(tbs).replace(from, to)) as Uint8Array
  finding(replaced('0c0864657669', '0c081b5b3069'), 'name-text', /control/)
  finding(replaced('06082a8648ce3d030107', '06082a8648ce3d030101'), 'algorithm-supported', /curve/)
  finding(replaced('170d323631313230', '170d323631333230'), 'syntax', /time|day/)
})

test('an unknown issuer is not held against a certificate', () => {
  const tbs = tbsOf('device', { notAfter: noExpiry })
  assert.deepEqual(lintCertificate({ tbs, issuer: 'unknown', context: { purpose: 'device' } }), [])
})

test('without a purpose its rules do not apply', () => {
  passes('device', { context: {}, without: [oids.keyUsage] })
  assert.deepEqual(lint('root', { context: {}, set: [basic(true, 0)] }), [])
})

test('every rule has a name of its own and a test that violates it', () => {
  const names = lintRules.map(({ rule }) => rule)
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.length >= 40)
  assert.deepEqual(
    names.filter((name) => !violatedRules().has(name) && !noted.has(name)),
    [],
  )
})

const noted = new Set<string>()

function rulesOf(findings: ReturnType<typeof lintCertificate>): string[] {
  return findings.map(({ rule }) => rule)
}

/** The extension of a sound device certificate with its criticality turned round. */
function toggled(oid: string, spki: Uint8Array): Extension {
  if (oid === oids.subjectKeyIdentifier) {
    return makeExtension(oid, encodeSubjectKeyIdentifier(parsePublicKey(spki).keyIdentifier), true)
  }
  const { list } = makeCertificate({
    issuer: issuing,
    extensions: [
      makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints([crlAt('http://a.example/1.crl')])),
      makeExtension(
        oids.authorityInfoAccess,
        encodeInfoAccess([{ method: oids.caIssuers, location: uri('http://a.example/1.cer') }]),
      ),
    ],
  }).certificate.extensions
  const extension = findExtension(list, oid)
  assert.ok(extension)
  return { ...extension, critical: !extension.critical }
}

function issuerWith(extension: Extension) {
  return makeCertificate({ subject: 'CN=Special,O=Example', issuer: root, ca: true, extensions: [extension] })
    .certificate
}
