/** The filters of a page, kept in its address: they can be sent to somebody, and the back button works. */
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback } from 'react'
import type { Search } from '../router.tsx'

export function useAddress(): readonly [Search, (change: Readonly<Record<string, string | null>>) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const change = useCallback(
    (next: Readonly<Record<string, string | null>>) => {
      void navigate({
        to: '.',
        search: (before: Record<string, unknown>) => ({ ...before, ...next }),
        replace: true,
      } as never)
    },
    [navigate],
  )
  return [search, change]
}
