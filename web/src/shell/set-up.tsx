/** The first account: opened by the one-time link that the first start prints. */
import { useState, type FormEvent, type ReactNode } from 'react'
import { send } from '../api/http.ts'
import { TextField } from '../parts/fields.tsx'
import { Refused } from '../parts/quiet.tsx'

/** The token stands behind `#`, so that it gets into no log and no referrer. */
function tokenOfAddress(): string {
  return new URLSearchParams(location.hash.slice(1)).get('token') ?? ''
}

export function FirstSetUp(): ReactNode {
  const [token] = useState(tokenOfAddress)
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const [error, setError] = useState<unknown>(null)
  const [isBusy, setBusy] = useState(false)
  const isSame = again === '' || again === password

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      await send('POST', '/setup', { body: { token, name, password }, isLogIn: true })
      await send('POST', '/session', { body: { name, password }, isLogIn: true })
      location.replace('/')
    } catch (reason) {
      setError(reason)
      setBusy(false)
    }
  }
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      <h1 className="sentence">Make the first account.</h1>
      <p className="muted">
        It will be an administrator and an officer of this installation. The link works once and for 30
        minutes; nobody else has an account yet, and there is no default password.
      </p>
      {token === '' && (
        <p className="problem">
          The address has no token. Copy the whole link that the first start has printed.
        </p>
      )}
      <TextField label="Name" value={name} onValue={setName} autoComplete="username" autoFocus required />
      <TextField
        label="Password"
        type="password"
        help="At least 12 characters; a few words are easier to keep than signs."
        value={password}
        onValue={setPassword}
        autoComplete="new-password"
        minLength={12}
        required
      />
      <TextField
        label="Password again"
        type="password"
        value={again}
        onValue={setAgain}
        autoComplete="new-password"
        required
      />
      {!isSame && <p className="problem">The two passwords differ.</p>}
      <Refused error={error} />
      <button type="submit" className="button primary" disabled={isBusy || !isSame || token === ''}>
        {isBusy ? 'One moment …' : 'Make the account'}
      </button>
    </form>
  )
}
