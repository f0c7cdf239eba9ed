/** The server's side of the agent's transport in memory: issues, repeats, confirms at first use and retires as the engine does. */
import { createPublicKey } from 'node:crypto'
import type {
  AgentTransport,
  Bearer,
  TransportAnswer,
  TransportRequest,
} from '../../src/agent/agent-transport.ts'
import type { Window } from '../../src/agent/agent-inbox.ts'
import { sha256Hex } from '../../src/base/bytes.ts'
import { type Clock, dayMs } from '../../src/base/clock.ts'
import type { Certificate } from '../../src/pki/certificate.ts'
import { parseCsr, verifyCsr } from '../../src/pki/csr.ts'
import { decodePem, encodePem } from '../../src/pki/pem.ts'
import { makeCertificate, san, type TestCertificate } from './certificates.ts'

interface Issued {
  readonly certificate: Certificate
  readonly spkiHash: string
  readonly predecessor: Issued | null
  status: 'issued' | 'confirmed' | 'superseded'
}

export const deviceSubject = 'CN=device-1,O=Example'

export class AgentServer implements AgentTransport {
  readonly root: TestCertificate
  readonly issuing: TestCertificate
  readonly issued: Issued[] = []
  /** Every request that was worked on: `reenroll`, `cacerts by certificate` … */
  readonly asked: string[] = []
  readonly validityMs: number
  renewBeforeMs: number
  /** What is said instead of an answer, as long as it is set. */
  says: ((request: TransportRequest) => TransportAnswer | null) | null = null
  /** Added to the clock of the device. */
  clockOffsetMs = 0
  /** What it answers to those who ask when to renew. */
  window: Window | null = null
  /** Looks at a certificate in /cacerts too, as a server does that judges in the handshake. */
  isStrict = false
  readonly #clock: Clock
  #secret: string
  #secretUsedFor: string | null = null

  constructor(
    clock: Clock,
    { validityMs = 90 * dayMs, renewBeforeMs = 45 * dayMs, secret = 'secret-1' } = {},
  ) {
    const life = { notBefore: clock.now() - dayMs, notAfter: clock.now() + 20 * 365 * dayMs }
    this.root = makeCertificate({ ...life, subject: 'CN=Root' })
    this.issuing = makeCertificate({ ...life, subject: 'CN=Issuing', issuer: this.root, ca: true })
    this.#clock = clock
    this.#secret = secret
    this.validityMs = validityMs
    this.renewBeforeMs = renewBeforeMs
  }

  get now(): number {
    return this.#clock.now() + this.clockOffsetMs
  }

  newSecret(secret: string): void {
    this.#secret = secret
    this.#secretUsedFor = null
  }

  /** Would this certificate be let in? */
  accepts(certificate: Certificate): boolean {
    const record = this.#find(certificate)
    return record !== null && record.status !== 'superseded' && this.now <= certificate.notAfter
  }

  /** A certificate that it has issued another way, after the last one. */
  adopt(certificate: Certificate): void {
    const predecessor = this.issued.at(-1) ?? null
    this.issued.push({ certificate, spkiHash: sha256Hex(certificate.spki), predecessor, status: 'issued' })
  }

  /** By its fingerprint. */
  find(fingerprint: string): Certificate | null {
    return (
      this.issued.find(({ certificate }) => sha256Hex(certificate.der) === fingerprint)?.certificate ?? null
    )
  }

  async ask(request: TransportRequest): Promise<TransportAnswer> {
    const said = this.says?.(request)
    if (said) return said
    const serverNow = this.now
    this.asked.push(`${request.operation} by ${request.bearer.kind}`)
    const peer = this.#peer(request.bearer)
    if (request.operation === 'renewal-info') {
      return { kind: 'done', certificates: [], serverNow, window: this.window, askAgainMs: dayMs }
    }
    if (request.operation === 'credential') {
      if (!peer || !this.#isLive(peer)) return refused(serverNow, 'certificate-retired: it was replaced')
      if (peer.status === 'issued') confirm(peer)
      return { kind: 'done', certificates: [], serverNow, window: this.window }
    }
    if (request.operation === 'cacerts') {
      if (request.trustPem !== undefined && !request.trustPem.includes(this.#rootPem())) {
        return { kind: 'failed', detail: 'unable to verify the server', serverNow: null }
      }
      if (peer && this.isStrict && !this.#isLive(peer)) return refused(serverNow, 'TLS alert')
      if (peer?.status === 'issued') confirm(peer)
      const certificates = [this.root.certificate.der, this.issuing.certificate.der]
      return { kind: 'done', certificates, serverNow }
    }
    const csr = parseCsr(request.csr)
    verifyCsr(csr)
    const spkiHash = sha256Hex(csr.spki)
    if (request.operation === 'enroll') return this.#enroll(request.bearer, csr.spki, spkiHash)
    if (!peer || !this.#isLive(peer)) return refused(serverNow, 'this certificate was replaced')
    if (peer.status === 'issued') confirm(peer)
    const repeat = this.issued.find((each) => each.predecessor === peer && each.spkiHash === spkiHash)
    if (repeat) return { kind: 'done', certificates: [repeat.certificate.der], serverNow }
    if (this.issued.some((each) => each.spkiHash === spkiHash)) return refused(serverNow, 'key re-used')
    const opensAt = peer.certificate.notAfter - this.renewBeforeMs
    if (serverNow < opensAt) {
      return { kind: 'later', afterMs: opensAt - serverNow, detail: 'too early', serverNow }
    }
    return this.#issue(csr.spki, peer)
  }

  #enroll(bearer: Bearer, spki: Uint8Array, spkiHash: string): TransportAnswer {
    const repeat = this.issued.find((each) => each.spkiHash === spkiHash)
    const isRight = bearer.kind === 'secret' && bearer.password === this.#secret
    if (!isRight || (this.#secretUsedFor ?? spkiHash) !== spkiHash) return refused(this.now, 'secret')
    if (repeat) return { kind: 'done', certificates: [repeat.certificate.der], serverNow: this.now }
    this.#secretUsedFor = spkiHash
    return this.#issue(spki, null)
  }

  #issue(spki: Uint8Array, predecessor: Issued | null): TransportAnswer {
    const now = Math.floor(this.now / 1000) * 1000
    const { certificate } = makeCertificate({
      subject: deviceSubject,
      issuer: this.issuing,
      keys: { spki, privateKey: this.root.keys.privateKey },
      notBefore: now - 60_000,
      notAfter: now + this.validityMs,
      extensions: [san('uri:urn:example:device-1')],
    })
    this.issued.push({ certificate, spkiHash: sha256Hex(spki), predecessor, status: 'issued' })
    return { kind: 'done', certificates: [certificate.der], serverNow: this.now }
  }

  /** TLS: whoever shows a certificate has its key. */
  #peer(bearer: Bearer): Issued | null {
    if (bearer.kind !== 'certificate') return null
    const [leaf] = decodePem(bearer.identity.chainPem)
    const record = this.issued.find(
      ({ certificate }) => sha256Hex(certificate.der) === sha256Hex(leaf?.der ?? ''),
    )
    const { identity } = bearer
    // hardware signs with the key of the certificate or not at all
    if (!('key' in identity)) return record ?? null
    const spki = createPublicKey(identity.key).export({ type: 'spki', format: 'der' })
    return record && sha256Hex(spki) === record.spkiHash ? record : null
  }

  #rootPem(): string {
    return encodePem('CERTIFICATE', this.root.certificate.der)
  }

  #find(certificate: Certificate): Issued | null {
    return this.issued.find((each) => Buffer.compare(each.certificate.der, certificate.der) === 0) ?? null
  }

  #isLive({ status, certificate }: Issued): boolean {
    return status !== 'superseded' && this.now <= certificate.notAfter
  }
}

function confirm(record: Issued): void {
  record.status = 'confirmed'
  for (let each = record.predecessor; each !== null; each = each.predecessor) each.status = 'superseded'
}

function refused(serverNow: number, detail: string): TransportAnswer {
  return { kind: 'refused', detail, serverNow }
}
