/** A dialog that asks before something is done, with the same act as a call and as a command. */
import { useEffect, useId, useRef, type FormEvent, type ReactNode } from 'react'
import { CallLines, type CallOf } from './call.tsx'
import { Refused } from './quiet.tsx'

interface DialogProps {
  readonly title: string
  readonly onClose: () => void
  readonly children: ReactNode
}

export function Dialog({ title, onClose, children }: DialogProps): ReactNode {
  const element = useRef<HTMLDialogElement>(null)
  const id = useId()
  useEffect(() => {
    const dialog = element.current
    if (dialog && !dialog.open) dialog.showModal()
  }, [])
  return (
    <dialog ref={element} className="dialog" aria-labelledby={id} onClose={onClose} onCancel={onClose}>
      <div className="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  )
}

interface ActDialogProps extends DialogProps {
  /** On the button that does it. */
  readonly act: string
  readonly isDangerous?: boolean
  readonly isBusy: boolean
  readonly isReady?: boolean
  readonly error: unknown
  readonly call?: CallOf
  readonly onAct: () => void
}

/** A form in a dialog. */
export function ActDialog(props: ActDialogProps): ReactNode {
  const { title, act, isDangerous, isBusy, isReady = true, error, call, onAct, onClose, children } = props
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (isReady && !isBusy) onAct()
  }
  return (
    <Dialog title={title} onClose={onClose}>
      <form className="form" onSubmit={submit}>
        {children}
        <Refused error={error} />
        {call && (
          <details>
            <summary>The same as an API call{call.command ? ' and as a command' : ''}</summary>
            <CallLines call={call} />
          </details>
        )}
        <div className="dialog-acts">
          <button type="button" className="button" onClick={onClose}>
            Cancel
          </button>
          <button
            type="submit"
            className={`button ${isDangerous ? 'danger' : 'primary'}`}
            disabled={isBusy || !isReady}
          >
            {isBusy ? 'One moment …' : act}
          </button>
        </div>
      </form>
    </Dialog>
  )
}
