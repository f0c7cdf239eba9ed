/** `/serverkeygen` (RFC 7030 §4.4): the wrapping of a key that the server made. */
import { createPrivateKey, type KeyObject } from 'node:crypto'
import { equalBytes, toBase64 } from '../base/bytes.ts'
import { secondMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { token } from '../base/random.ts'
import type { Engine } from '../engine/context.ts'
import { type EnrollRequest } from '../engine/issuing/enroll.ts'
import { serverKeygen } from '../engine/issuing/server-keygen.ts'
import { type Certificate, parseCertificate } from '../pki/certificate.ts'
import { certsOnly } from '../pki/cms.ts'
import type { EnvelopeRecipient } from '../pki/cms-enveloped.ts'
import { sealKeyPackage } from '../pki/cms-key-package.ts'
import { type Csr, parseCsr } from '../pki/csr.ts'
import { parsePublicKey } from '../pki/key.ts'
import { oids } from '../pki/oid.ts'
import { decodePem } from '../pki/pem.ts'
import { defaultSignatureAlgorithm, signData } from '../pki/signature.ts'
import type { EstResponse } from './est-response.ts'

/** Who signs an encrypted key before it is sealed: the key of the server's own certificate, never a CA's. */
export interface KeyPackageSigner {
  readonly certificate: Certificate
  readonly chain: readonly Uint8Array[]
  readonly key: KeyObject
}

/** @param identity of the TLS server, PEM; leaf first */
export function keyPackageSigner(identity: {
  readonly chainPem: string
  readonly keyPem: string
}): KeyPackageSigner {
  const [leaf, ...chain] = decodePem(identity.chainPem).map(({ der }) => der)
  if (!leaf) throw new Refusal('configuration-invalid', 'the server certificate file holds no certificate')
  return { certificate: parseCertificate(leaf), chain, key: createPrivateKey(identity.keyPem) }
}

/**
 * The key comes in the clear inside TLS, or in a CMS EnvelopedData when the CSR names a key to encrypt it to. Whether
 * that is possible is settled before a key is made and a certificate issued.
 * @param signer null where the caller has no certificate of its own; then nothing can be encrypted
 */
export async function answerServerKeygen(
  engine: Engine,
  request: EnrollRequest,
  signer: KeyPackageSigner | null,
): Promise<EstResponse> {
  const recipient = chooseRecipient(parseCsr(request.csr), request.peer.certificate)
  if (recipient && !signer) {
    throw new Refusal(
      'server-keygen-not-allowed',
      'this server cannot encrypt the key: leave the identifier out',
    )
  }
  const { privateKey, certificate } = await serverKeygen(engine, request)
  const keyPart =
    recipient && signer
      ? {
          type: 'application/pkcs7-mime; smime-type=server-generated-key',
          content: seal(engine, privateKey, recipient, signer),
        }
      : { type: 'application/pkcs8', content: privateKey }
  const certificatePart = {
    type: 'application/pkcs7-mime; smime-type=certs-only',
    content: certsOnly([certificate]),
  }
  const boundary = `perennial-${token(engine.random, 12)}`
  return {
    status: 200,
    headers: { 'Content-Type': `multipart/mixed; boundary=${boundary}` },
    body: multipart(boundary, [keyPart, certificatePart]),
    result: 'issued',
  }
}

/**
 * To whom the key is encrypted.
 * @returns null when the CSR does not ask for encryption
 * @throws Refusal `invalid-input` when it names a key that we do not know, `bad-algorithm` when it cannot read AES-256-CBC
 */
function chooseRecipient(csr: Csr, clientCertificate: Uint8Array | null): EnvelopeRecipient | null {
  if (csr.decryptKeyIdentifier !== null) {
    const detail =
      'this server shares no symmetric keys: name the key of your certificate (RFC 7030 §4.4.1.2) or none'
    throw new Refusal('invalid-input', detail)
  }
  const wanted = csr.asymmetricDecryptKeyIdentifier
  if (wanted === null) return null
  const certificate = clientCertificate && parseCertificate(clientCertificate)
  if (!certificate || !hasKeyIdentifier(certificate, wanted)) {
    const detail =
      'AsymmetricDecryptKeyIdentifier must be the subject key identifier of the TLS client certificate'
    throw new Refusal('invalid-input', detail)
  }
  const offered = csr.smimeCapabilities?.map(({ capability }) => capability)
  if (offered && !offered.includes(oids.aes256Cbc)) {
    throw new Refusal(
      'bad-algorithm',
      'the key would be encrypted with AES-256-CBC: list it in SMIMECapabilities',
    )
  }
  const readsOaep = offered?.includes(oids.rsaesOaep) ?? true
  return { kind: 'certificate', certificate, keyTransport: readsOaep ? 'oaep' : 'pkcs1' }
}

function hasKeyIdentifier({ extensions, spki }: Certificate, wanted: Uint8Array): boolean {
  const written = extensions.subjectKeyIdentifier
  return equalBytes(written ?? parsePublicKey(spki).keyIdentifier, wanted)
}

function seal(
  { clock, random }: Engine,
  privateKey: Uint8Array,
  recipient: EnvelopeRecipient,
  signer: KeyPackageSigner,
): Uint8Array {
  const algorithm = defaultSignatureAlgorithm(parsePublicKey(signer.certificate.spki).algorithm)
  const parts = {
    privateKey,
    recipient,
    signer: signer.certificate,
    chain: signer.chain,
    signedAt: Math.floor(clock.now() / secondMs) * secondMs,
    algorithm,
    sign: (bytes: Uint8Array) => signData(signer.key, algorithm, bytes),
  }
  return sealKeyPackage(parts, random)
}

/** RFC 2046 §5.1; base64 in one line like everywhere else. */
function multipart(
  boundary: string,
  parts: readonly { readonly type: string; readonly content: Uint8Array }[],
): string {
  const written = parts.map(
    ({ type, content }) =>
      `--${boundary}\r\nContent-Type: ${type}\r\nContent-Transfer-Encoding: base64\r\n\r\n${toBase64(content)}\r\n`,
  )
  return `${written.join('')}--${boundary}--\r\n`
}
