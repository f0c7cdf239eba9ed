/**
 * TLS whose server is verified at a given instant. Node asks the system's clock and takes no other, so where that is known to be
 * wrong the handshake runs without Node's verdict, and path, purpose and name are checked here, before a byte is sent inside.
 */
import { once } from 'node:events'
import { isIP } from 'node:net'
import { checkServerIdentity, connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { oids } from '../pki/oid.ts'
import { validatePath } from '../pki/path.ts'
import { decodePem } from '../pki/pem.ts'

export interface TlsAt {
  readonly host: string
  readonly port: number
  /** DNS name or IP address that the server's certificate must carry. */
  readonly serverName: string
  /** Pinned trust anchors, PEM: the only ones. */
  readonly trustPem: string
  readonly at: Instant
  /** Versions, and what the device shows of itself. */
  readonly options: Pick<ConnectionOptions, 'minVersion' | 'maxVersion' | 'cert' | 'key'>
}

/** Longer than any chain that we would build. */
const mostCertificates = 10

/** @throws Refusal `path-invalid` or `certificate-untrusted` for the server's certificate; else what the socket says */
export async function connectAt(target: TlsAt, signal: AbortSignal): Promise<TLSSocket> {
  const { host, port, serverName, options } = target
  signal.throwIfAborted()
  const socket = connect({
    ...options,
    host,
    port,
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    rejectUnauthorized: false,
  })
  const onAbort = () => void socket.destroy()
  signal.addEventListener('abort', onAbort, { once: true })
  socket.once('close', () => signal.removeEventListener('abort', onAbort))
  try {
    await once(socket, 'secureConnect', { signal })
    verifyServer(socket, target)
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  }
}

function verifyServer(socket: TLSSocket, { serverName, trustPem, at }: TlsAt): void {
  const [leaf, ...intermediates] = presented(socket)
  if (!leaf) throw new Refusal('certificate-untrusted', 'the server has shown no certificate')
  const anchors = decodePem(trustPem).map(({ der }) => parseCertificate(der))
  validatePath({ leaf, intermediates, anchors, at, purpose: oids.serverAuth })
  const mismatch = checkServerIdentity(serverName, socket.getPeerCertificate())
  if (mismatch) throw new Refusal('certificate-untrusted', mismatch.message, { cause: mismatch })
}

/** As the server sent them, its own first. */
function presented(socket: TLSSocket): Certificate[] {
  const found: Certificate[] = []
  const seen = new Set<string>()
  let each = socket.getPeerX509Certificate()
  while (each && !seen.has(each.fingerprint256) && found.length < mostCertificates) {
    seen.add(each.fingerprint256)
    found.push(parseCertificate(each.raw))
    each = each.issuerCertificate
  }
  return found
}
