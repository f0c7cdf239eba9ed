/** The head of a page: its name, one sentence that says how things stand, and what to do next. */
import { useEffect, type ReactNode } from 'react'

interface LeadProps {
  readonly title: string
  /** Plain text for the window’s title; the page name without it. */
  readonly children: ReactNode
  readonly after?: ReactNode
  readonly acts?: ReactNode
}

export function Lead({ title, children, after, acts }: LeadProps): ReactNode {
  useEffect(() => {
    document.title = `${title} · Perennial`
  }, [title])
  return (
    <div className="lead">
      <div className="words">
        <h1>{title}</h1>
        <p className="sentence">{children}</p>
        {after !== undefined && <div className="after">{after}</div>}
      </div>
      {acts !== undefined && <div className="acts no-print">{acts}</div>}
    </div>
  )
}

interface FigureProps {
  readonly label: string
  readonly value: ReactNode
  readonly how: ReactNode
  readonly note?: ReactNode
  readonly tone?: 'act' | 'watch' | undefined
  readonly explain: (what: string, how: ReactNode) => ReactNode
}

export function Figure({ label, value, how, note, tone, explain }: FigureProps): ReactNode {
  return (
    <div className="figure" data-tone={tone}>
      <dt>
        {label} {explain(label, how)}
      </dt>
      <dd>
        {value}
        {note !== undefined && <div className="note">{note}</div>}
      </dd>
    </div>
  )
}
