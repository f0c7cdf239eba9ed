/** `ocsp.der`: the newest signed answer about the certificate in use, for the agent's own TLS server and for others. */
import { equalBytes } from '../base/bytes.ts'
import { Refusal } from '../base/errors.ts'
import { join } from 'node:path'
import { readFile } from 'node:fs/promises'
import { parseCertificate, type Certificate } from '../pki/certificate.ts'
import { checkOcspResponse } from '../pki/ocsp-read.ts'
import type { WriteFile } from './agent-directory.ts'
import type { Agent } from './agent.ts'
import { activeCredential } from './agent-state.ts'
import type { StoredCredential } from './credential-slots.ts'
import type { OcspSubject } from './ocsp-fetch.ts'
import { OcspStaple, type OcspStapleOptions } from './ocsp-staple.ts'

export const ocspFileName = 'ocsp.der'

export class OcspFile {
  readonly #path: string
  readonly #write: WriteFile

  constructor(directory: string, write: WriteFile) {
    this.#path = join(directory, ocspFileName)
    this.#write = write
  }

  async read(): Promise<Uint8Array | null> {
    try {
      return await readFile(this.#path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  async replace(der: Uint8Array): Promise<void> {
    await this.#write(this.#path, Buffer.from(der), 0o600)
  }
}

/** The certificate in use and its CA. Null before the first enrolment, or when the CA is not beside it. */
export function ocspSubject(
  credential: StoredCredential | null,
  anchors: readonly Certificate[],
): OcspSubject | null {
  if (credential === null) return null
  const { certificate: leaf, intermediates } = credential
  const candidates = [...intermediates.map((der) => parseCertificate(der)), ...anchors]
  const issuer = candidates.find(({ subjectDer }) => equalBytes(subjectDer, leaf.issuerDer))
  return issuer ? { leaf, issuer } : null
}

/**
 * The first answer of a bundle that is about the certificate in use. @returns until when it holds
 * @throws Refusal `server-answer-invalid`, or why the last one is not used
 */
export function pickOcsp(
  responses: readonly Uint8Array[],
  subject: OcspSubject,
  now: number,
): { readonly der: Uint8Array; readonly nextUpdate: number } {
  let why: Refusal | null = null
  for (const der of responses) {
    try {
      const { status, nextUpdate } = checkOcspResponse({ der, ...subject, now })
      if (status === 'good') return { der, nextUpdate }
      why = new Refusal('server-answer-invalid', `the answer says that the certificate is ${status}`)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      why = error
    }
  }
  throw why ?? new Refusal('server-answer-invalid', 'the bundle has no OCSP answer')
}

/**
 * A staple for the TLS server of a device: fetched from where the certificate says, or brought by a bundle, and kept in
 * `ocsp.der`. Call `run`, and `attach` a server.
 */
export async function openAgentStaple(
  agent: Agent,
  options: Omit<OcspStapleOptions, 'subject'>,
): Promise<OcspStaple> {
  const staple = new OcspStaple({
    ...options,
    subject: async () => ocspSubject(activeCredential(await agent.state()), agent.anchors()),
    onAnswer: async (answer) => {
      if (answer.status === 'good') await agent.ocspFile?.replace(answer.der)
      await options.onAnswer?.(answer)
    },
  })
  const kept = await agent.ocspFile?.read()
  if (!kept) return staple
  try {
    await staple.take(kept)
  } catch (error) {
    // of an earlier certificate, or lapsed: the next one comes
    if (!(error instanceof Refusal)) throw error
  }
  return staple
}
