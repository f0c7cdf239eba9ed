/** A small "?" beside a number or a word, which says how it is counted and what to do. */
import { useId, useRef, type ReactNode } from 'react'

interface NoteProps {
  readonly label: string
  readonly children: ReactNode
  /** What opens it; without it the round question mark. */
  readonly button?: { readonly className: string; readonly content: ReactNode }
}

export function Note({ label, children, button }: NoteProps): ReactNode {
  const id = useId()
  const opener = useRef<HTMLButtonElement>(null)
  const card = useRef<HTMLDivElement>(null)
  return (
    <>
      <button
        ref={opener}
        type="button"
        className={button?.className ?? 'explain no-print'}
        aria-label={label}
        popoverTarget={id}
      >
        {button?.content ?? '?'}
      </button>
      <div
        ref={card}
        id={id}
        popover="auto"
        className="note-card"
        onToggle={(event) => {
          if (event.newState === 'open') place(opener.current, card.current)
        }}
      >
        {children}
      </div>
    </>
  )
}

/** Below its button, and inside the window. */
function place(opener: HTMLElement | null, card: HTMLElement | null): void {
  if (!opener || !card) return
  const from = opener.getBoundingClientRect()
  const { width, height } = card.getBoundingClientRect()
  const left = Math.max(12, Math.min(from.left, innerWidth - width - 12))
  const below = from.bottom + 8
  const top = below + height > innerHeight - 12 ? Math.max(12, from.top - height - 8) : below
  card.style.left = `${left}px`
  card.style.top = `${top}px`
}

export function Explain({
  what,
  children,
}: {
  readonly what: string
  readonly children: ReactNode
}): ReactNode {
  return <Note label={`What does this say: ${what}`}>{children}</Note>
}
