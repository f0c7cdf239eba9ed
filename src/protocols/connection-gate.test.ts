import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { ConnectionGate, type GateClock } from './connection-gate.ts'

class Connection extends EventEmitter {
  destroyed = false

  end(): void {
    this.destroyed = true
    this.emit('close')
  }
}

/** A server that counts as node:net does, and a clock and an event loop moved by hand. */
function rig(options: { maxConnections?: number; waiting?: number } = {}) {
  let at = 0
  let delayMs = 0
  let waiting: number | null = options.waiting ?? null
  const clock: GateClock = { elapsedMs: () => at, takeDelayMs: () => delayMs, waiting: () => waiting }
  const gate = new ConnectionGate(
    { maxConnections: options.maxConnections ?? 10_000, retryAfterMs: 60_000 },
    clock,
  )
  const server = Object.assign(new EventEmitter(), { maxConnections: Infinity, address: () => null })
  const open = new Set<Connection>()
  gate.guard(server)
  return {
    gate,
    open,
    server,
    /** @returns the connection, or null when it was turned away */
    connect(): Connection | null {
      if (open.size >= server.maxConnections) {
        server.emit('drop')
        return null
      }
      const socket = new Connection()
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      server.emit('connection', socket)
      return socket
    },
    pass(ms: number, loopDelayMs: number) {
      at += ms
      delayMs = loopDelayMs
    },
    queue(length: number) {
      waiting = length
    },
  }
}

type Rig = ReturnType<typeof rig>

function crowd({ connect }: Rig, count: number): Connection[] {
  return Array.from({ length: count }, connect).filter((socket) => socket !== null)
}

test('takes on what waits for an answer up to the limit, whatever is kept open after one', () => {
  const it = rig()
  const first = crowd(it, 1_000)
  assert.equal(first.length, it.gate.limit)
  assert.equal(it.connect(), null)
  for (const socket of first.slice(0, 100)) it.gate.answered(socket)
  // those with an answer are kept open and do not count
  assert.equal(crowd(it, 1_000).length, 100)
  for (const socket of first.slice(0, 100)) socket.end()
  assert.equal(it.connect(), null)
  first[200]?.end()
  assert.ok(it.connect())
})

test('who gave up before the answer leaves no trace', () => {
  const it = rig()
  const { limit } = it.gate
  for (let round = 0; round < 10; round++) {
    for (const socket of crowd(it, limit)) {
      socket.end()
      it.gate.answered(socket)
    }
  }
  assert.equal(crowd(it, 5_000).length, limit)
})

test('never has more open connections than the server may have', () => {
  const it = rig({ maxConnections: 100 })
  for (const socket of crowd(it, 500)) it.gate.answered(socket)
  assert.equal(it.open.size, 100)
  assert.equal(it.connect(), null)
})

test('takes on fewer while the event loop is late, and more when it is not and some were turned away', () => {
  const it = rig()
  const start = it.gate.limit
  crowd(it, start + 1)
  for (let step = 0; step < 40; step++) {
    it.pass(250, 1_000)
    it.connect()
  }
  const least = it.gate.limit
  assert.ok(least < start && least > 0, `${least}`)
  for (let step = 0; step < 40; step++) {
    it.pass(250, 10)
    crowd(it, 200)
  }
  assert.ok(it.gate.limit > 4 * start, `${it.gate.limit}`)
})

test('takes on fewer when requests had to be refused after their handshake, though the loop is idle', () => {
  const it = rig()
  crowd(it, 1_000)
  const before = it.gate.limit
  it.gate.overloaded()
  it.pass(300, 0)
  it.connect()
  assert.ok(it.gate.limit < before, `${it.gate.limit} of ${before}`)
  const less = it.gate.limit
  it.pass(300, 0)
  it.connect()
  assert.ok(it.gate.limit >= less, 'a refusal counts once')
})

test('a crowd on a slow network, which keeps the loop idle, is let in', () => {
  const it = rig()
  let admitted = 0
  // nobody gets an answer for a long time
  for (let step = 0; step < 60; step++) {
    it.pass(250, 5)
    admitted += crowd(it, 200).length
  }
  assert.ok(admitted > 8_000, `${admitted}`)
})

test('without a crowd nobody is told to wait; in a crowd one of eight', () => {
  const it = rig()
  assert.ok(Array.from({ length: 100 }, () => it.gate.wait()).every((wait) => wait === null))
  crowd(it, it.gate.limit + 1)
  assert.equal(it.gate.isCrowded, true)
  const waits = Array.from({ length: 800 }, () => it.gate.wait())
  assert.equal(waits.filter((wait) => wait !== null).length, 100)
  it.pass(2_001, 0)
  assert.equal(it.gate.isCrowded, false)
  assert.equal(it.gate.wait(), null)
})

test('each one told is sent behind those before it, at the rate at which the server serves; the queue ends after an hour', () => {
  const it = rig()
  const sockets = crowd(it, it.gate.limit + 1)
  for (const socket of sockets.slice(0, 250)) it.gate.answered(socket)
  it.pass(250, 50)
  it.connect()
  crowd(it, 1_000)
  // it was never busy before, so the rate is that of the start: one in 4 ms
  const told = (count: number) =>
    Array.from({ length: count * 8 }, () => it.gate.wait()).filter((wait) => wait !== null)
  const waits = told(500)
  assert.equal(waits[0], 60_004)
  assert.equal(waits.at(-1), 62_000)
  const last = told(5_000_000 / 8 / 100).at(-1) as number
  assert.ok(last <= 60_000 + 3_600_000)
})

test('what waited too long in the kernel is closed from the front, until the rest is served within two seconds', () => {
  const it = rig({ waiting: 0 })
  assert.ok(it.connect())
  it.pass(250, 10)
  it.queue(4_000)
  assert.ok(it.connect())
  // until it was measured, a process is taken for one that serves 250 in a second
  assert.equal(
    Array.from({ length: 3_500 }, () => it.connect()).filter((socket) => socket !== null).length,
    0,
  )
  assert.ok(it.connect())
  assert.equal(it.gate.isCrowded, true)
})

test('a queue that has gone by itself costs no new connection more than a moment', () => {
  const it = rig({ waiting: 0 })
  it.pass(250, 10)
  it.queue(4_000)
  it.connect()
  assert.equal(it.connect(), null)
  it.queue(3)
  it.pass(250, 10)
  // this one brings the news
  assert.equal(it.connect(), null)
  assert.ok(it.connect())
})

test('the rate is measured only while somebody waits: a quiet night does not make a slow server', () => {
  const it = rig({ waiting: 0 })
  for (let step = 0; step < 100; step++) {
    it.pass(250, 5)
    const socket = it.connect()
    if (socket) it.gate.answered(socket)
    socket?.end()
  }
  it.queue(900)
  it.pass(250, 5)
  assert.ok(it.connect())
  assert.ok(it.connect(), 'nine hundred are served in less than four seconds')
  // busy for a while: a thousand in a second
  for (let step = 0; step < 40; step++) {
    for (const socket of crowd(it, 250)) {
      it.gate.answered(socket)
      socket.end()
    }
    it.pass(250, 5)
  }
  it.queue(3_500)
  assert.ok(it.connect())
  assert.ok(it.connect(), 'now even these are')
})
