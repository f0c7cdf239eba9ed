/** The load generator: some connections, each with one request at a time, kept alive or new for each. */
import { connect, type Socket } from 'node:net'
import { stopwatch } from '../../src/base/clock.ts'

export interface LoadCommand {
  readonly port: number
  /** Whole HTTP requests, sent in turn; latin1. */
  readonly requests: readonly string[]
  readonly connections: number
  readonly answers: number
  readonly isKeptAlive: boolean
}

export interface LoadResult {
  readonly answered: number
  readonly failed: number
  readonly seconds: number
}

// the benchmark is gone: nobody is left to measure for
process.on('disconnect', () => process.exit())
process.on('message', async (command: LoadCommand) => process.send?.(await load(command)))

async function load(command: LoadCommand): Promise<LoadResult> {
  const counts = { sent: 0, answered: 0, failed: 0 }
  const elapsed = stopwatch()
  const lane = async (): Promise<void> => {
    while (counts.sent < command.answers) await talk(command, counts)
  }
  await Promise.all(Array.from({ length: command.connections }, lane))
  return { answered: counts.answered, failed: counts.failed, seconds: elapsed() / 1000 }
}

interface Counts {
  sent: number
  answered: number
  failed: number
}

/** One connection, to its end. */
function talk({ port, requests, answers, isKeptAlive }: LoadCommand, counts: Counts): Promise<void> {
  return new Promise((resolve) => {
    const socket: Socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    let received = ''
    let isWaiting = false
    const next = (): void => {
      if (counts.sent >= answers) return void socket.end()
      isWaiting = true
      socket.write(requests[counts.sent++ % requests.length] as string, 'latin1')
    }
    socket.on('connect', next)
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      const end = endOfAnswer(received)
      if (end === null) return
      if (received.startsWith('HTTP/1.1 200') || received.startsWith('HTTP/1.0 200')) counts.answered += 1
      else counts.failed += 1
      const isLast = /\r\nconnection: *close\r\n/i.test(received.slice(0, end))
      received = received.slice(end)
      isWaiting = false
      if (isKeptAlive && !isLast) next()
      else socket.end()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      // without a length the answer ends with the connection
      if (isWaiting && received.includes('\r\n\r\n')) counts.answered += 1
      else if (isWaiting) counts.sent -= 1
      resolve()
    })
  })
}

function endOfAnswer(text: string): number | null {
  const head = text.indexOf('\r\n\r\n')
  if (head === -1) return null
  const length = /content-length: *(\d+)/i.exec(text.slice(0, head))?.[1]
  if (length === undefined) return null
  const end = head + 4 + Number(length)
  return text.length >= end ? end : null
}
