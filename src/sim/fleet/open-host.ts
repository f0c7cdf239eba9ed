/** The host of the devices, in this thread or in one of its own. */
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { assert, Refusal } from '../../base/errors.ts'
import { DeviceHost } from './device-host.ts'
import type { Produced } from './factory.ts'
import type { ThreadCall, ThreadReply } from './host-worker.ts'
import type { Host, HostPlan, Round, Wake, WireAnswer } from './messages.ts'

/** Deliveries of the factory that are ordered ahead. */
const ahead = 6

export function openHost(plan: HostPlan, inThread: boolean): Host {
  return inThread ? new ThreadHost(plan) : new DeviceHost(plan)
}

interface Waiting {
  readonly resolve: (round: Round) => void
  readonly reject: (error: Error) => void
}

class ThreadHost implements Host {
  readonly #worker: Worker
  readonly #factory: MessagePort
  readonly #made = new Int32Array(new SharedArrayBuffer(4))
  readonly #waiting = new Map<number, Waiting>()
  readonly #devices: number
  #ordered = 0
  #taken = 0
  #failure: Error | null = null

  constructor(plan: HostPlan) {
    const { port1, port2 } = new MessageChannel()
    this.#factory = port1
    this.#devices = plan.factory.values.devices
    const workerData = { plan, factory: port2, made: this.#made }
    this.#worker = new Worker(new URL('host-worker.ts', import.meta.url), {
      workerData,
      transferList: [port2],
      // what an exchange leaves behind is garbage soon
      resourceLimits: { maxYoungGenerationSizeMb: 64 },
    })
    this.#worker.on('message', (reply: ThreadReply) => this.#replied(reply))
    this.#worker.on('error', (error: Error) => this.#failed(error))
  }

  produce(from: number, to: number): Produced[] {
    const size = to - from
    while (this.#ordered < this.#devices && this.#ordered < from + ahead * size) {
      const order = { from: this.#ordered, to: Math.min(this.#devices, this.#ordered + size) }
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.#factory.postMessage(order)
      this.#ordered = order.to
    }
    // in a transaction nothing else may be waited for: the thread sleeps
    for (;;) {
      const delivery = receiveMessageOnPort(this.#factory)
      if (delivery) {
        this.#taken += 1
        return delivery.message as Produced[]
      }
      Atomics.wait(this.#made, 0, this.#taken, 1_000)
    }
  }

  async begin(group: number, wakes: readonly Wake[]): Promise<Round> {
    return await this.#call({ kind: 'begin', group, wakes })
  }

  async answer(group: number, answers: readonly WireAnswer[]): Promise<Round> {
    return await this.#call({ kind: 'answer', group, answers })
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => {
      this.#worker.once('exit', resolve)
    })
    this.#factory.close()
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
    this.#worker.postMessage({ kind: 'close' } satisfies ThreadCall)
    await ended
  }

  #call(call: Exclude<ThreadCall, { kind: 'close' }>): Promise<Round> {
    return new Promise((resolve, reject) => {
      if (this.#failure) return reject(this.#failure)
      this.#waiting.set(call.group, { resolve, reject })
      // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
      this.#worker.postMessage(call)
    })
  }

  #replied(reply: ThreadReply): void {
    const waiting = this.#waiting.get(reply.group)
    assert(waiting, 'a reply was waited for')
    this.#waiting.delete(reply.group)
    if ('round' in reply) waiting.resolve(reply.round)
    else waiting.reject(reply.isDiskFull ? new Refusal('disk-full', reply.failure) : new Error(reply.failure))
  }

  #failed(error: Error): void {
    this.#failure = error
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }
}
