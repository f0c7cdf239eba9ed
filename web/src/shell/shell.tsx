/** What stands around every page. */
import { Link, Outlet, useNavigate, useRouterState } from '@tanstack/react-router'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useState, useSyncExternalStore, type ReactNode } from 'react'
import { liveState, startLive, subscribeLive } from '../api/live.ts'
import type { Overview } from '../api/overview-shape.ts'
import { useMay, useSession } from '../api/session.tsx'
import { useApi } from '../api/use-api.ts'
import { count } from '../base/text.ts'
import { StepUp } from '../parts/step-up.tsx'
import { Toasts } from '../parts/toasts.tsx'
import { DemoStrip } from './demo-strip.tsx'
import { useKeys } from './keys.ts'
import { Mark } from './mark.tsx'
import { CommandPalette, KeysDialog } from './palette.tsx'
import { places } from './places.ts'
import { Settings } from './settings.tsx'

export function Shell(): ReactNode {
  const [open, setOpen] = useState<'palette' | 'keys' | 'menu' | null>(null)
  const navigate = useNavigate()
  const path = useRouterState({ select: (state) => state.location.pathname })
  const queries = useQueryClient()
  useEffect(() => startLive(queries), [queries])
  useEffect(() => setOpen(null), [path])
  const go = (to: string): void => {
    setOpen(null)
    void navigate({ to })
  }
  useKeys({ go, openPalette: () => setOpen('palette'), openKeys: () => setOpen('keys') })
  return (
    <div className="shell">
      <a className="skip-link" href="#page">
        To the page
      </a>
      <Rail isOpen={open === 'menu'} />
      <div className="column">
        <DemoStrip />
        <AwayStrip />
        <header className="topbar">
          <button
            type="button"
            className="button quiet menu-button"
            aria-expanded={open === 'menu'}
            onClick={() => setOpen(open === 'menu' ? null : 'menu')}
          >
            Menu
          </button>
          <button type="button" className="finder" onClick={() => setOpen('palette')}>
            <span>Go to a page or device</span>
            <kbd>Ctrl K</kbd>
          </button>
          <div className="spring wide-only" />
          <Live />
          <Settings />
        </header>
        <main id="page" className="page" tabIndex={-1}>
          <Outlet />
        </main>
      </div>
      <Toasts />
      <StepUp />
      {open === 'palette' && <CommandPalette onClose={() => setOpen(null)} onGo={go} />}
      {open === 'keys' && <KeysDialog onClose={() => setOpen(null)} />}
    </div>
  )
}

function Rail({ isOpen }: { readonly isOpen: boolean }): ReactNode {
  const { permissions } = useSession()
  const marks = useMarks()
  return (
    <nav className="rail" aria-label="Pages" data-open={isOpen}>
      <Link to="/" className="brand">
        <Mark />
        Perennial
      </Link>
      {places.map(([group, each]) => {
        const mine = each.filter(({ permission }) => permissions.has(permission))
        if (mine.length === 0) return null
        return (
          <section key={group} aria-label={group}>
            <h2>{group}</h2>
            {mine.map(({ to, name }) => (
              <Link
                key={to}
                to={to}
                className="item"
                activeOptions={{ exact: to === '/', includeSearch: false }}
              >
                {name}
                {(marks[to] ?? 0) > 0 && <span className="mark">{count(marks[to] as number)}</span>}
              </Link>
            ))}
          </section>
        )
      })}
    </nav>
  )
}

/** How much waits for people, by page. */
function useMarks(): Readonly<Record<string, number>> {
  const may = useMay('inventory:read')
  const overview = useApi<Overview>('/overview', {}, { enabled: may })
  const needs = overview.data?.needs ?? {}
  return {
    '/field-list': needs['escalated'] ?? 0,
    '/alerts': needs['alerts'] ?? 0,
    '/cases': needs['cases'] ?? 0,
    '/approvals': (needs['requests'] ?? 0) + (needs['proposals'] ?? 0),
  }
}

function Live(): ReactNode {
  const state = useSyncExternalStore(subscribeLive, liveState)
  const words = { live: 'live', connecting: 'connecting', away: 'server away' }[state]
  return (
    <span
      className="live"
      data-state={state}
      role="status"
      title="What changes on the server appears here by itself"
    >
      <i aria-hidden="true" />
      <span>{words}</span>
    </span>
  )
}

function AwayStrip(): ReactNode {
  const state = useSyncExternalStore(subscribeLive, liveState)
  if (state !== 'away') return null
  return (
    <div className="strip away" role="alert">
      The server does not answer. What you see is as it was last told; this page comes back by itself.
    </div>
  )
}
