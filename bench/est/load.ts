/** The load generator: one new connection, full TLS 1.3 handshake and request per renewal, some of them at a time. */
import { connect, createSecureContext, type SecureContext } from 'node:tls'
import { stopwatch } from '../../src/base/clock.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { parseCertsOnly } from '../../src/pki/cms.ts'
import { buildCsr } from '../../src/pki/csr.ts'
import { type Extension, findExtension } from '../../src/pki/extensions.ts'
import { generateKeyPair } from '../../src/pki/key.ts'
import type { Name } from '../../src/pki/name.ts'
import { oids } from '../../src/pki/oid.ts'
import { decodePem, encodePem } from '../../src/pki/pem.ts'
import { signData } from '../../src/pki/signature.ts'

/** A device and the requests that it will send, one after the other. */
export interface LoadDevice {
  readonly chainPem: string
  readonly keyPem: string
  /** Base64 of PKCS #10. */
  readonly csr: string
}

export type LoadCommand =
  | { readonly kind: 'devices'; readonly rootPem: string; readonly devices: readonly LoadDevice[] }
  /** Every device once, with the request that it brought. */
  | { readonly kind: 'run'; readonly port: number; readonly inFlight: number }
  /** For so long: each device renews with its newest certificate and a new key. */
  | { readonly kind: 'soak'; readonly port: number; readonly inFlight: number; readonly ms: number }

export interface LoadResult {
  readonly answered: number
  readonly failed: number
  readonly firstFailure: string | null
  readonly seconds: number
  /** Milliseconds from the first packet to the last byte of the answer, sorted. */
  readonly latencies: readonly number[]
}

interface Ready {
  /** As of its newest certificate. */
  context: SecureContext
  readonly request: string
  readonly names: DeviceNames
  readonly issuerPem: string
}

/** What a renewal request must repeat. */
interface DeviceNames {
  readonly subject: Name
  readonly extensions: readonly Extension[]
}

let rootPem = ''
let ready: Ready[] = []

// the benchmark is gone: nobody is left to measure for
process.on('disconnect', () => process.exit())

process.on('message', async (command: LoadCommand) => {
  if (command.kind === 'devices') {
    rootPem = command.rootPem
    ready = command.devices.map(prepare)
    process.send?.({ ready: ready.length })
  } else if (command.kind === 'run') process.send?.(await runOnce(command))
  else process.send?.(await soak(command))
})

function prepare({ chainPem, keyPem, csr }: LoadDevice): Ready {
  const [leaf, issuer] = decodePem(chainPem)
  const { subject, extensions } = parseCertificate(leaf?.der ?? new Uint8Array(0))
  const altNames = findExtension(extensions.list, oids.subjectAltName)
  return {
    context: contextOf(chainPem, keyPem),
    request: requestText(csr),
    names: { subject, extensions: altNames ? [altNames] : [] },
    issuerPem: encodePem('CERTIFICATE', issuer?.der ?? new Uint8Array(0)),
  }
}

function contextOf(chainPem: string, keyPem: string): SecureContext {
  return createSecureContext({ cert: chainPem, key: keyPem, ca: rootPem, minVersion: 'TLSv1.3' })
}

function requestText(csr: string): string {
  const lines = [
    'POST /.well-known/est/simplereenroll HTTP/1.1',
    'Host: localhost',
    'Content-Type: application/pkcs10',
    `Content-Length: ${csr.length}`,
    'Connection: close',
  ]
  return `${lines.join('\r\n')}\r\n\r\n${csr}`
}

class Tally {
  readonly latencies: number[] = []
  failed = 0
  firstFailure: string | null = null
  readonly #elapsed = stopwatch()

  /** @returns true when the device has its certificate */
  add(answer: string, ms: number): boolean {
    if (answer.startsWith('HTTP/1.1 200 ')) {
      this.latencies.push(ms)
      return true
    }
    this.failed++
    this.firstFailure ??= answer.slice(0, 400)
    return false
  }

  result(): LoadResult {
    const { latencies, failed, firstFailure } = this
    const seconds = this.#elapsed() / 1000
    const sorted = latencies.toSorted((a, b) => a - b)
    return { answered: latencies.length, failed, firstFailure, seconds, latencies: sorted }
  }
}

async function runOnce({ port, inFlight }: LoadCommand & { kind: 'run' }): Promise<LoadResult> {
  const tally = new Tally()
  let next = 0
  const one = async () => {
    while (next < ready.length) {
      const { context, request } = ready[next++] as Ready
      const took = stopwatch()
      tally.add(await exchange(port, context, request), took())
    }
  }
  await Promise.all(Array.from({ length: inFlight }, one))
  return tally.result()
}

async function soak({ port, inFlight, ms }: LoadCommand & { kind: 'soak' }): Promise<LoadResult> {
  const tally = new Tally()
  const elapsed = stopwatch()
  let next = 0
  const one = async (lane: number) => {
    // each lane has devices of its own, so that no device is asked for twice at a time
    const mine = ready.filter((_, index) => index % inFlight === lane)
    for (let turn = 0; elapsed() < ms; turn++) {
      await renew(mine[turn % mine.length] as Ready, port, tally)
      if (++next % 10_000 === 0) process.send?.({ progress: tally.result().answered })
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, lane) => one(lane)))
  return tally.result()
}

async function renew(device: Ready, port: number, tally: Tally): Promise<void> {
  const { privateKey, spki } = generateKeyPair('ec-p256')
  const csr = buildCsr({ ...device.names, spki }, (info) => ({
    algorithm: 'ecdsa-sha256',
    signature: signData(privateKey, 'ecdsa-sha256', info),
  }))
  const took = stopwatch()
  const answer = await exchange(port, device.context, requestText(Buffer.from(csr).toString('base64')))
  if (!tally.add(answer, took())) return
  const body = answer.slice(answer.indexOf('\r\n\r\n') + 4)
  const [certificate] = parseCertsOnly(Buffer.from(body, 'base64'))
  const chainPem = encodePem('CERTIFICATE', certificate as Uint8Array) + device.issuerPem
  device.context = contextOf(chainPem, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
}

function exchange(port: number, context: SecureContext, request: string): Promise<string> {
  return new Promise((resolve) => {
    const where = { host: '127.0.0.1', port, servername: 'localhost' }
    const socket = connect({ ...where, secureContext: context }, () => socket.write(request))
    let text = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => (text += chunk))
    socket.once('error', (error) => resolve(`error ${error.message}`))
    socket.once('close', () => resolve(text))
  })
}
