import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { Refusal } from '../base/errors.ts'
import { limitPackets, PacketSizes } from './mqtt-frames.ts'

/** Fixed header, Remaining Length, and that many bytes. */
function packet(length: number): Buffer {
  const bytes: number[] = [0x30]
  let left = length
  do {
    const more = left >= 128 ? 0x80 : 0
    bytes.push((left % 128) | more)
    left = Math.floor(left / 128)
  } while (left > 0)
  return Buffer.concat([Buffer.from(bytes), Buffer.alloc(length, 0xff)])
}

function problemOf(sizes: PacketSizes, bytes: Buffer, step: number): string | null {
  for (let at = 0; at < bytes.length; at += step) {
    const problem = sizes.problem(bytes.subarray(at, at + step))
    if (problem) return problem.code
  }
  return null
}

for (const step of [1, 2, 3, 7, 1_000, 100_000]) {
  test(`packets up to the limit pass, however they are cut (${step} bytes at a time)`, () => {
    const stream = Buffer.concat([packet(0), packet(1), packet(127), packet(128), packet(20_000), packet(0)])
    assert.equal(problemOf(new PacketSizes(20_000), stream, step), null)
  })

  test(`one byte more is refused before it is there (${step} bytes at a time)`, () => {
    const header = packet(20_001).subarray(0, 4)
    assert.equal(problemOf(new PacketSizes(20_000), Buffer.concat([packet(5), header]), step), 'too-large')
  })
}

test('the largest length that can be announced is refused at once', () => {
  assert.equal(new PacketSizes(65_536).problem(Buffer.from('30ffffff7f', 'hex'))?.code, 'too-large')
})

test('a length of five bytes is refused, also when it means little', () => {
  assert.equal(new PacketSizes(65_536).problem(Buffer.from('308080808001', 'hex'))?.code, 'malformed')
})

test('a connection passes both ways until it announces too much', async () => {
  const socket = new PassThrough()
  const limited = limitPackets(socket, 100)
  // what we write comes back, since the socket is a mirror
  limited.write(packet(50))
  limited.write(packet(3))
  const echoed: Buffer[] = []
  const ended = new Promise<unknown>((resolve) => {
    limited.on('data', (chunk: Buffer) => {
      echoed.push(chunk)
      if (Buffer.concat(echoed).length === 57) limited.write(packet(101))
    })
    limited.once('error', resolve)
  })
  const error = await ended
  assert.ok(error instanceof Refusal)
  assert.equal(error.code, 'too-large')
  assert.ok(socket.destroyed)
  assert.deepEqual(Buffer.concat(echoed), Buffer.concat([packet(50), packet(3)]))
})

test('the end of a connection is the end of its limited form', async () => {
  const socket = new PassThrough()
  const limited = limitPackets(socket, 100)
  limited.resume()
  const closed = new Promise((resolve) => limited.once('close', resolve))
  socket.destroy()
  await closed
  assert.ok(limited.destroyed)
})
