/** CRLReason (RFC 5280 §5.3.1): the names of the standard and their numbers, in CRLs and in OCSP answers alike. */

const codes = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  // 7 is not used
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const

export type RevocationReason = keyof typeof codes

export const revocationReasons = Object.keys(codes) as readonly RevocationReason[]

export function reasonCode(reason: RevocationReason): number {
  return codes[reason]
}

/** Null for a number that has no meaning (7, and above 10). */
export function reasonFromCode(code: number): RevocationReason | null {
  return names.get(code) ?? null
}

export function isRevocationReason(text: string): text is RevocationReason {
  return Object.hasOwn(codes, text)
}

const names = new Map<number, RevocationReason>(
  Object.entries(codes).map(([name, code]) => [code, name as RevocationReason]),
)
