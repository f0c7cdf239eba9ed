/** The public face of `perennial/pki`: what others may build on. Inside the house, import the files themselves. */
export { type CertificatePolicy, cpsQualifier, encodeCertificatePolicies } from './certificate-policies.ts'
export {
  type Certificate,
  type CertificateContent,
  type SignedParts,
  type TbsCertificate,
  assembleCertificate,
  encodeTbsCertificate,
  noExpiry,
  parseCertificate,
  parseTbsCertificate,
} from './certificate.ts'
export { CompactSet, CompactSetKeys, encodeCompactSet } from './compact-set.ts'
export { certsOnly, parseCertsOnly } from './cms.ts'
export { type EnvelopeContent, type EnvelopeRecipient, envelopedData } from './cms-enveloped.ts'
export { type KeyPackageContent, asymmetricKeyPackage, sealKeyPackage } from './cms-key-package.ts'
export { type SignedDataContent, signedData } from './cms-signed.ts'
export { type CrlContent, type SignedCrlParts, assembleCrl, encodeTbsCertList } from './crl.ts'
export { CrlEntries, type NewCrlEntry } from './crl-entries.ts'
export { type Crl, type CrlEntry, parseCrl, verifyCrl } from './crl-read.ts'
export {
  type CsrAttribute,
  type CsrAttributesContent,
  type CsrTemplate,
  type RequestedKey,
  type TemplateExtension,
  encodeCsrAttributes,
  parseCsrAttributes,
} from './csr-attributes.ts'
export type { ChangeSubjectName, CsrAttributes, SmimeCapability } from './csr-request-attributes.ts'
export { type Csr, type CsrContent, type CsrSignature, buildCsr, parseCsr, verifyCsr } from './csr.ts'
export { type DerLimits, DerFields, DerNode, readDer } from './der.ts'
export { type DistributionPoint, crlAt, encodeDistributionPoints } from './distribution-point.ts'
export {
  type AccessDescription,
  type AuthorityKeyIdentifier,
  type BasicConstraints,
  type KeyUsageName,
  encodeAuthorityKeyIdentifier,
  encodeBasicConstraints,
  encodeExtendedKeyUsage,
  encodeInfoAccess,
  encodeKeyUsage,
  encodeSubjectKeyIdentifier,
} from './extension-values.ts'
export {
  type Extension,
  type ParsedExtensions,
  encodeExtensions,
  findExtension,
  makeExtension,
  parseExtensions,
} from './extensions.ts'
export { formatGeneralName, parseGeneralNameText } from './general-name-text.ts'
export { type GeneralName, encodeGeneralNames, equalGeneralNameSets } from './general-name.ts'
export { type IssuingDistributionPoint, userCertsAt } from './issuing-distribution-point.ts'
export { checkPublicKey } from './key-check.ts'
export {
  type KeyAlgorithm,
  type KeyPair,
  type PublicKey,
  generateKeyPair,
  generateKeyPairAsync,
  keyAlgorithms,
  parsePublicKey,
} from './key.ts'
export { type LintContext, type LintFinding, type LintRequest, lintCertificate } from './lint.ts'
export { type NameConstraint, type NameConstraints, encodeNameConstraints } from './name-constraints.ts'
export { formatName, parseNameText } from './name-text.ts'
export { type AttributeTypeAndValue, type Name, type Rdn, encodeName, equalNames } from './name.ts'
export { oidFromName, oidName, oids } from './oid.ts'
export { type PathRequest, validatePath } from './path.ts'
export { type PemBlock, decodePem, encodePem } from './pem.ts'
export { type RevocationReason, isRevocationReason, revocationReasons } from './revocation-reason.ts'
export {
  type SignatureAlgorithm,
  defaultSignatureAlgorithm,
  signData,
  signDataAsync,
  verifySignature,
} from './signature.ts'
