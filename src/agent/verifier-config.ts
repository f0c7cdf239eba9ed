/** `verifier.json`: what keeps the files of a verifier in the field fresh. Written by `perennial verifier config`. */
import { Refusal } from '../base/errors.ts'
import type { Certificate } from '../pki/certificate.ts'
import { parseAnchors } from './agent-trust.ts'

export interface VerifierConfig {
  /** Base URL of the status endpoint, no slash at the end. */
  readonly statusUrl: string
  /** Roots that are pinned: everything else is believed only when it leads to one. */
  readonly anchors: readonly Certificate[]
  /** Of every CA (`chain`), or of the issuing ones alone (`leaf`). */
  readonly crls: 'chain' | 'leaf'
  /** Shell command after which the server uses new files; null when it watches them. */
  readonly reload: string | null
}

/** @throws Refusal `configuration-invalid` naming what is wrong */
export function parseVerifierConfig(text: string): VerifierConfig {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw invalid('it is not JSON')
  }
  if (typeof value !== 'object' || value === null || !('v' in value) || value.v !== 1) {
    throw invalid('it is not of version 1 of the format')
  }
  const { statusUrl, anchors, crls, reload = null } = value as Record<string, unknown>
  if (typeof statusUrl !== 'string' || !/^https?:\/\/[^\s/]+(\/[^\s]*[^\s/])?$/.test(statusUrl)) {
    throw invalid('statusUrl is not a URL without a slash at its end')
  }
  if (!Array.isArray(anchors) || anchors.length === 0 || anchors.some((each) => typeof each !== 'string')) {
    throw invalid('anchors is not a list of PEM certificates')
  }
  if (crls !== 'chain' && crls !== 'leaf') throw invalid('crls is neither chain nor leaf')
  if (reload !== null && (typeof reload !== 'string' || reload === ''))
    throw invalid('reload is not a command')
  return { statusUrl, anchors: parseAnchors(anchors.join('\n')), crls, reload }
}

function invalid(why: string): Refusal {
  return new Refusal(
    'configuration-invalid',
    `verifier.json: ${why}; write it anew: perennial verifier config`,
  )
}
