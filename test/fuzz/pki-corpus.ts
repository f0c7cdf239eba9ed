/** Where mutation starts: certificates and requests that use everything we can read. */
import {
  cpsQualifier,
  encodeCertificatePolicies,
  encodePolicyConstraints,
} from '../../src/pki/certificate-policies.ts'
import { noExpiry } from '../../src/pki/certificate.ts'
import { octetString, oid, sequence, utf8String } from '../../src/pki/der-writer.ts'
import { crlAt, encodeDistributionPoints } from '../../src/pki/distribution-point.ts'
import {
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeInfoAccess,
} from '../../src/pki/extension-values.ts'
import { makeExtension } from '../../src/pki/extensions.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import { encodeNameConstraints } from '../../src/pki/name-constraints.ts'
import { encodeName } from '../../src/pki/name.ts'
import { parseNameText } from '../../src/pki/name-text.ts'
import { oids } from '../../src/pki/oid.ts'
import { makeCertificate, makeCsr, san } from '../helpers/certificates.ts'

export const keys = generateKeyPair('ec-p256')

const names = san(
  'dns:a.example',
  'uri:urn:perennial:device:1',
  'ip:10.0.0.1',
  'ip:2001:db8::1',
  'email:a@b.example',
  'dir:CN=a,O=b',
  'rid:1.2.3.4',
  'hw:1.2.3:0a0b',
  'other:1.2.3.4:0c0161',
)

const subject = 'CN=Zähler 1+serialNumber=SN-1,OU=Ünits,O=Example,DC=example,C=DE'

const root = makeCertificate({ keys })
const issuing = makeCertificate({
  issuer: root,
  ca: true,
  extensions: [
    makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: true, pathLength: 3 })),
    makeExtension(
      oids.nameConstraints,
      encodeNameConstraints({
        permitted: [
          { kind: 'dns', value: 'example' },
          { kind: 'directoryName', name: parseNameText('O=b') },
          { kind: 'ip', address: Uint8Array.of(10, 0, 0, 0), mask: Uint8Array.of(255, 0, 0, 0) },
        ],
        excluded: [{ kind: 'email', value: '.bad.example' }],
      }),
    ),
    makeExtension(
      oids.policyConstraints,
      encodePolicyConstraints({ requireExplicitPolicy: 1, inhibitPolicyMapping: 0 }),
    ),
  ],
})
const leaf = makeCertificate({
  issuer: issuing,
  subject,
  notAfter: noExpiry,
  extensions: [
    names,
    makeExtension(oids.cRLDistributionPoints, encodeDistributionPoints([crlAt('http://a.example/1.crl')])),
    makeExtension(
      oids.authorityInfoAccess,
      encodeInfoAccess([
        { method: oids.caIssuers, location: { kind: 'uri', value: 'http://a.example/ca.cer' } },
      ]),
    ),
    makeExtension(
      oids.certificatePolicies,
      encodeCertificatePolicies([{ policy: '1.2.3.4', qualifiers: [cpsQualifier('http://a.example/cps')] }]),
    ),
    makeExtension('1.2.3.4.5', utf8String('unknown')),
  ],
})
const small = makeCertificate({ issuer: root, keyAlgorithm: 'ed25519', subject: 'CN=a' })

export const certificates: readonly Uint8Array[] = [root, issuing, leaf, small].map(
  ({ certificate }) => certificate.der,
)

export const csrs: readonly Uint8Array[] = [
  makeCsr({ keys }),
  makeCsr({ keys, subject, challengePassword: 'a secret', extensions: [names] }),
  makeCsr({
    keys,
    subject: '',
    challengePassword: 'täst',
    extensions: [
      names,
      makeExtension(oids.extendedKeyUsage, encodeExtendedKeyUsage([oids.clientAuth, '1.2.3'])),
    ],
    attributes: [
      { type: oids.smimeCapabilities, value: sequence(sequence(oid(oids.aes256Cbc))) },
      { type: oids.decryptKeyIdentifier, value: octetString(Uint8Array.of(1, 2)) },
      { type: oids.asymmetricDecryptKeyIdentifier, value: octetString(Uint8Array.of(3)) },
      { type: oids.changeSubjectName, value: sequence(encodeName(parseNameText('CN=new')), names.value) },
      { type: '1.2.3.4', value: utf8String('unknown') },
    ],
  }),
]
