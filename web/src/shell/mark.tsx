import type { ReactNode } from 'react'

/** The sign of the house: a shoot that comes again. */
export function Mark(): ReactNode {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" fill="var(--accent)" />
      <path
        d="M16 26V12M16 18c-5 0-7-3-7-7 5 0 7 3 7 7Zm0-3c0-5 3-8 8-8 0 5-3 8-8 8Z"
        fill="none"
        stroke="var(--on-accent)"
        strokeWidth="2.4"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  )
}
