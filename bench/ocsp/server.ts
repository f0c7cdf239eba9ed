/**
 * The servers that are measured, one per process: ours, and node:http with one answer that is always the same, which is as
 * fast as it can be.
 *
 *     node server.ts ours|canned
 */
import { createServer } from 'node:http'
import { toBase64 } from '../../src/base/bytes.ts'
import { systemClock } from '../../src/base/clock.ts'
import { answerOcsp } from '../../src/engine/revocation/ocsp.ts'
import { serveHttp, serverOptions } from '../../src/protocols/http-server.ts'
import { statusHandler, statusLimits } from '../../src/protocols/status.ts'
import { listen } from '../../src/serve/listener.ts'
import { enrolDevice, issuingId, testEngine } from '../../test/helpers/app.ts'
import { certId, ocspRequest } from '../../test/helpers/ocsp.ts'

export interface Started {
  readonly port: number
  /** DER, base64: a request for each certificate, without and with a nonce; and the answer without. */
  readonly questions: readonly {
    readonly plain: string
    readonly nonce: string
    readonly serialNumber: string
    readonly answer: string
  }[]
  readonly issuerDer: string
}

const certificates = 500

process.on('disconnect', () => process.exit())
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuMs: (user + system) / 1000 })
})

async function ours(): Promise<Started> {
  const { engine } = await testEngine({
    clock: systemClock,
    settings: { ocsp: { liveSignaturesPerSecond: 10_000_000 } },
  })
  const issuer = await engine.issuers.find(issuingId)
  if (!issuer) throw new Error('the issuing CA is there')
  const questions = []
  for (let n = 0; n < certificates; n++) {
    const { record } = await enrolDevice(engine, `SN-${n}`)
    const id = certId(issuer.certificate, record.serialNumber)
    const plain = ocspRequest([id])
    const { der } = await answerOcsp(engine, plain)
    questions.push({
      plain: toBase64(plain),
      nonce: toBase64(ocspRequest([id], new Uint8Array(32).fill(n))),
      serialNumber: record.serialNumber,
      answer: toBase64(der),
    })
  }
  const server = createServer(serverOptions(statusLimits))
  serveHttp(server, statusHandler(engine), statusLimits, engine.clock)
  const { port } = await listen(server, { host: '127.0.0.1', port: 0, reusePort: false }, engine.clock)
  return { port, questions, issuerDer: toBase64(issuer.certificate.der) }
}

async function canned(bytes: number): Promise<Started> {
  const body = Buffer.alloc(bytes, 0x30)
  const headers = { 'Content-Type': 'application/ocsp-response', 'Content-Length': String(bytes) }
  const server = createServer((_request, response) => {
    response.writeHead(200, headers)
    response.end(body)
  })
  const { port } = await listen(server, { host: '127.0.0.1', port: 0, reusePort: false }, systemClock)
  return { port, questions: [], issuerDer: '' }
}

const [kind, bytes] = process.argv.slice(2)
process.send?.(kind === 'ours' ? await ours() : await canned(Number(bytes)))
