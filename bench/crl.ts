/**
 * `node bench/crl.ts [entries] [--without-openssl]`: a CRL encoded and signed, built from the store, read and searched, next to `openssl ca
 * -gencrl` over the same number of entries.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { dayMs, iso, stopwatch, systemClock } from '../src/base/clock.ts'
import type { IssuerId, SerialNumber } from '../src/base/id.ts'
import { currentCrl } from '../src/engine/revocation/crl.ts'
import { publishDue } from '../src/engine/revocation/crl-publish.ts'
import { assembleCrl, encodeTbsCertList } from '../src/pki/crl.ts'
import { CompactSetKeys, encodeCompactSet } from '../src/pki/compact-set.ts'
import { CrlEntries } from '../src/pki/crl-entries.ts'
import { parseCrl } from '../src/pki/crl-read.ts'
import { encodePem } from '../src/pki/pem.ts'
import { signParts } from '../src/pki/signature-parts.ts'
import { openStore } from '../src/store/open.ts'
import { insertCertificates } from '../src/store/certificates.ts'
import { sampleCertificate } from '../test/conformance/store-samples.ts'
import { issuingId, testEngine } from '../test/helpers/app.ts'
import { makeCertificate } from '../test/helpers/certificates.ts'

const count = Number(process.argv[2] ?? 1_000_000)
/** Certificates of the fleet whose verifiers are looked at. */
const fleet = Math.min(2_200_000, Math.round(count * 2.2))
const directory = mkdtempSync(join(tmpdir(), 'perennial-bench-crl-'))
const now = Math.floor(systemClock.now() / 1000) * 1000
const issuer = makeCertificate({ notBefore: now - dayMs, notAfter: now + 365 * dayMs })
const rows: string[] = []

interface Took {
  readonly ms: number
  /** Of this process: what another process did meanwhile does not count. */
  readonly cpuMs: number
}

function timer(): () => Took {
  const elapsed = stopwatch()
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return { ms: elapsed(), cpuMs: (user + system) / 1000 }
  }
}

function report(what: string, { ms, cpuMs }: Took, limit: string): void {
  const whole = (value: number): string => Math.round(value).toLocaleString('en-US')
  const memory = Math.round(process.memoryUsage.rss() / 2 ** 20)
  const times = `${whole(ms).padStart(9)} ms ${whole(cpuMs).padStart(8)} ms CPU`
  rows.push(`${what.padEnd(48)}${times} ${String(memory).padStart(6)} MB   ${limit}`)
}

const serialOf = (n: number): string => `01a1${n.toString(16).padStart(28, '0')}`

function benchEncoding(): Uint8Array {
  const serial = Buffer.from(serialOf(0), 'hex')
  const elapsed = timer()
  const entries = new CrlEntries()
  for (let n = 0; n < count; n++) {
    serial.writeUInt32BE(n, 12)
    entries.add({ serialNumber: serial, revokedAt: now - n * 60, reason: 'keyCompromise' })
  }
  const der = signed(entries)
  report(`encode and sign (${Math.round(der.length / 2 ** 20)} MB)`, elapsed(), 'limit 200 ms at a million')
  return der
}

function signed(entries: CrlEntries): Uint8Array {
  const signatureAlgorithm = 'ecdsa-sha256' as const
  const tbs = encodeTbsCertList(
    {
      issuerDer: issuer.certificate.subjectDer,
      signatureAlgorithm,
      thisUpdate: now,
      nextUpdate: now + dayMs,
      crlNumber: 1,
      authorityKeyIdentifier: issuer.certificate.extensions.subjectKeyIdentifier ?? new Uint8Array(20),
    },
    entries,
  )
  const signature = signParts(issuer.keys.privateKey, signatureAlgorithm, tbs)
  return Buffer.concat(assembleCrl({ tbs, signatureAlgorithm, signature }))
}

function benchReading(der: Uint8Array): void {
  const elapsed = timer()
  const crl = parseCrl(der)
  report('read and check every entry', elapsed(), '')
  const search = timer()
  crl.find(serialOf(0xffffffff) as SerialNumber)
  report('look for a certificate that is not in it', search(), '')
}

/** What verifiers carry and hold: a fleet of which one in a hundred is revoked. */
function benchVerifiers(): void {
  const salt = new Uint8Array(16).fill(7)
  const [revoked, good] = [new CompactSetKeys(salt), new CompactSetKeys(salt)]
  const entries = { crl: new CrlEntries(), shard: new CrlEntries() }
  const elapsed = timer()
  for (let n = 0; n < fleet; n++) {
    const serial = Buffer.from(serialOf((n * 2_654_435_761) % 2 ** 40), 'hex')
    if (n % 100 !== 0) {
      good.add(serial)
      continue
    }
    revoked.add(serial)
    const entry = { serialNumber: serial, revokedAt: now - n * 60, reason: 'keyCompromise' } as const
    entries.crl.add(entry)
    if (n % 1_600 === 0) entries.shard.add(entry)
  }
  const content = { issuerKeyHash: new Uint8Array(32), number: 1, builtAt: now, expiresAt: now + dayMs, salt }
  const set = encodeCompactSet(content, revoked, good)
  report(
    `compact set of ${fleet.toLocaleString('en-US')}, ${revoked.count.toLocaleString('en-US')} revoked`,
    elapsed(),
    '',
  )
  const files = { crl: signed(entries.crl), shard: signed(entries.shard), set }
  for (const [kind, bytes] of Object.entries(files)) {
    const file = join(directory, kind)
    writeFileSync(file, bytes)
    const args = [join(import.meta.dirname, 'crl/load.ts'), kind === 'set' ? 'set' : 'crl', file]
    const { heldBytes, ms } = JSON.parse(
      execFileSync(process.execPath, ['--expose-gc', ...args], { encoding: 'utf8' }),
    )
    const kb = (size: number): string =>
      `${Math.round(size / 1024)
        .toLocaleString('en-US')
        .padStart(7)} kB`
    const what = { crl: 'complete CRL', shard: 'CRL of one shard in 16', set: 'compact set' }[kind] as string
    rows.push(
      `verifier: ${what.padEnd(38)}${kb(bytes.length)} file ${kb(heldBytes)} held, loaded in ${Math.round(ms)} ms`,
    )
  }
}

async function benchStore(): Promise<void> {
  const store = await openStore({ url: `sqlite:${join(directory, 'a.db')}`, synchronous: 'off' })
  await store.migrate()
  const { engine } = await testEngine({ store, clock: systemClock })
  const chunk = 10_000
  for (let from = 0; from < count; from += chunk) {
    const certificates = Array.from({ length: Math.min(chunk, count - from) }, (_, index) => {
      const n = from + index
      return sampleCertificate(n, {
        issuerId: issuingId as IssuerId,
        serialNumber: serialOf(n) as SerialNumber,
        status: 'revoked',
        reason: 'keyCompromise',
        revokedAt: now - n * 60,
        notAfter: now + 100 * dayMs,
        der: new Uint8Array(500),
      })
    })
    await store.transaction((tx) => insertCertificates(tx, certificates))
  }
  const material = await engine.issuers.find(issuingId)
  if (!material) throw new Error('the issuing CA is there')
  const elapsed = timer()
  await publishDue(engine, material, { now: systemClock.now(), atMost: 1 })
  report('from the store to published', elapsed(), 'limit 500 ms at a million')
  const published = await currentCrl(engine, { issuerId: issuingId, kind: 'shard', shard: 0 })
  if (published?.record.entries !== count) throw new Error('every certificate is in the CRL')
  await store.close()
}

function benchOpenssl(): void {
  const file = (name: string, content: string): string => {
    writeFileSync(join(directory, name), content)
    return join(directory, name)
  }
  const stamp = (at: number): string => iso(at).replace(/[-:T]/g, '').slice(2)
  const lines: string[] = []
  for (let n = 0; n < count; n++) {
    const serial = serialOf(n).toUpperCase()
    lines.push(
      `R\t${stamp(now + 100 * dayMs)}\t${stamp(now - n * 60)},keyCompromise\t${serial}\tunknown\t/CN=${n}\n`,
    )
  }
  const configuration = file(
    'ca.cnf',
    `[ca]\ndefault_ca=c\n[c]\ndatabase=${file('index.txt', lines.join(''))}\ncrlnumber=${file('crlnumber', '01\n')}\ndefault_md=sha256\ndefault_crl_days=1\nunique_subject=no\n`,
  )
  const certificate = file('ca.pem', encodePem('CERTIFICATE', issuer.certificate.der))
  const key = file('ca.key', String(issuer.keys.privateKey.export({ type: 'pkcs8', format: 'pem' })))
  const args = ['ca', '-gencrl', '-config', configuration, '-cert', certificate, '-keyfile', key]
  const elapsed = timer()
  execFileSync('openssl', [...args, '-out', join(directory, 'openssl.crl')], { stdio: 'ignore' })
  report('openssl ca -gencrl, from its index file', elapsed(), 'its CPU is not counted')
}

try {
  benchReading(benchEncoding())
  if (!process.argv.includes('--without-openssl')) benchOpenssl()
  await benchStore()
  benchVerifiers()
  process.stdout.write(`${count.toLocaleString('en-US')} entries\n${rows.join('\n')}\n`)
} finally {
  rmSync(directory, { recursive: true, force: true })
}
