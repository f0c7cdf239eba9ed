/** CRLs for tests: real signatures, a fixed time, everything overridable. */
import { hourMs } from '../../src/base/clock.ts'
import { fromHex } from '../../src/base/bytes.ts'
import { assembleCrl, type CrlContent, encodeTbsCertList } from '../../src/pki/crl.ts'
import { CrlEntries, type NewCrlEntry } from '../../src/pki/crl-entries.ts'
import { defaultSignatureAlgorithm } from '../../src/pki/signature.ts'
import { signParts } from '../../src/pki/signature-parts.ts'
import { type TestCertificate, testNow } from './certificates.ts'

export interface TestCrlEntry extends Partial<Omit<NewCrlEntry, 'serialNumber'>> {
  /** Hex. */
  readonly serial: string
}

export function makeCrl(
  issuer: TestCertificate,
  entries: readonly TestCrlEntry[] = [],
  content: Partial<CrlContent> = {},
): Uint8Array {
  const list = new CrlEntries()
  for (const { serial, revokedAt = testNow - hourMs, reason = 'keyCompromise', ...rest } of entries) {
    list.add({ serialNumber: fromHex(serial) as Uint8Array, revokedAt, reason, ...rest })
  }
  const signatureAlgorithm = defaultSignatureAlgorithm(issuer.keyAlgorithm)
  const tbs = encodeTbsCertList(
    {
      issuerDer: issuer.certificate.subjectDer,
      signatureAlgorithm,
      thisUpdate: testNow,
      nextUpdate: testNow + 24 * hourMs,
      crlNumber: 1,
      authorityKeyIdentifier: issuer.certificate.extensions.subjectKeyIdentifier as Uint8Array,
      ...content,
    },
    list,
  )
  const signature = signParts(issuer.keys.privateKey, signatureAlgorithm, tbs)
  return Buffer.concat(assembleCrl({ tbs, signatureAlgorithm, signature }))
}
