/** `GET /overview`: sums of the whole fleet. */
export interface Overview {
  readonly at: string
  readonly devices: Readonly<Record<string, number>>
  readonly certificates: Readonly<Record<string, number>>
  readonly expiry: {
    readonly expired: number
    readonly within: readonly { readonly days: number; readonly count: number }[]
  }
  readonly renewals: Readonly<Record<string, number>>
  readonly campaigns: { readonly running: number; readonly paused: number }
  readonly tasks: { readonly open: number; readonly dead: number }
  readonly checkpoint: { readonly size: number; readonly at: string } | null
  readonly capacityPerDay: number
  /** What waits for people. */
  readonly needs: Readonly<Record<string, number>>
}

export function within({ expiry }: Overview, days: number): number {
  return expiry.within.find((each) => each.days === days)?.count ?? 0
}

/** The sums of one kind. */
export function total(sums: Readonly<Record<string, number>>): number {
  return Object.values(sums).reduce((all, each) => all + each, 0)
}

/** `GET /installation`. */
export interface Installation {
  readonly organization: string
  /** C2SP signed-note verifier key of the audit log. */
  readonly auditKey: string
  /** Its devices are simulated. */
  readonly isDemo: boolean
}
