/** Nobody passes without a session. One that ends in mid-work is renewed on top of the page, which keeps what was typed. */
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, type ReactNode } from 'react'
import { SessionContext } from '../api/session.tsx'
import { later } from '../base/clock.ts'
import { Dialog } from '../parts/dialog.tsx'
import { LogIn } from './log-in.tsx'
import { Mark } from './mark.tsx'
import { loadSession, useSessionState } from './session-state.ts'
import { FirstSetUp } from './set-up.tsx'

export function Gate({ children }: { readonly children: ReactNode }): ReactNode {
  const state = useSessionState()
  const queries = useQueryClient()
  useEffect(() => {
    if (location.pathname !== '/setup') void loadSession()
  }, [])
  useEffect(() => {
    if (state.kind !== 'away') return undefined
    return later(3_000, () => void loadSession())
  }, [state])

  if (location.pathname === '/setup') {
    return (
      <GatePage>
        <FirstSetUp />
      </GatePage>
    )
  }
  switch (state.kind) {
    case 'unknown':
      return null
    case 'away':
      return (
        <GatePage>
          <p className="sentence">The server does not answer.</p>
          <p className="muted">This page asks again every few seconds and opens by itself when it is back.</p>
        </GatePage>
      )
    case 'none':
      return (
        <GatePage>
          <LogIn onDone={() => void loadSession()} />
        </GatePage>
      )
    case 'here':
    case 'ended':
      return (
        <SessionContext value={state.session}>
          {children}
          {state.kind === 'ended' && (
            <Dialog title="Your session has ended" onClose={() => {}}>
              <p className="muted">Log in again to go on. What you had typed is still there.</p>
              <LogIn
                isAgain
                name={state.session.name}
                onDone={() => void loadSession().then(() => queries.invalidateQueries())}
              />
            </Dialog>
          )}
        </SessionContext>
      )
    default:
      return state satisfies never
  }
}

function GatePage({ children }: { readonly children: ReactNode }): ReactNode {
  return (
    <main className="gate">
      <section aria-label="Perennial">
        <span className="brand">
          <Mark />
          Perennial
        </span>
        {children}
      </section>
    </main>
  )
}
