/**
 * A bound on the size of MQTT packets, before anything is parsed: a fixed header announces up to 256 MB, and parsers
 * collect what is announced.
 */
import { Duplex } from 'node:stream'
import { Refusal } from '../base/errors.ts'

/** Follows the packets of a byte stream (MQTT 3.1.1 §2.2) without looking into them. */
export class PacketSizes {
  readonly #maxBytes: number
  /** Bytes of the current packet that are still to come. */
  #left = 0
  /** Bytes of the Remaining Length that were read, or -1 while the first byte of a packet is awaited. */
  #lengthBytes = -1
  #length = 0

  /** @param maxBytes largest Remaining Length */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** @returns what is wrong with the stream, or null */
  problem(chunk: Uint8Array): Refusal | null {
    let at = 0
    while (at < chunk.length) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, chunk.length - at)
        this.#left -= taken
        at += taken
      } else if (this.#lengthBytes === -1) {
        this.#lengthBytes = 0
        this.#length = 0
        at++
      } else {
        const byte = chunk[at++] as number
        this.#length += (byte & 0x7f) * 128 ** this.#lengthBytes++
        if (this.#length > this.#maxBytes) {
          return new Refusal('too-large', `an MQTT packet may have at most ${this.#maxBytes} bytes here`)
        }
        if ((byte & 0x80) === 0) {
          this.#left = this.#length
          this.#lengthBytes = -1
        } else if (this.#lengthBytes === 4) {
          return new Refusal('malformed', 'the length of an MQTT packet has at most four bytes')
        }
      }
    }
    return null
  }
}

/** The same connection, which ends when a packet is announced that is larger than `maxBytes`. */
export function limitPackets(socket: Duplex, maxBytes: number): Duplex {
  const sizes = new PacketSizes(maxBytes)
  const limited = new Duplex({
    read: () => void socket.resume(),
    write: (chunk: Buffer, _encoding, done) => void socket.write(chunk, done),
    writev: (chunks, done) =>
      void socket.write(Buffer.concat(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => void socket.end(done),
    destroy: (error, done) => {
      socket.destroy()
      done(error)
    },
  })
  socket.on('data', (chunk: Buffer) => {
    const problem = sizes.problem(chunk)
    if (problem) limited.destroy(problem)
    else if (!limited.push(chunk)) socket.pause()
  })
  socket.once('end', () => void limited.push(null))
  socket.once('error', (error) => void limited.destroy(error))
  socket.once('close', () => void limited.destroy())
  return limited
}
