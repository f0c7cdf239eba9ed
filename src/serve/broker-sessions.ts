/** The sessions of the embedded broker: whose each is, and whether its certificate still counts. */
import type { Duplex } from 'node:stream'
import { secondMs, type Instant } from '../base/clock.ts'
import { Refusal, refusalRules } from '../base/errors.ts'
import type { DeviceId, IssuerId } from '../base/id.ts'
import type { Engine } from '../engine/context.ts'
import { admitConnection, type ConnectedPeer } from '../engine/inventory/device-connection.ts'
import type { JobResult } from '../engine/jobs.ts'
import type { SessionCut } from '../engine/sessions/watch.ts'

export interface Session {
  readonly peer: ConnectedPeer
  readonly deviceId: DeviceId
  /** Who signed its certificate. */
  readonly issuerId: IssuerId
  /** Of its certificate. */
  readonly notAfter: Instant
  checkedAt: Instant
  isDead: boolean
  close: () => void
}

/** A look at the inventory counts for this long, so that a device that publishes a thousand messages costs one. */
const freshMs = secondMs
/** Silent sessions are looked at this often: a revoked device is cut off within this time and one pass. */
const recheckMs = 30 * secondMs
/** Of those, in one pass. A look costs about 0.3 ms. */
const recheckedAtOnce = 500
/** One in use, one with a new certificate on trial, and those that a device forgot when it lost power. */
const sessionsPerDevice = 4
const subscriptionsPerSession = 32

export class BrokerSessions {
  readonly #engine: Engine
  /** The one that was looked at longest ago first. */
  readonly #byStream = new Map<Duplex, Session>()
  readonly #byDevice = new Map<DeviceId, Set<Session>>()
  #names = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  get size(): number {
    return this.#byStream.size
  }

  all(): Session[] {
    return [...this.#byStream.values()]
  }

  of(stream: Duplex): Session | null {
    return this.#byStream.get(stream) ?? null
  }

  /** The oldest session of a device gives way to a new one when it has too many. */
  add(stream: Duplex, session: Session): void {
    this.#byStream.set(stream, session)
    const ofDevice = this.#byDevice.get(session.deviceId) ?? new Set()
    this.#byDevice.set(session.deviceId, ofDevice.add(session))
    const [oldest] = ofDevice
    if (oldest && ofDevice.size > sessionsPerDevice) oldest.close()
  }

  remove(stream: Duplex): void {
    const session = this.#byStream.get(stream)
    if (!session) return
    this.#byStream.delete(stream)
    const ofDevice = this.#byDevice.get(session.deviceId)
    ofDevice?.delete(session)
    if (ofDevice?.size === 0) this.#byDevice.delete(session.deviceId)
  }

  /** For clients that give no id. */
  nextName(): string {
    return String(++this.#names)
  }

  /** @param client of aedes, whose types leave out what it is subscribed to */
  mayAdd(client: object): boolean {
    const { subscriptions = {} } = client as { readonly subscriptions?: object }
    return Object.keys(subscriptions).length < subscriptionsPerSession
  }

  /** What memory knows: for messages on their way to the device. */
  isGood({ isDead, notAfter }: Session): boolean {
    return !isDead && this.#engine.clock.now() <= notAfter + secondMs - 1
  }

  /** @throws Refusal when the certificate no longer counts; the session is then ended */
  async check(session: Session): Promise<void> {
    const now = this.#engine.clock.now()
    if (this.isGood(session) && now - session.checkedAt < freshMs) return
    await this.#look(session, now)
  }

  /**
   * Looks at once at the sessions that a decision is about, whenever they were looked at before.
   * @returns how many were ended
   */
  async cut(
    { deviceId, issuerId }: Pick<SessionCut, 'deviceId' | 'issuerId'>,
    now: Instant,
  ): Promise<number> {
    if (issuerId !== null) this.#engine.issuers.forget()
    const meant =
      deviceId !== null
        ? [...(this.#byDevice.get(deviceId) ?? [])]
        : this.all().filter((session) => session.issuerId === issuerId)
    for (const session of meant) {
      try {
        await this.#look(session, now)
      } catch (error) {
        if (!(error instanceof Refusal)) throw error
      }
    }
    return meant.filter(({ isDead }) => isDead).length
  }

  /** One bounded pass over those that were not looked at for a while. */
  async recheck(now: Instant): Promise<JobResult> {
    let worked = 0
    for (const [stream, session] of this.#due(now)) {
      try {
        await this.#look(session, now)
      } catch (error) {
        // a store that is busy is no reason to send a fleet away
        if (!(error instanceof Refusal)) throw error
      }
      if (this.#byStream.delete(stream)) this.#byStream.set(stream, session)
      worked++
    }
    return { worked, isBehind: worked === recheckedAtOnce }
  }

  #due(now: Instant): [Duplex, Session][] {
    const due: [Duplex, Session][] = []
    for (const entry of this.#byStream) {
      if (now - entry[1].checkedAt >= recheckMs || !this.isGood(entry[1])) due.push(entry)
      if (due.length === recheckedAtOnce) break
    }
    return due
  }

  async #look(session: Session, now: Instant): Promise<void> {
    try {
      await admitConnection(this.#engine, session.peer, now)
      session.checkedAt = now
    } catch (error) {
      if (isVerdict(error)) {
        session.isDead = true
        const { code, message } = error as Refusal
        this.#engine.log.info(
          { code, reason: message, device: session.deviceId },
          'an MQTT session was ended',
        )
        session.close()
      }
      throw error
    }
  }
}

/** True when the refusal is about who asks, and not about our own state. */
function isVerdict(error: unknown): boolean {
  return error instanceof Refusal && [401, 403].includes(refusalRules[error.code].http)
}
