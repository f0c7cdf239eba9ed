/**
 * A list of any length: only the rows in view are in the page, and the next ones are fetched as one scrolls. What changes on the
 * server changes in its row; rows never move under the pointer, new ones are announced.
 */
import { useVirtualizer } from '@tanstack/react-virtual'
import { useEffect, useRef, type ReactNode } from 'react'

export interface Column<Item> {
  readonly name: string
  /** Share of the width: `2fr`, `90px`. */
  readonly width: string
  readonly cell: (item: Item) => ReactNode
}

interface RowsProps<Item> {
  readonly label: string
  readonly columns: readonly Column<Item>[]
  readonly items: readonly Item[]
  readonly keyOf: (item: Item) => string
  readonly hasMore: boolean
  readonly onMore: () => void
  readonly selection?: {
    readonly keys: ReadonlySet<string>
    readonly onChange: (keys: ReadonlySet<string>) => void
  }
}

const rowHeight = 36

export function Rows<Item>(props: RowsProps<Item>): ReactNode {
  const { label, columns, items, keyOf, hasMore, onMore, selection } = props
  const scroller = useRef<HTMLDivElement>(null)
  const virtual = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: 12,
  })
  const visible = virtual.getVirtualItems()
  const end = visible.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore && end >= items.length - 20) onMore()
  }, [end, hasMore, items.length, onMore])

  const template = [
    ...(selection ? ['20px'] : []),
    ...columns.map(({ width }) => `minmax(0, ${width})`),
  ].join(' ')
  const toggle = (key: string): void => {
    if (!selection) return
    const keys = new Set(selection.keys)
    if (!keys.delete(key)) keys.add(key)
    selection.onChange(keys)
  }
  const isAll =
    selection !== undefined && items.length > 0 && items.every((item) => selection.keys.has(keyOf(item)))
  return (
    <div
      ref={scroller}
      className="rows"
      role="table"
      aria-label={label}
      aria-rowcount={hasMore ? -1 : items.length + 1}
      tabIndex={0}
    >
      <div className="head" role="row" style={{ gridTemplateColumns: template }}>
        {selection && (
          <span role="columnheader">
            <input
              type="checkbox"
              aria-label="Select all that are loaded"
              checked={isAll}
              onChange={() => selection.onChange(isAll ? new Set() : new Set(items.map(keyOf)))}
            />
          </span>
        )}
        {columns.map(({ name }) => (
          <span key={name} role="columnheader">
            {name}
          </span>
        ))}
      </div>
      <div role="rowgroup" style={{ height: virtual.getTotalSize(), position: 'relative' }}>
        {visible.map(({ index, start }) => {
          const item = items[index] as Item
          const key = keyOf(item)
          return (
            <div
              key={key}
              role="row"
              className="row"
              aria-rowindex={index + 2}
              data-selected={selection?.keys.has(key) ?? false}
              style={{ gridTemplateColumns: template, transform: `translateY(${start}px)` }}
            >
              {selection && (
                <span role="cell">
                  <input
                    type="checkbox"
                    aria-label={`Select ${key}`}
                    checked={selection.keys.has(key)}
                    onChange={() => toggle(key)}
                  />
                </span>
              )}
              {columns.map(({ name, cell }) => (
                <span key={name} role="cell" className="cell">
                  {cell(item)}
                </span>
              ))}
            </div>
          )
        })}
      </div>
    </div>
  )
}
