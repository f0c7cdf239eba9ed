/** A plain table; cells may hold anything. */
import type { ReactNode } from 'react'
import { count, shown } from '../base/text.ts'

interface DataTableProps {
  readonly caption: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly ReactNode[])[]
  readonly keys?: readonly string[]
  /** When there is no row. */
  readonly empty?: ReactNode
}

export function DataTable({ caption, head, rows, keys, empty }: DataTableProps): ReactNode {
  if (rows.length === 0 && empty !== undefined) return empty
  return (
    <div className="table-scroll" tabIndex={0} role="region" aria-label={caption}>
      <table className="data">
        <caption className="visually-hidden">{caption}</caption>
        <thead>
          <tr>
            {head.map((name, at) => (
              <th key={name} scope="col" className={isNumber(rows[0]?.[at]) ? 'number' : ''}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, at) => (
            <tr key={keys?.[at] ?? at}>
              {row.map((cell, column) => (
                <td key={head[column]} className={isNumber(cell) ? 'number' : ''}>
                  {cellOf(cell)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function isNumber(cell: ReactNode): boolean {
  return typeof cell === 'number'
}

function cellOf(cell: ReactNode): ReactNode {
  if (typeof cell === 'number') return count(cell)
  return typeof cell === 'string' ? <bdi>{shown(cell)}</bdi> : cell
}
