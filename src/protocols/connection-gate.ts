/**
 * How many connections a process takes on, so that a fleet that comes back all at once finds a server that works.
 *
 * Two thirds of a renewal's work is its handshake. A server that takes on every connection makes all of them wait, devices give
 * up in the middle, and the work done for them is lost: the more ask, the fewer are served. So the process takes on what it
 * can serve within a moment and closes the rest unanswered before the handshake, where that costs nothing (Node does it for
 * `maxConnections` before there is a socket). Of those that were let in, a few are told by a 503 when to come back; the
 * others are served, because with the handshake most of the work is done.
 *
 * Whether it is too many shows in the event loop: a turn that takes long has many connections in it. Slow devices cost no
 * turns, so a crowd on a slow network is let in and waits at its own pace.
 */
import { secondMs, stopwatch, watchLoopDelay } from '../base/clock.ts'

export interface ConnectionGateOptions {
  /** Open connections at most, whatever the load. */
  readonly maxConnections: number
  /** Centre of the wait that a 503 asks for when nobody else was told to wait, ms. */
  readonly retryAfterMs: number
}

/** What the gate needs of a server of node:net. */
export interface GatedServer {
  /** Node closes further connections at once, and says so with `drop`. */
  maxConnections: number
  on(event: 'connection', listener: (socket: GatedSocket) => void): unknown
  on(event: 'drop', listener: () => void): unknown
}

export interface GatedSocket {
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** What the gate measures with. */
export interface GateClock {
  /** Monotonic, ms. */
  elapsedMs(): number
  /** The longest turn of the event loop since the last call, ms. */
  takeDelayMs(): number
}

function loopClock(): GateClock {
  const delay = watchLoopDelay()
  return { elapsedMs: stopwatch(), takeDelayMs: () => delay.takeMax() }
}

/** Connections begun and not answered that are always let in. */
const fewest = 64
/** So many at the start, before anything was measured. */
const first = 256
/** Longest turn that is fine, and one that is too long, ms. */
const turnMs = { fine: 100, long: 250 }
/** How often the limit is looked at, ms; only while connections come. */
const stepMs = 250
/** After this long without a closed connection, the crowd is over. */
const crowdMs = 2 * secondMs
/** One of so many that were let in is told to come back later, as long as others are closed. */
const toldOneIn = 8
/** Longest queue that a 503 sends to its end: a device that is told more would rather try. */
const longestQueueMs = 3_600 * secondMs

export class ConnectionGate {
  readonly #options: ConnectionGateOptions
  readonly #clock: GateClock
  #server: GatedServer | null = null
  #limit: number
  /** Open connections that have had an answer. */
  readonly #known = new WeakSet<GatedSocket>()
  #answered = 0
  #stepAt = 0
  #isFull = false
  #closedAt = Number.NEGATIVE_INFINITY
  #turn = 0
  #served = 0
  #servedPerMs = 0
  /** The end of the queue of those who were told when to come back, on the stopwatch. */
  #queueEnd = 0

  constructor(options: ConnectionGateOptions, clock: GateClock = loopClock()) {
    this.#options = options
    this.#clock = clock
    this.#limit = Math.min(first, options.maxConnections)
  }

  /** Call once, after everything else that sets the server's `maxConnections`. */
  guard(server: GatedServer): void {
    this.#server = server
    server.on('drop', () => this.#turnedAway())
    server.on('connection', () => this.#step())
    this.#apply()
  }

  /** True while connections are closed unanswered. */
  get isCrowded(): boolean {
    return this.#clock.elapsedMs() - this.#closedAt < crowdMs
  }

  /** Connections begun and not answered that are let in now. */
  get limit(): number {
    return this.#limit
  }

  /** The connection has an answer: it waits no longer, however long it stays. */
  answered(socket: GatedSocket): void {
    // whoever gave up meanwhile is gone already, and would be counted for ever
    if (socket.destroyed) return
    this.#served++
    if (this.#known.has(socket)) return
    this.#known.add(socket)
    this.#answered++
    socket.once('close', () => {
      this.#answered--
      this.#apply()
    })
    this.#apply()
  }

  #turnedAway(): void {
    this.#isFull = true
    this.#closedAt = this.#clock.elapsedMs()
    this.#step()
  }

  /**
   * Asked for each request.
   * @returns null when it is to be served; otherwise where its Retry-After lies, ms: each one told is sent to a place of its
   *   own behind the others, as far away as the process needs for those before it
   */
  wait(): number | null {
    if (!this.isCrowded || ++this.#turn % toldOneIn !== 0) return null
    const now = this.#clock.elapsedMs()
    const eachMs = 1 / Math.max(this.#servedPerMs, 1 / secondMs)
    this.#queueEnd = Math.min(Math.max(this.#queueEnd, now) + eachMs, now + longestQueueMs)
    return this.#options.retryAfterMs + (this.#queueEnd - now)
  }

  #step(): void {
    const elapsedMs = this.#clock.elapsedMs() - this.#stepAt
    if (elapsedMs < stepMs) return
    this.#stepAt += elapsedMs
    const delayMs = this.#clock.takeDelayMs()
    const rate = this.#served / elapsedMs
    this.#servedPerMs = this.#servedPerMs === 0 ? rate : 0.7 * this.#servedPerMs + 0.3 * rate
    this.#served = 0
    if (delayMs > turnMs.long) this.#limit = Math.max(fewest, Math.floor(this.#limit * 0.7))
    else if (delayMs < turnMs.fine && this.#isFull) this.#limit = Math.floor(this.#limit * 1.25) + 8
    this.#limit = Math.min(this.#limit, this.#options.maxConnections)
    this.#isFull = false
    this.#apply()
  }

  /** Connections that wait for their first answer count, not those that are kept open after it. */
  #apply(): void {
    if (!this.#server) return
    this.#server.maxConnections = Math.min(this.#answered + this.#limit, this.#options.maxConnections)
  }
}
