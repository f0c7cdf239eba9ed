/** The session of this tab: not known yet, none, there, or ended while somebody was at work. */
import { useSyncExternalStore } from 'react'
import { get, onSignedOut, Problem, rememberCsrfToken } from '../api/http.ts'
import type { Session } from '../api/session.tsx'

export type SessionState =
  | { readonly kind: 'unknown' }
  | { readonly kind: 'none' }
  | { readonly kind: 'away'; readonly error: unknown }
  | { readonly kind: 'here'; readonly session: Session }
  /** The page stays as it is, with what was typed, under a log-in. */
  | { readonly kind: 'ended'; readonly session: Session }

interface SessionAnswer {
  readonly operator: string
  readonly permissions: readonly string[]
  readonly grants: readonly {
    readonly role: string
    readonly cohort: string | null
    readonly site: string | null
  }[]
  readonly csrfToken: string | null
}

let state: SessionState = { kind: 'unknown' }
const listeners = new Set<() => void>()

function become(next: SessionState): void {
  state = next
  for (const listener of listeners) listener()
}

export function useSessionState(): SessionState {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => state,
  )
}

export async function loadSession(): Promise<void> {
  try {
    const answer = await get<SessionAnswer>('/session')
    rememberCsrfToken(answer.csrfToken)
    const { operator: name, permissions, grants } = answer
    become({
      kind: 'here',
      session: { name, permissions: new Set(permissions), roles: rolesText(grants) },
    })
  } catch (error) {
    if (error instanceof Problem && error.status === 401) {
      if (state.kind !== 'ended') become({ kind: 'none' })
    } else become({ kind: 'away', error })
  }
}

function rolesText(grants: SessionAnswer['grants']): string {
  return grants
    .map(({ role, cohort, site }) =>
      [role, cohort === null ? '' : `of cohort ${cohort}`, site === null ? '' : `of site ${site}`]
        .filter((part) => part !== '')
        .join(' '),
    )
    .join(', ')
}

/** Log-out: nothing of the person stays on the screen. */
export function endSession(): void {
  rememberCsrfToken(null)
  location.assign('/')
}

onSignedOut(() => {
  if (state.kind === 'here') become({ kind: 'ended', session: state.session })
})
