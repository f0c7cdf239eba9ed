/** The certification request of a device. */
import type { DeviceId } from '../base/id.ts'
import type { Certificate } from '../pki/certificate.ts'
import { buildCsr, type CsrContent } from '../pki/csr.ts'
import { findExtension } from '../pki/extensions.ts'
import { parseNameText } from '../pki/name-text.ts'
import { oids } from '../pki/oid.ts'
import type { Keystore, Slot } from './keystore.ts'

export interface RequestContent {
  readonly keystore: Keystore
  readonly slot: Slot
  readonly spki: Uint8Array
  /** The certificate whose names are asked for (RFC 7030 §4.2.2); null for a first one. */
  readonly before: Certificate | null
  readonly deviceId: DeviceId
}

/** @returns PKCS #10, DER */
export async function buildRequest({
  keystore,
  slot,
  spki,
  before,
  deviceId,
}: RequestContent): Promise<Uint8Array> {
  const content: CsrContent = before
    ? { subject: before.subject, spki, extensions: altNames(before) }
    : { subject: parseNameText(`CN=${deviceId}`), spki }
  // keys in hardware sign when they have time, the encoder does not wait: so it is asked twice
  let info = new Uint8Array()
  buildCsr(content, (bytes) => {
    info = Uint8Array.from(bytes)
    return { algorithm: 'ecdsa-sha256', signature: new Uint8Array() }
  })
  const signature = await keystore.sign(slot, info)
  return buildCsr(content, () => signature)
}

function altNames({ extensions }: Certificate): NonNullable<CsrContent['extensions']> {
  const names = findExtension(extensions.list, oids.subjectAltName)
  return names ? [names] : []
}
