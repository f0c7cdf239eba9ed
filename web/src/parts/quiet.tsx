/** What stands where there is nothing to show: loading, empty, refused, not allowed, server away. */
import type { ReactNode } from 'react'
import { Away, Problem } from '../api/http.ts'

export function Loading({ what }: { readonly what: string }): ReactNode {
  return (
    <div className="quiet-state" role="status">
      <span className="visually-hidden">Loading {what}</span>
      <span className="loading" aria-hidden="true">
        <svg width="180" height="3" />
      </span>
    </div>
  )
}

export function Empty({
  title,
  children,
}: {
  readonly title: string
  readonly children?: ReactNode
}): ReactNode {
  return (
    <div className="quiet-state">
      <strong>{title}</strong>
      {children}
    </div>
  )
}

interface FailedProps {
  readonly error: unknown
  readonly onRetry?: () => void
}

/** The reason in words, never a code alone. */
export function Failed({ error, onRetry }: FailedProps): ReactNode {
  const [title, advice] = wordsOf(error)
  return (
    <div className="quiet-state" role="alert">
      <strong>{title}</strong>
      <p>{error instanceof Error ? error.message : 'unknown failure'}</p>
      <p className="muted">{advice}</p>
      {onRetry && (
        <button type="button" className="button small" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  )
}

function wordsOf(error: unknown): readonly [string, string] {
  if (error instanceof Away)
    return ['The server is away', 'What you see elsewhere on this page is as it was last told.']
  if (!(error instanceof Problem))
    return [
      'This part of the page has failed',
      'Load the page again; if it stays, tell who runs the platform.',
    ]
  if (error.status === 403)
    return ['Your role does not show this', 'An administrator can give you a role that does.']
  if (error.status === 404)
    return ['It is not there', 'It may have been removed, or lie outside of what your role covers.']
  if (error.status === 429) return ['Too many questions at once', 'Wait a moment.']
  if (error.status >= 500)
    return ['The server could not answer', 'The log of the server has the details under this id.']
  return ['The server refused', 'Change what you asked for and try again.']
}

/** Beside a form. */
export function Refused({ error }: { readonly error: unknown }): ReactNode {
  if (error === null || error === undefined) return null
  const errors = error instanceof Problem ? error.errors : []
  return (
    <div className="problem" role="alert">
      <p>{error instanceof Error ? error.message : 'unknown failure'}</p>
      {errors.length > 1 && (
        <ul>
          {errors.map(({ at, detail }) => (
            <li key={`${at} ${detail}`}>
              <code>{at}</code> {detail}
            </li>
          ))}
        </ul>
      )}
    </div>
  )
}
