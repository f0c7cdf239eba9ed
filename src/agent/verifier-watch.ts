/**
 * Keeps `trust.pem` and `crl.pem` beside a server of somebody else fresh. Whoever answers on the network is not trusted: only
 * what leads to the pinned roots is taken, and numbers only grow. What cannot be renewed stays as it is, so the server goes
 * on until the end of what it has, and the operator is told before.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { equalBytes } from '../base/bytes.ts'
import { iso, type Clock, type Instant } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { parseCrl, type Crl } from '../pki/crl-read.ts'
import { formatName } from '../pki/name-text.ts'
import { decodePem, encodePem } from '../pki/pem.ts'
import type { WriteFile } from './agent-directory.ts'
import { fetchBytes, type Fetched } from './http-fetch.ts'
import type { VerifierConfig } from './verifier-config.ts'
import { checkCrl, parseVerifierList, requireTrustedCa, type ListedCa } from './verifier-trust.ts'

export interface VerifierHost {
  readonly clock: Clock
  /** Where the two files are. */
  readonly directory: string
  readonly write: WriteFile
  /** Runs the reload command. @throws Refusal when it fails */
  readonly reload: (command: string) => Promise<void>
}

export interface VerifierPass {
  /** True when the server was given something new. */
  readonly isChanged: boolean
  /** What the operator should look at; empty when all is well. */
  readonly problems: readonly string[]
  /** When the first of the CRLs in use lapses: from then on the server refuses every device. Null: there is none. */
  readonly nextUpdate: Instant | null
}

const maxListBytes = 1_048_576
const maxCrlBytes = 268_435_456
const files = { trust: 'trust.pem', crl: 'crl.pem' } as const

/** A CA and what is known of it. */
interface Watched {
  readonly certificate: Certificate
  /** Its name at the status endpoint; null until the list has come. */
  id: string | null
  crl: Crl | null
  crlEtag: string | null
}

export class VerifierWatch {
  readonly #config: VerifierConfig
  readonly #host: VerifierHost
  #cas: Watched[] = []
  #listEtag: string | null = null
  /** The files are new and the server has not read them. */
  #isUnread = false

  private constructor(config: VerifierConfig, host: VerifierHost) {
    this.#config = config
    this.#host = host
  }

  /** Begins with the files as they are. */
  static async open(config: VerifierConfig, host: VerifierHost): Promise<VerifierWatch> {
    const watch = new VerifierWatch(config, host)
    const kept = await blocksOf(join(host.directory, files.trust), 'CERTIFICATE')
    const crls = (await blocksOf(join(host.directory, files.crl), 'X509 CRL')).map((der) => parseCrl(der))
    const certificates = [...config.anchors, ...kept.map((der) => parseCertificate(der))]
    for (const certificate of certificates) watch.#know(certificate)
    for (const ca of watch.#cas) {
      ca.crl = crls.find(({ issuerDer }) => equalBytes(issuerDer, ca.certificate.subjectDer)) ?? null
    }
    return watch
  }

  /** Never throws for what the network says. */
  async pass(signal: AbortSignal): Promise<VerifierPass> {
    const problems: string[] = []
    const now = this.#host.clock.now()
    await attempt(problems, () => this.#refreshList(now, problems, signal))
    for (const ca of this.#cas) await attempt(problems, () => this.#refreshCrl(ca, now, signal))
    this.#drop(now)
    const isChanged = await this.#publish(problems)
    const nextUpdate = this.#warn(now, problems)
    return { isChanged, problems, nextUpdate }
  }

  #know(certificate: Certificate): Watched {
    const known = this.#cas.find((ca) => equalBytes(ca.certificate.der, certificate.der))
    if (known) return known
    const ca = { certificate, id: null, crl: null, crlEtag: null }
    this.#cas.push(ca)
    return ca
  }

  async #refreshList(now: Instant, problems: string[], signal: AbortSignal): Promise<void> {
    const { statusUrl, anchors } = this.#config
    const url = `${statusUrl}/verifier.json`
    const fetched = await this.#fetch({ url, etag: this.#listEtag, maxBytes: maxListBytes }, signal)
    if (fetched === null) return
    const listed = parseVerifierList(fetched.bytes)
    for (const ca of listed) await attempt(problems, async () => this.#take(ca, anchors, now))
    this.#listEtag = fetched.etag
  }

  #take({ id, certificate }: ListedCa, anchors: readonly Certificate[], now: Instant): void {
    requireTrustedCa(certificate, anchors, now)
    this.#know(certificate).id = id
  }

  async #refreshCrl(ca: Watched, now: Instant, signal: AbortSignal): Promise<void> {
    if (ca.id === null || !this.#wantsCrl(ca)) return
    const url = `${this.#config.statusUrl}/crl/${ca.id}.crl`
    const fetched = await this.#fetch({ url, etag: ca.crlEtag, maxBytes: maxCrlBytes }, signal)
    if (fetched === null) return
    ca.crl = checkCrl({ der: fetched.bytes, ca: ca.certificate, known: ca.crl, now })
    ca.crlEtag = fetched.etag
  }

  /** Roots are asked also where the server does not want their CRL: it says which intermediate is not to be trusted. */
  #wantsCrl({ certificate }: Watched): boolean {
    return certificate.extensions.basicConstraints?.ca === true
  }

  /** CAs that have ended, and those that the CRL of their root lists: servers that check the leaf alone would not notice. */
  #drop(now: Instant): void {
    this.#cas = this.#cas.filter(({ certificate }) => {
      if (this.#isAnchor(certificate)) return true
      const parent = this.#cas.find((ca) => equalBytes(ca.certificate.subjectDer, certificate.issuerDer))
      return certificate.notAfter >= now && !parent?.crl?.find(certificate.serialNumber)
    })
  }

  #isAnchor({ der }: Certificate): boolean {
    return this.#config.anchors.some((anchor) => equalBytes(anchor.der, der))
  }

  async #publish(problems: string[]): Promise<boolean> {
    const { directory, write, reload } = this.#host
    const trust = this.#cas.map(({ certificate }) => encodePem('CERTIFICATE', certificate.der)).join('')
    const wanted = this.#cas.filter((ca) => this.#config.crls === 'chain' || !this.#isAnchor(ca.certificate))
    const crl = wanted.map((ca) => (ca.crl === null ? '' : encodePem('X509 CRL', ca.crl.der))).join('')
    let isChanged = false
    for (const [name, text] of [
      [files.trust, trust],
      [files.crl, crl],
    ] as const) {
      const path = join(directory, name)
      if (text === '' || text === (await textOf(path))) continue
      await write(path, text, 0o644)
      isChanged = true
    }
    if (isChanged) this.#isUnread = true
    const command = this.#config.reload
    if (command === null || !this.#isUnread) return isChanged
    await attempt(problems, async () => {
      await reload(command)
      this.#isUnread = false
    })
    return isChanged
  }

  /** @returns the end of the CRL that lapses first */
  #warn(now: Instant, problems: string[]): Instant | null {
    let first: Instant | null = null
    for (const ca of this.#cas) {
      const name = formatName(ca.certificate.subject)
      const end = ca.crl?.nextUpdate ?? null
      if (ca.crl === null || end === null) {
        problems.push(`there is no CRL of ${name} yet`)
        continue
      }
      if (first === null || end < first) first = end
      if (end <= now) problems.push(`the CRL of ${name} lapsed at ${iso(end)}: devices are refused`)
      else if (end - now < (end - ca.crl.thisUpdate) / 4) {
        problems.push(`the CRL of ${name} lapses at ${iso(end)}, and no newer one has come`)
      }
    }
    return first
  }

  #fetch(
    request: { url: string; etag: string | null; maxBytes: number },
    signal: AbortSignal,
  ): Promise<Fetched | null> {
    return fetchBytes(this.#host.clock, request, signal)
  }
}

/** A refusal is a problem of this pass and holds nothing else up. */
async function attempt(problems: string[], work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    problems.push(error.message)
  }
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'latin1')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

async function blocksOf(path: string, label: string): Promise<Uint8Array[]> {
  const text = await textOf(path)
  if (text === null) return []
  return decodePem(text).flatMap((block) => (block.label === label ? [block.der] : []))
}
