/** Filters with a name: those that everybody needs, and those that this browser keeps. */
import { useState, useSyncExternalStore, type ReactNode } from 'react'
import { kept } from '../base/kept.ts'
import { TextField } from './fields.tsx'
import { ActDialog } from './dialog.tsx'

interface ViewsProps {
  readonly name: string
  readonly given: readonly (readonly [name: string, filter: string])[]
  readonly current: string
  readonly onChoose: (filter: string) => void
}

const saved = kept('views', '{}')

function savedViews(): Record<string, [string, string][]> {
  try {
    return JSON.parse(saved.read()) as Record<string, [string, string][]>
  } catch {
    return {}
  }
}

export function Views({ name, given, current, onChoose }: ViewsProps): ReactNode {
  useSyncExternalStore(saved.subscribe, saved.read)
  const [isSaving, setSaving] = useState(false)
  const [title, setTitle] = useState('')
  const own = savedViews()[name] ?? []
  const write = (next: [string, string][]): void =>
    saved.write(JSON.stringify({ ...savedViews(), [name]: next }))
  const isOwn = own.some(([, filter]) => filter === current)
  const isKnown = isOwn || given.some(([, filter]) => filter === current)
  return (
    <div className="views no-print" role="group" aria-label="Views">
      {[...given, ...own].map(([each, filter]) => (
        <button
          key={`${each} ${filter}`}
          type="button"
          className="button small quiet"
          aria-pressed={filter === current}
          onClick={() => onChoose(filter)}
        >
          {each}
        </button>
      ))}
      {!isKnown && (
        <button type="button" className="button small" onClick={() => setSaving(true)}>
          Keep this view
        </button>
      )}
      {isOwn && (
        <button
          type="button"
          className="button small"
          onClick={() => write(own.filter(([, filter]) => filter !== current))}
        >
          Forget this view
        </button>
      )}
      {isSaving && (
        <ActDialog
          title="Keep this view"
          act="Keep"
          isBusy={false}
          isReady={title.trim() !== ''}
          error={null}
          onClose={() => setSaving(false)}
          onAct={() => {
            write([...own, [title.trim(), current]])
            setTitle('')
            setSaving(false)
          }}
        >
          <TextField
            label="Name"
            value={title}
            onValue={setTitle}
            autoFocus
            help="It is kept in this browser."
          />
          <code>{current}</code>
        </ActDialog>
      )}
    </div>
  )
}
