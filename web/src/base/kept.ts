/** Small settings of this browser: theme, time zone, saved views, what was typed when the session ended. */
export interface Kept {
  readonly read: () => string
  readonly write: (value: string) => void
  readonly subscribe: (listener: () => void) => () => void
}

/** Falls back to memory where the browser keeps nothing. */
export function kept(name: string, initial: string): Kept {
  const key = `perennial.${name}`
  const listeners = new Set<() => void>()
  let value = initial
  try {
    value = localStorage.getItem(key) ?? initial
  } catch {
    // a browser that keeps nothing
  }
  return {
    read: () => value,
    write(next) {
      value = next
      try {
        localStorage.setItem(key, next)
      } catch {
        // as above
      }
      for (const listener of listeners) listener()
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** What was typed into a form, for the life of the tab: it survives a log-in in between. Never for secrets. */
export const drafts = {
  read(form: string): Record<string, string> {
    try {
      return JSON.parse(sessionStorage.getItem(`perennial.draft.${form}`) ?? '{}') as Record<string, string>
    } catch {
      return {}
    }
  },
  write(form: string, values: Record<string, string>): void {
    try {
      sessionStorage.setItem(`perennial.draft.${form}`, JSON.stringify(values))
    } catch {
      // as above
    }
  },
  clear(form: string): void {
    try {
      sessionStorage.removeItem(`perennial.draft.${form}`)
    } catch {
      // as above
    }
  },
}
