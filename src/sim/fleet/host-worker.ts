/** The devices in a thread of their own: what they do goes on while the platform answers others. */
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { assert, Refusal } from '../../base/errors.ts'
import { DeviceHost } from './device-host.ts'
import type { HostPlan, Round, Wake, WireAnswer } from './messages.ts'
import type { Produced } from './factory.ts'

export interface ThreadData {
  readonly plan: HostPlan
  /** Over which the factory answers. */
  readonly factory: MessagePort
  /** Counts the answers of the factory: who waits for one sleeps on it. */
  readonly made: Int32Array
}

export type ThreadCall =
  | { readonly kind: 'begin'; readonly group: number; readonly wakes: readonly Wake[] }
  | { readonly kind: 'answer'; readonly group: number; readonly answers: readonly WireAnswer[] }
  | { readonly kind: 'close' }

export type ThreadReply =
  | { readonly group: number; readonly round: Round }
  | { readonly group: number; readonly failure: string; readonly isDiskFull: boolean }

const port = parentPort
assert(port, 'this file is the start of a thread')
const { plan, factory, made } = workerData as ThreadData
const host = new DeviceHost(plan)

factory.on('message', ({ from, to }: { readonly from: number; readonly to: number }) => {
  const produced = host.produce(from, to).map((each): Produced => Object.assign(each, { der: own(each.der) }))
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  factory.postMessage(produced)
  Atomics.add(made, 0, 1)
  Atomics.notify(made, 0)
})

port.on('message', (call: ThreadCall) => {
  void handle(call)
})

async function handle(call: ThreadCall): Promise<void> {
  if (call.kind === 'close') {
    await host.close()
    factory.close()
    port?.close()
    return
  }
  const { group } = call
  try {
    const round =
      call.kind === 'begin' ? await host.begin(group, call.wakes) : await host.answer(group, call.answers)
    reply({ group, round: { ...round, requests: round.requests.map(packed) } })
  } catch (error) {
    const isDiskFull = error instanceof Refusal && error.code === 'disk-full'
    const text = error instanceof Error ? ((isDiskFull ? null : error.stack) ?? error.message) : String(error)
    reply({ group, failure: text, isDiskFull })
  }
}

function reply(message: ThreadReply): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  port?.postMessage(message)
}

function packed(request: Round['requests'][number]): Round['requests'][number] {
  return request.certificate === null
    ? request
    : Object.assign(request, { certificate: own(request.certificate) })
}

/** A view on a buffer of many is sent with all of it. */
function own(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes)
}
