/** What the API answers, as far as pages read it. Instants are ISO 8601. */
export interface Device {
  readonly id: string
  readonly state: string
  readonly profile: string
  readonly connectivity: string
  readonly cohort: string | null
  readonly batch: string | null
  readonly site: string | null
  readonly tags: Readonly<Record<string, string>>
  readonly hardware: string | null
  readonly firmware: string | null
  readonly lastSeenAt: string | null
  readonly lastRenewalAt: string | null
  readonly createdAt: string
  readonly expiresAt?: string | null
}

export const renewalStates = [
  'planned',
  'triggered',
  'issued',
  'confirmed',
  'retired',
  'escalated',
  'abandoned',
] as const
export type RenewalCounts = Readonly<Record<(typeof renewalStates)[number], number>>
