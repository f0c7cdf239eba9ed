/** Before a dangerous act the server may ask again who one is. The act waits, is sent again, and nothing that was typed is lost. */
import { useSyncExternalStore, useState, type FormEvent, type ReactNode } from 'react'
import { onProofNeeded, send, rememberCsrfToken } from '../api/http.ts'
import { Dialog } from './dialog.tsx'
import { TextField } from './fields.tsx'
import { Refused } from './quiet.tsx'

type Waiting = (isProved: boolean) => void

let waiting: readonly Waiting[] = []
const listeners = new Set<() => void>()

function change(next: readonly Waiting[]): void {
  waiting = next
  for (const listener of listeners) listener()
}

onProofNeeded(
  async () =>
    await new Promise<boolean>((resolve) => {
      change([...waiting, resolve])
    }),
)

function answer(isProved: boolean): void {
  const all = waiting
  change([])
  for (const each of all) each(isProved)
}

export function StepUp(): ReactNode {
  const isNeeded = useSyncExternalStore(
    (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    () => waiting.length > 0,
  )
  return isNeeded ? <ProofDialog /> : null
}

function ProofDialog(): ReactNode {
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const [error, setError] = useState<unknown>(null)
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setError(null)
    try {
      const { csrfToken } = await send<{ csrfToken: string | null }>('POST', '/session/proof', {
        body: { password, ...(code === '' ? {} : { code }) },
        isLogIn: true,
      })
      rememberCsrfToken(csrfToken)
      answer(true)
    } catch (reason) {
      setError(reason)
    }
  }
  return (
    <Dialog title="Prove that it is you" onClose={() => answer(false)}>
      <form className="form" onSubmit={(event) => void submit(event)}>
        <p className="muted">What you are about to do cannot be taken back easily.</p>
        <TextField
          label="Password"
          type="password"
          autoComplete="current-password"
          value={password}
          onValue={setPassword}
          autoFocus
          required
        />
        <TextField
          label="Code"
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onValue={setCode}
          help="Of your authenticator app, if your account has one."
        />
        <Refused error={error} />
        <div className="dialog-acts">
          <button type="button" className="button" onClick={() => answer(false)}>
            Cancel
          </button>
          <button type="submit" className="button primary">
            Go on
          </button>
        </div>
      </form>
    </Dialog>
  )
}
