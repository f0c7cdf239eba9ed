/** Who is at the keyboard, and what he may do. */
import { createContext, useContext } from 'react'

export interface Session {
  readonly name: string
  readonly permissions: ReadonlySet<string>
  /** In words: `operator of site graz`. */
  readonly roles: string
}

export const SessionContext = createContext<Session | null>(null)

export function useSession(): Session {
  const session = useContext(SessionContext)
  if (session === null) throw new Error('no session')
  return session
}

/** A button that this person may not press is not there. */
export function useMay(permission: string): boolean {
  return useContext(SessionContext)?.permissions.has(permission) ?? false
}
