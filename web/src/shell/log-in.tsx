/** Name, password, and the code of an authenticator where the account has one. */
import { useState, type FormEvent, type ReactNode } from 'react'
import { Problem, send } from '../api/http.ts'
import { TextField } from '../parts/fields.tsx'
import { Refused } from '../parts/quiet.tsx'

interface LogInProps {
  readonly name?: string
  /** On top of a page: without the greeting. */
  readonly isAgain?: boolean
  readonly onDone: () => void
}

export function LogIn({ name: given = '', isAgain, onDone }: LogInProps): ReactNode {
  const [name, setName] = useState(given)
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const [needsCode, setNeedsCode] = useState(false)
  const [error, setError] = useState<unknown>(null)
  const [isBusy, setBusy] = useState(false)

  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    try {
      await send('POST', '/session', {
        body: { name, password, ...(code === '' ? {} : { code }) },
        isLogIn: true,
      })
      setPassword('')
      onDone()
    } catch (reason) {
      if (reason instanceof Problem && /code/i.test(reason.message)) setNeedsCode(true)
      setError(reason)
    } finally {
      setBusy(false)
    }
  }
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      {!isAgain && <h1 className="sentence">Log in</h1>}
      <TextField
        label="Name"
        value={name}
        onValue={setName}
        autoComplete="username"
        autoFocus={given === ''}
        required
      />
      <TextField
        label="Password"
        type="password"
        value={password}
        onValue={setPassword}
        autoComplete="current-password"
        autoFocus={given !== ''}
        required
      />
      {needsCode && (
        <TextField
          label="Code"
          help="Six digits of your authenticator."
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onValue={setCode}
        />
      )}
      <Refused error={error} />
      <button type="submit" className="button primary" disabled={isBusy}>
        {isBusy ? 'One moment …' : 'Log in'}
      </button>
    </form>
  )
}
