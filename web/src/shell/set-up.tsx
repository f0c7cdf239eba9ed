/** A password, and an authenticator app, on a one-time link: the first account, or one that was invited. */
import { useQuery } from '@tanstack/react-query'
import { useState, type FormEvent, type ReactNode } from 'react'
import { send } from '../api/http.ts'
import { Copyable } from '../parts/call.tsx'
import { TextField } from '../parts/fields.tsx'
import { Failed, Refused } from '../parts/quiet.tsx'

interface Offer {
  /** Null: the first account, which needs a name. */
  readonly operator: string | null
  readonly totpSecret: string
  readonly totpUri: string
  readonly requireTotp: boolean
}

export function FirstSetUp(): ReactNode {
  // behind `#`, so that it gets into no log and no referrer
  const [token] = useState(() => location.hash.slice(1))
  const offer = useQuery<Offer>({
    queryKey: ['setup', token],
    queryFn: () => send<Offer>('POST', '/setup/offer', { body: { token }, isLogIn: true }),
    enabled: token !== '',
    retry: false,
    staleTime: Number.POSITIVE_INFINITY,
  })
  if (token === '')
    return (
      <p className="problem">
        The address has no token. Copy the whole link that the first start has printed.
      </p>
    )
  if (offer.error) return <Failed error={offer.error} />
  return offer.data ? <SetUpForm token={token} offer={offer.data} /> : null
}

function SetUpForm({ token, offer }: { readonly token: string; readonly offer: Offer }): ReactNode {
  const { operator, requireTotp } = offer
  const [name, setName] = useState(operator ?? '')
  const [password, setPassword] = useState('')
  const [again, setAgain] = useState('')
  const [code, setCode] = useState('')
  const [error, setError] = useState<unknown>(null)
  const [isBusy, setBusy] = useState(false)
  const isSame = again === '' || again === password
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setBusy(true)
    setError(null)
    const withCode = code === '' ? {} : { code }
    try {
      await send('POST', '/setup', {
        body: { token, password, ...(operator === null ? { name } : {}), ...withCode },
        isLogIn: true,
      })
      await logIn({ name, password, ...withCode })
      location.replace('/')
    } catch (reason) {
      setError(reason)
      setBusy(false)
    }
  }
  return (
    <form className="form" onSubmit={(event) => void submit(event)}>
      <h1 className="sentence">{operator === null ? 'Make the first account.' : 'Choose your password.'}</h1>
      <p className="muted">
        {operator === null
          ? 'It administers this installation. The link works once; there is no default password.'
          : 'The link works once.'}
      </p>
      <TextField
        label="Name"
        value={name}
        onValue={setName}
        autoComplete="username"
        readOnly={operator !== null}
        autoFocus={operator === null}
        required
      />
      <TextField
        label="Password"
        type="password"
        help="At least 12 characters; a few words are easier to keep than signs."
        value={password}
        onValue={setPassword}
        autoComplete="new-password"
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
      <Authenticator offer={offer} code={code} onCode={setCode} />
      <Refused error={error} />
      <button
        type="submit"
        className="button primary"
        disabled={isBusy || !isSame || (requireTotp && code === '')}
      >
        {isBusy ? 'One moment …' : operator === null ? 'Make the account' : 'Set it'}
      </button>
    </form>
  )
}

interface AuthenticatorProps {
  readonly offer: Offer
  readonly code: string
  readonly onCode: (code: string) => void
}

function Authenticator({ offer, code, onCode }: AuthenticatorProps): ReactNode {
  return (
    <details open={offer.requireTotp}>
      <summary>Authenticator app{offer.requireTotp ? '' : ' (recommended)'}</summary>
      <div className="form">
        <p className="small">
          Add this key to the app, or <a href={offer.totpUri}>open it there</a>, and type the code that it
          shows.
        </p>
        <Copyable text={offer.totpSecret} label="the key" />
        <TextField
          label="Code"
          inputMode="numeric"
          autoComplete="one-time-code"
          value={code}
          onValue={onCode}
          pattern="[0-9]{6}"
        />
      </div>
    </details>
  )
}

/** A code is taken once: where the set-up has used it up, the person logs in with the next. */
async function logIn(body: {
  readonly name: string
  readonly password: string
  readonly code?: string
}): Promise<void> {
  await send('POST', '/session', { body, isLogIn: true }).catch(() => null)
}
