/** OCSP requests for tests, and enough of a reader of responses to look into them. */
import { hash } from 'node:crypto'
import assert from 'node:assert/strict'
import { toHex } from '../../src/base/bytes.ts'
import type { SerialNumber } from '../../src/base/id.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { readDer, type DerNode } from '../../src/pki/der.ts'
import { readBitStringBytes } from '../../src/pki/der-values.ts'
import { explicit, nullValue, octetString, oid, sequence } from '../../src/pki/der-writer.ts'
import { encodeSerialNumber } from '../../src/pki/extension-values.ts'
import { encodeExtension } from '../../src/pki/extensions.ts'
import { oids } from '../../src/pki/oid.ts'

export interface CertIdOptions {
  readonly hash?: 'sha1' | 'sha256'
  /** Algorithm parameters: NULL unless false. */
  readonly hasParameters?: boolean
}

export function certId(
  issuer: Certificate,
  serialNumber: SerialNumber,
  { hash: name = 'sha1', hasParameters = true }: CertIdOptions = {},
): Uint8Array {
  const bits = readBitStringBytes(readDer(issuer.spki).children[1] as DerNode, 'key')
  const digest = (bytes: Uint8Array): Uint8Array => octetString(hash(name, bytes, 'buffer'))
  return sequence(
    sequence(oid(oids[name]), ...(hasParameters ? [nullValue()] : [])),
    digest(issuer.subjectDer),
    digest(bits),
    encodeSerialNumber(serialNumber),
  )
}

export function ocspRequest(certIds: readonly Uint8Array[], nonce?: Uint8Array): Uint8Array {
  const extensions = nonce && [
    explicit(
      2,
      sequence(encodeExtension({ oid: oids.ocspNonce, critical: false, value: octetString(nonce) })),
    ),
  ]
  return sequence(sequence(sequence(...certIds.map((id) => sequence(id))), ...(extensions ?? [])))
}

export interface ReadOcsp {
  readonly status: number
  /** `good`, `revoked 5` (the reason's number), `revoked`, `unknown`. */
  readonly singles: readonly string[]
  readonly certIds: readonly Uint8Array[]
  /** Hex, or null. */
  readonly nonce: string | null
  readonly responseData: Uint8Array
  readonly signature: Uint8Array
  readonly signer: Uint8Array
}

export function readOcsp(der: Uint8Array): ReadOcsp {
  const [status, bytes] = readDer(der).children
  assert.ok(status)
  const none = new Uint8Array()
  const failed = { singles: [], certIds: [], nonce: null, responseData: none, signature: none, signer: none }
  if (!bytes) return { status: status.content[0] as number, ...failed }
  const basic = readDer(contentOf(bytes.children[0]?.children[1]))
  const [data, , signature, certs] = basic.children
  assert.ok(data && signature && certs)
  const responses = data.children.find(({ tag, class: kind }) => kind === 'universal' && tag === 16)
  const extensions = data.children.find(({ tag, class: kind }) => kind === 'context' && tag === 1)
  assert.ok(responses)
  const nonce = extensions?.children[0]?.children[0]?.children[1]
  return {
    status: status.content[0] as number,
    singles: responses.children.map(({ children }) => statusText(children[1] as DerNode)),
    certIds: responses.children.map(({ children }) => (children[0] as DerNode).raw),
    nonce: nonce ? toHex(readDer(nonce.content).content) : null,
    responseData: data.raw,
    signature: readBitStringBytes(signature, 'signature'),
    signer: rawOf(certs.children[0]?.children[0]),
  }
}

function contentOf(node: DerNode | undefined): Uint8Array {
  assert.ok(node)
  return node.content
}

function rawOf(node: DerNode | undefined): Uint8Array {
  assert.ok(node)
  return node.raw
}

function statusText(node: DerNode): string {
  const reason = node.children[1]?.children[0]?.content[0]
  const name = ['good', 'revoked', 'unknown'][node.tag] ?? 'none'
  return reason === undefined ? name : `${name} ${reason}`
}
