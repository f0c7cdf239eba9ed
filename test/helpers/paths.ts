/** Paths for tests: a root, an issuing CA and a device, each part replaceable. */
import type { Certificate } from '../../src/pki/certificate.ts'
import { encodeBasicConstraints } from '../../src/pki/extension-values.ts'
import { type Extension, makeExtension } from '../../src/pki/extensions.ts'
import { oids } from '../../src/pki/oid.ts'
import { type PathRequest, validatePath } from '../../src/pki/path.ts'
import { makeCertificate, type TestCertificate, testNow } from './certificates.ts'
import { refuses } from './refuses.ts'

export const root = makeCertificate({ subject: 'CN=Root,O=Example' })
export const issuing = makeCertificate({ subject: 'CN=Issuing,O=Example', issuer: root, ca: true })
export const device = makeCertificate({ subject: 'CN=device-1', issuer: issuing })

export function certificates(list: readonly TestCertificate[]): Certificate[] {
  return list.map(({ certificate }) => certificate)
}

export interface Case {
  readonly leaf?: TestCertificate
  readonly intermediates?: readonly TestCertificate[]
  readonly anchors?: readonly TestCertificate[]
  readonly at?: number
  readonly purpose?: string
}

function request({
  leaf = device,
  intermediates = [issuing],
  anchors = [root],
  at = testNow,
  purpose,
}: Case): PathRequest {
  return {
    leaf: leaf.certificate,
    intermediates: certificates(intermediates),
    anchors: certificates(anchors),
    at,
    ...(purpose === undefined ? {} : { purpose }),
  }
}

export function accepts(given: Case): Certificate[] {
  return validatePath(request(given))
}

export function rejects(given: Case, message: RegExp): void {
  refuses('path-invalid', () => validatePath(request(given)), message)
}

export function pathLength(length: number): Extension {
  return makeExtension(oids.basicConstraints, encodeBasicConstraints({ ca: true, pathLength: length }))
}

/** root → ca → leaf, with extensions put into the CA and the leaf. */
export function chain(
  inCa: readonly Extension[],
  inLeaf: readonly Extension[] = [],
  subject = 'CN=device-1',
): Case {
  const ca = makeCertificate({ subject: 'CN=CA', issuer: root, ca: true, extensions: inCa })
  const leaf = makeCertificate({ subject, issuer: ca, extensions: inLeaf })
  return { leaf, intermediates: [ca] }
}
