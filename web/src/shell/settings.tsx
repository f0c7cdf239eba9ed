/** Theme, time zone, and who is logged in. */
import { useSyncExternalStore, type ReactNode } from 'react'
import { send } from '../api/http.ts'
import { useSession } from '../api/session.tsx'
import { useZone, zone } from '../base/time.ts'
import { theme } from '../design/theme.ts'
import { Note } from '../parts/explain.tsx'
import { SelectField } from '../parts/fields.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { endSession } from './session-state.ts'

const zones = [
  ['utc', 'UTC'],
  ['local', `here: ${Intl.DateTimeFormat().resolvedOptions().timeZone}`],
  ...Intl.supportedValuesOf('timeZone').map((name) => [name, name] as const),
] as const

export function Settings(): ReactNode {
  const { name, roles } = useSession()
  const timeZone = useZone()
  const choice = useSyncExternalStore(theme.subscribe, theme.choice)
  const leave = async (): Promise<void> => {
    await send('DELETE', '/session').catch(() => null)
    endSession()
  }
  return (
    <Note
      label={`${name}: theme, time zone, log out`}
      button={{ className: 'button quiet small', content: <Foreign text={name} /> }}
    >
      <div className="form">
        <p>
          <strong>
            <Foreign text={name} />
          </strong>
          <br />
          <span className="muted">{roles}</span>
        </p>
        <SelectField
          label="Times are shown in"
          help="UTC, the time of this browser, or that of a site."
          value={timeZone}
          options={zones}
          onValue={zone.write}
        />
        <SelectField
          label="Theme"
          value={choice}
          options={[
            ['auto', 'as the machine says'],
            ['light', 'light'],
            ['dark', 'dark'],
          ]}
          onValue={(value) => theme.choose(value as 'light' | 'dark' | 'auto')}
        />
        <button type="button" className="button" onClick={() => void leave()}>
          Log out
        </button>
      </div>
    </Note>
  )
}
