/** The key and certificate with which the EST endpoint shows who it is, made when they are missing or due. */
import { X509Certificate, createPrivateKey } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { serverNames, type App } from './app.ts'
import { toHex } from './base/bytes.ts'
import { writeFileAtomically } from './base/file.ts'
import type { OwnCertificate } from './engine/alerts/alert-input.ts'
import { issuerChain } from './engine/issuing/issuer.ts'
import {
  isServerCertificateDue,
  issueServerCertificate,
  serverIssuer,
} from './engine/issuing/server-certificate.ts'
import { formatGeneralName, parseGeneralNameText } from './pki/general-name-text.ts'
import { parseCertificate } from './pki/certificate.ts'
import { generateKeyPair } from './pki/key.ts'
import { decodePem, encodePem } from './pki/pem.ts'

export interface ServerCredential {
  /** The certificate and its issuers without the root, which clients have. */
  readonly chainPem: string
  /** PKCS#8. */
  readonly keyPem: string
}

/**
 * What is there, or a new key and certificate: when there is none, when the names devices connect to have changed, when
 * it ends within 30 days, when its issuer is another one now. Two processes that find it due at one time both get a good
 * one; the last to write is the one that stays.
 */
export async function ensureServerCertificate(app: App): Promise<ServerCredential> {
  const { serverCertificateFile, serverKeyFile } = app.dataDirectory
  const chainPem = await readOptional(serverCertificateFile)
  const keyPem = await readOptional(serverKeyFile)
  if (chainPem !== null && keyPem !== null && (await isStillGood(app, chainPem, keyPem)))
    return { chainPem, keyPem }
  return await renew(app)
}

/** What our own endpoints show, for the alerts; none when there is no file yet. */
export async function ownCertificates({
  dataDirectory,
}: Pick<App, 'dataDirectory'>): Promise<OwnCertificate[]> {
  const chainPem = await readOptional(dataDirectory.serverCertificateFile)
  const leaf = chainPem === null ? undefined : decodePem(chainPem)[0]?.der
  return leaf ? [{ name: 'the EST endpoint', notAfter: parseCertificate(leaf).notAfter }] : []
}

async function renew(app: App): Promise<ServerCredential> {
  const { serverCertificateFile, serverKeyFile } = app.dataDirectory
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const issuerId = await serverIssuer(app.engine)
  const request = { issuerId, hostnames: serverNames(app.config), spki }
  const { der } = await issueServerCertificate(app.engine, request)
  const issuers = await issuerChain(app.engine, issuerId)
  const chainPem = [der, ...issuers.slice(0, -1)].map((each) => encodePem('CERTIFICATE', each)).join('')
  const keyPem = encodePem('PRIVATE KEY', privateKey.export({ type: 'pkcs8', format: 'der' }))
  // the key first: between the two writes the pair does not fit, which the next start takes for a missing one
  await writeFileAtomically(serverKeyFile, keyPem, 0o600)
  await writeFileAtomically(serverCertificateFile, chainPem, 0o644)
  return { chainPem, keyPem }
}

async function isStillGood(app: App, chainPem: string, keyPem: string): Promise<boolean> {
  const leaf = decodePem(chainPem)[0]?.der
  if (!leaf) return false
  const { notAfter, extensions } = parseCertificate(leaf)
  if (isServerCertificateDue({ notAfter }, app.engine.clock.now())) return false
  const signedBy = extensions.authorityKeyIdentifier?.keyIdentifier ?? null
  const issuers = await app.engine.issuers.list()
  const isRevoked = issuers.some(
    ({ status, subjectKeyIdentifier }) =>
      status === 'revoked' && signedBy !== null && toHex(signedBy) === subjectKeyIdentifier,
  )
  if (isRevoked) return false
  const names = new Set((extensions.subjectAltName ?? []).map(formatGeneralName))
  const wanted = new Set(serverNames(app.config).map(nameText))
  const hasNames = names.size === wanted.size && wanted.isSubsetOf(names)
  return hasNames && new X509Certificate(leaf).checkPrivateKey(createPrivateKey(keyPem))
}

function nameText(name: string): string {
  return formatGeneralName(parseGeneralNameText(isIP(name) === 0 ? `dns:${name}` : `ip:${name}`))
}

async function readOptional(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
