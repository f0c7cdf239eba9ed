/** What all steps of the agent share: one exchange, one check, and what is written down when it has not worked. */
import { decodePem, encodePem } from '../pki/pem.ts'
import { equalBytes } from '../base/bytes.ts'
import { hourMs, iso, minuteMs, type Clock, type Instant } from '../base/clock.ts'
import { assert, Refusal } from '../base/errors.ts'
import { fraction, type Random } from '../base/random.ts'
import { backoffMs } from '../base/retry.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import type { AgentConfig } from './agent-config.ts'
import type { AnchorFile } from './agent-anchors.ts'
import { receiveHint } from './agent-message.ts'
import type { OcspFile } from './agent-ocsp.ts'
import type { Inbox } from './agent-inbox.ts'
import { withAttempt, type AgentMemory, type Attempt, type MemoryFile } from './agent-memory.ts'
import {
  activeCredential,
  clockToleranceMs,
  predecessor,
  trustedNow,
  type AgentState,
  type Step,
} from './agent-state.ts'
import type {
  AgentTransport,
  Bearer,
  CertificateBearer,
  ReportedState,
  TransportAnswer,
  TransportRequest,
} from './agent-transport.ts'
import { checkCredential } from './agent-trust.ts'
import type { CredentialSlots, StoredCredential } from './credential-slots.ts'
import type { Keystore, Slot } from './keystore.ts'
import type { SignedTime } from './signed-time.ts'
import type { TlsIdentity } from './tls-key.ts'

export interface AgentEvent {
  readonly level: 'info' | 'warn'
  /** Stable: the kind of step, or `clock`, `storage`, `message`, `ocsp`. */
  readonly event: Step['kind'] | 'clock' | 'storage' | 'message' | 'ocsp'
  readonly message: string
}

/** What is kept between steps is files on a device; a simulated fleet of millions keeps it more narrowly. */
export interface AgentParts {
  readonly config: AgentConfig
  /** Pinned. */
  readonly anchors: Pick<AnchorFile, 'current' | 'pem' | 'replace'>
  readonly clock: Clock
  readonly random: Random
  readonly keystore: Keystore
  readonly credentials: Pick<CredentialSlots, 'read' | 'saveRequest' | 'saveCertificate' | 'activate'>
  readonly memory: Pick<MemoryFile, 'read' | 'save'>
  readonly inbox: Pick<Inbox, 'read' | 'update'>
  /** Where the newest OCSP answer about the certificate in use is kept; absent: nowhere. */
  readonly ocsp?: Pick<OcspFile, 'read' | 'replace'>
  readonly transport: AgentTransport
  /** Asked when our clock makes TLS with the server impossible; absent: that is then so. */
  readonly signedTime?: SignedTime
  /** For a first certificate: secret or factory identity. */
  readonly bootstrap?: Bearer
  readonly onEvent?: (event: AgentEvent) => void
}

export interface StepResult {
  readonly step: Step
  readonly outcome: Attempt['outcome']
  readonly detail: string
  /** When it is worth trying again, local clock. */
  readonly retryAt: Instant | null
  /** True when another credential is active now. */
  readonly isActivated: boolean
}

export const resting = { retryAt: null, isActivated: false } as const

export function done(step: Step, detail: string): StepResult {
  return { ...resting, step, outcome: 'done', detail }
}

/** Of requests that failed. A fleet that lost its server together must not come back together. */
const backoff = { baseMs: minuteMs, capMs: 6 * hourMs }

export interface CheckInput {
  readonly state: AgentState
  readonly memory: AgentMemory
  readonly certificate: Certificate
  readonly candidates: readonly Certificate[]
}

export interface NotNow {
  readonly state: AgentState
  readonly memory: AgentMemory
  readonly answer:
    | { readonly kind: 'later'; readonly afterMs: number; readonly detail: string }
    | { readonly kind: 'refused' | 'failed'; readonly detail: string }
}

/** CA certificates that came with the time are good for the certificate that is asked for next. */
const issuersGoodForMs = 10 * minuteMs

export class AgentCore {
  readonly parts: AgentParts
  /** As /cacerts had them last. */
  #issuers: { readonly at: Instant; readonly certificates: readonly Uint8Array[] } | null = null

  constructor(parts: AgentParts) {
    this.parts = parts
  }

  bootstrap(): Bearer {
    const { bootstrap } = this.parts
    if (bootstrap) return bootstrap
    throw new Refusal(
      'unauthenticated',
      'a first certificate needs an enrolment secret or a factory identity',
    )
  }

  async bearerOf(slot: Slot, credential: StoredCredential | null): Promise<CertificateBearer> {
    assert(credential, 'a slot that is used holds a certificate')
    const bearer = await this.bearerWith(slot, [credential.certificate.der, ...credential.intermediates])
    shown.set(bearer.identity, credential.certificate)
    return bearer
  }

  /** @param chain DER, leaf first; it fits the key in the slot */
  async bearerWith(slot: Slot, chain: readonly Uint8Array[]): Promise<CertificateBearer> {
    const chainPem = chain.map(pemOf).join('')
    return {
      kind: 'certificate',
      identity: { chainPem, ...(await this.parts.keystore.tls(slot)) },
      sign: async (data) => (await this.parts.keystore.sign(slot, data)).signature,
    }
  }

  async check(slot: Slot, input: CheckInput): Promise<Certificate[]> {
    const { anchors, clock, keystore } = this.parts
    const { state, memory, certificate: leaf, candidates } = input
    const spki = await keystore.find(slot)
    assert(spki, 'a certificate is checked against its key')
    const at = trustedNow(memory, clock.now())
    const before = predecessor(state)
    return checkCredential({ spki, leaf, candidates, anchors: anchors.current(), before, at })
  }

  /** One exchange. The server's clock counts from here on, because TLS has proved whose it is. */
  async ask(
    request: TransportRequest,
    before: AgentMemory,
  ): Promise<{ answer: TransportAnswer; memory: AgentMemory }> {
    const { answer, memory } = await this.#reach(request, before)
    await this.#noteWindow(request, answer)
    const observedAt = this.parts.clock.now()
    if (request.operation === 'cacerts' && answer.kind === 'done') {
      this.#issuers = { at: observedAt, certificates: answer.certificates }
    }
    if (answer.serverNow === null) {
      // TLS has taken the server's certificate for valid by our clock: a broker tells no time, and this has to do
      const isReached = answer.kind === 'done' && memory.time === null
      return { answer, memory: isReached ? { ...memory, time: { observedAt, offsetMs: 0 } } : memory }
    }
    const offsetMs = answer.serverNow - observedAt
    if (Math.abs(offsetMs) > clockToleranceMs) {
      const text = `this device says ${iso(observedAt)} and the server ${iso(answer.serverNow)}: the server's clock decides`
      this.say('warn', 'clock', text)
    }
    return { answer, memory: { ...memory, time: { observedAt, offsetMs } } }
  }

  /**
   * Asks as of the system's clock; where that makes the server's certificate invalid, as of what the server's clock has shown, and
   * then as of its signed time. In this order a server that once told a wrong time cannot keep a device away whose clock is right.
   */
  async #reach(
    request: TransportRequest,
    memory: AgentMemory,
  ): Promise<{ answer: TransportAnswer; memory: AgentMemory }> {
    const { transport, clock } = this.parts
    const answer = await transport.ask(request)
    if (answer.kind !== 'failed' || answer.isOutOfTime !== true) return { answer, memory }
    const now = clock.now()
    const trusted = trustedNow(memory, now)
    if (trusted !== now) {
      const again = await transport.ask({ ...request, at: trusted })
      if (again.kind !== 'failed') return { answer: again, memory }
    }
    const signed = await this.#askSignedTime(request)
    if (signed === null) return { answer, memory }
    const time = { observedAt: clock.now(), offsetMs: signed - clock.now() }
    // by a clock that is right the certificate is bad
    if (Math.abs(time.offsetMs) <= clockToleranceMs) return { answer, memory }
    this.say(
      'warn',
      'clock',
      `this device says ${iso(time.observedAt)}, and the signed time of the server is ${iso(signed)}`,
    )
    const corrected = { ...memory, time }
    return { answer: await transport.ask({ ...request, at: signed }), memory: corrected }
  }

  /** Null when nobody proves the time. A device without a certificate of ours has nobody to ask. */
  async #askSignedTime({ bearer }: TransportRequest): Promise<Instant | null> {
    const { signedTime, anchors } = this.parts
    if (!signedTime || bearer.kind !== 'certificate') return null
    const leaf = leafOf(bearer)
    const others = decodePem(bearer.identity.chainPem)
      .slice(1)
      .map(({ der }) => parseCertificate(der))
    const issuer = [...others, ...anchors.current()].find(({ subjectDer }) =>
      equalBytes(subjectDer, leaf.issuerDer),
    )
    if (!issuer) return null
    try {
      return await signedTime({ leaf, issuer })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.say('warn', 'clock', `the server's signed time is not there: ${error.message}`)
      return null
    }
  }

  /** What /cacerts said a moment ago; null when it is to be asked. Taken once. */
  takeIssuers(): readonly Uint8Array[] | null {
    const issuers = this.#issuers
    this.#issuers = null
    if (issuers === null || issuers.certificates.length === 0) return null
    return Math.abs(this.parts.clock.now() - issuers.at) <= issuersGoodForMs ? issuers.certificates : null
  }

  /** An answer about a certificate may say when it should be renewed. */
  async #noteWindow(request: TransportRequest, { window }: TransportAnswer): Promise<void> {
    if (!window || request.bearer.kind !== 'certificate') return
    if (request.operation !== 'credential' && request.operation !== 'renewal-info') return
    const serialNumber = leafOf(request.bearer).serialNumber
    await this.parts.inbox.update((state) => receiveHint(state, serialNumber, window))
  }

  /** The certificate of the slot has come that far. */
  async report(
    state: ReportedState,
    slot: Slot,
    { held, bearer }: { readonly held: StoredCredential; readonly bearer: CertificateBearer },
  ): Promise<void> {
    const sign = async (data: Uint8Array) => (await this.parts.keystore.sign(slot, data)).signature
    const csr = held.csr?.der ?? null
    await this.parts.transport.report?.({ state, csr, fingerprint: held.fingerprint, bearer, sign })
  }

  /** Writes down what happened and when to come back. */
  async notNow(step: Step, { state, memory, answer }: NotNow): Promise<StepResult> {
    const { clock, memory: file } = this.parts
    const now = clock.now()
    const { detail } = answer
    const isLater = answer.kind === 'later'
    const waitMs = isLater ? this.#politeWait(answer.afterMs, state, now) : this.backoff(state, memory, now)
    const isRenewal = step.kind === 'request' && step.as !== 'bootstrap'
    const outcome = isLater ? 'waiting' : answer.kind
    const next: AgentMemory = {
      ...memory,
      failures: isLater ? memory.failures : memory.failures + 1,
      // a secret that was mistyped says nothing about the key, and an approval may be waiting for that key
      refusals: memory.refusals + (answer.kind === 'refused' && isRenewal ? 1 : 0),
      hold: { setAt: now, until: now + waitMs, why: detail },
    }
    await file.save(withAttempt(next, { at: now, step: step.kind, outcome, detail }))
    return { ...resting, step, outcome, detail, retryAt: now + waitMs }
  }

  /** Never sooner than the server said, a little later so that its callers do not return as one; never past our end. */
  #politeWait(afterMs: number, state: AgentState, now: Instant): number {
    const waitMs = afterMs + Math.round(fraction(this.parts.random) * Math.min(afterMs / 20, hourMs))
    const current = activeCredential(state)
    if (current === null) return waitMs
    const { notBefore, notAfter } = current.certificate
    const lastMs = notAfter - (notAfter - notBefore) / 20 - trustedNow(state.memory, now)
    return Math.round(Math.min(waitMs, Math.max(lastMs, backoff.capMs)))
  }

  /** Shorter towards the end of the certificate: the last hours are no time for long pauses. */
  backoff(state: AgentState, { failures }: AgentMemory, now: Instant): number {
    const current = activeCredential(state)
    const leftMs = current ? current.certificate.notAfter - trustedNow(state.memory, now) : Infinity
    const capMs = Math.min(backoff.capMs, Math.max(5 * minuteMs, leftMs / 20))
    return backoffMs({ ...backoff, capMs }, failures + 1, this.parts.random)
  }

  say(level: AgentEvent['level'], event: AgentEvent['event'], message: string): void {
    this.parts.onEvent?.({ level, event, message })
  }
}

export function contentOf({
  certificate,
  intermediates,
}: StoredCredential): Pick<CheckInput, 'certificate' | 'candidates'> {
  return { certificate, candidates: intermediates.map(issuerOf) }
}

/** The certificate that a bearer shows. */
export function leafOf({ identity }: CertificateBearer): Certificate {
  return shownBy(identity)
}

/** What was read from the storage is not read from the PEM again. */
const shown = new WeakMap<TlsIdentity, Certificate>()

export function shownBy(identity: TlsIdentity): Certificate {
  const known = shown.get(identity)
  if (known) return known
  const [leaf] = decodePem(identity.chainPem)
  assert(leaf, 'a bearer shows a certificate')
  return parseCertificate(leaf.der)
}

const pems = new WeakMap<Uint8Array, string>()

/** A renewal shows the same chain in each of its exchanges. */
function pemOf(der: Uint8Array): string {
  let pem = pems.get(der)
  if (pem === undefined) pems.set(der, (pem = encodePem('CERTIFICATE', der)))
  return pem
}

/** By their bytes. Bounded: a device knows few CAs, and they come with each answer. */
const issuers = new Map<string, Certificate>()
const mostIssuers = 16

/** A CA certificate; one that has come before is not read anew. @throws Refusal `malformed` */
export function issuerOf(der: Uint8Array): Certificate {
  const bytes = Buffer.from(der.buffer, der.byteOffset, der.byteLength).toString('latin1')
  let issuer = issuers.get(bytes)
  if (!issuer) {
    issuer = parseCertificate(der)
    if (issuers.size >= mostIssuers) issuers.clear()
    issuers.set(bytes, issuer)
  }
  return issuer
}
