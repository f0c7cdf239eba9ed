/** A part of a page: a picture or a list, with its table twin, its CSV and the call that it was made from. */
import { useState, type ReactNode } from 'react'
import { apiPath, download, type Query } from '../api/http.ts'
import { csvOf, type Cell } from '../base/text.ts'
import { CallButton, type CallOf } from './call.tsx'
import { Explain } from './explain.tsx'
import { DataTable } from './data-table.tsx'

export interface Twin {
  /** Of the file, without its ending. */
  readonly name: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly Cell[])[]
}

interface PanelProps {
  readonly title: string
  /** One line: what the picture says. */
  readonly says?: ReactNode
  /** How it is counted. */
  readonly how?: ReactNode
  readonly twin?: Twin | undefined
  /** A complete export that the server streams, where the twin has only what is on the page. */
  readonly exported?: { readonly path: string; readonly query: Query }
  readonly call?: CallOf
  readonly className?: string
  readonly isFlush?: boolean
  /** The body is a table already: no button that shows one. */
  readonly isTable?: boolean
  readonly tools?: ReactNode
  readonly children: ReactNode
}

export function Panel(props: PanelProps): ReactNode {
  const { title, says, how, twin, exported, call, className = '', isFlush, isTable, tools, children } = props
  const [showsTable, setShowsTable] = useState(false)
  const asTable = showsTable && twin !== undefined
  return (
    <section className={`panel ${className}`} aria-label={title}>
      <header>
        <h2>
          {title} {how !== undefined && <Explain what={title}>{how}</Explain>}
        </h2>
        {says !== undefined && <p>{says}</p>}
        <div className="tools no-print">
          {tools}
          {twin && !isTable && (
            <button
              type="button"
              className="button quiet small"
              aria-pressed={showsTable}
              onClick={() => setShowsTable(!showsTable)}
            >
              Table
            </button>
          )}
          {exported ? (
            <a className="button quiet small" href={apiPath(exported.path, exported.query)} download>
              CSV
            </a>
          ) : (
            twin && (
              <button
                type="button"
                className="button quiet small"
                onClick={() => download(`${twin.name}.csv`, csvOf(twin.head, twin.rows))}
              >
                CSV
              </button>
            )
          )}
          {call && <CallButton call={call} />}
        </div>
      </header>
      <div className={`body ${isFlush || asTable ? 'flush' : ''}`}>
        {asTable ? <DataTable caption={title} head={twin.head} rows={twin.rows} /> : children}
      </div>
    </section>
  )
}
