/**
 * How many connections a process takes on, so that a fleet that comes back all at once finds a server that works.
 *
 * Two thirds of a renewal's work is its handshake. A server that takes on every connection makes all of them wait, devices give
 * up in the middle, and the work done for them is lost: the more ask, the fewer are served. Three things prevent it.
 *
 * The queue of the kernel is kept short. Node takes one connection from it in each turn of its event loop, so with a crowd before
 * the door a connection may wait there for longer than its device does, and a server that takes them in order serves only those
 * that have gone. What has waited too long is closed unanswered from the front of the queue, before the handshake, where it
 * costs nothing (Node does it for `maxConnections` before there is a socket).
 *
 * What was taken on is bounded by the delay of the event loop: a turn that takes long has many connections in it. Slow devices
 * cost no turns, so a crowd on a slow network is let in and waits at its own pace.
 *
 * Of those that were let in, a few are told by a 503 when to come back; the others are served, because with the handshake
 * most of the work is done.
 */
import { acceptQueue } from '../base/accept-queue.ts'
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
  /** Where it listens; a text or null for what is no port. */
  address(): { readonly port: number; readonly family: string } | string | null
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
  /** Connections that wait in the kernel; null when it is not known. */
  waiting(server: GatedServer): number | null
}

function loopClock(): GateClock {
  const delay = watchLoopDelay()
  return {
    elapsedMs: stopwatch(),
    takeDelayMs: () => delay.takeMax(),
    waiting(server) {
      const address = server.address()
      return address === null || typeof address === 'string' ? null : acceptQueue(address)
    },
  }
}

/** Connections begun and not answered that are always let in. */
const fewest = 64
/** So many at the start, before anything was measured. */
const first = 256
/** Longest turn that is fine, and one that is too long, ms. */
const turnMs = { fine: 100, long: 250 }
/** Fewer in the kernel's queue are between two turns. */
const busyQueue = 8
/** How often the limit is looked at, ms; only while connections come. */
const stepMs = 250
/** Connections that may wait in the kernel, in the time that it takes to serve them, ms; beyond twice that the oldest are closed. */
const fairWaitMs = 2 * secondMs
/** What a process serves until it has been measured, per ms. */
const firstRate = 0.25
/** After this long without a crowd before the door, it is over. */
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
  /** A request was refused since the last step, with its handshake done. */
  #isOverloaded = false
  #crowdedAt = Number.NEGATIVE_INFINITY
  #turn = 0
  #served = 0
  /** What the process serves when there is always somebody waiting. */
  #servedPerMs = firstRate
  /** Whether somebody was waiting at the last step. */
  #wasBusy = false
  /** Connections at the front of the kernel's queue that have waited too long. */
  #stale = 0
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

  /** True while more connections come than can be served. */
  get isCrowded(): boolean {
    return this.#clock.elapsedMs() - this.#crowdedAt < crowdMs
  }

  /** Connections begun and not answered that are let in now. */
  get limit(): number {
    return this.#limit
  }

  /** A request had to be refused because too many are at work: its connection should not have been let in. */
  overloaded(): void {
    this.#isOverloaded = true
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
    this.#crowdedAt = this.#clock.elapsedMs()
    if (this.#stale > 0) this.#stale--
    else this.#isFull = true
    this.#step()
    this.#apply()
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
    if (elapsedMs < stepMs || !this.#server) return
    this.#stepAt += elapsedMs
    this.#measure(elapsedMs, this.#clock.waiting(this.#server))
    const delayMs = this.#clock.takeDelayMs()
    if (delayMs > turnMs.long || this.#isOverloaded)
      this.#limit = Math.max(fewest, Math.floor(this.#limit * 0.7))
    else if (delayMs < turnMs.fine && this.#isFull) this.#limit = Math.floor(this.#limit * 1.25) + 8
    this.#limit = Math.min(this.#limit, this.#options.maxConnections)
    this.#isFull = false
    this.#isOverloaded = false
    this.#apply()
  }

  #measure(elapsedMs: number, waiting: number | null): void {
    // a process that nobody waits for serves as many as come, which says nothing of what it could
    const isBusy = waiting === null ? this.#isFull : waiting >= busyQueue
    if (isBusy && this.#wasBusy && this.#served > 0) {
      this.#servedPerMs = 0.7 * this.#servedPerMs + 0.3 * (this.#served / elapsedMs)
    }
    this.#wasBusy = isBusy
    this.#served = 0
    const fair = Math.max(fewest, Math.floor(this.#servedPerMs * fairWaitMs))
    // measured anew each time: what was too many a moment ago may have gone by itself
    this.#stale = waiting !== null && waiting > 2 * fair ? waiting - fair : 0
    if (waiting !== null && waiting > fair) this.#crowdedAt = this.#clock.elapsedMs()
  }

  /** Connections that wait for their first answer count, not those that are kept open after it. */
  #apply(): void {
    if (!this.#server) return
    const limit = Math.min(this.#answered + this.#limit, this.#options.maxConnections)
    this.#server.maxConnections = this.#stale > 0 ? 0 : limit
  }
}
