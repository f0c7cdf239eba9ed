/** Accounts and what they may do. */
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay, useSession } from '../api/session.tsx'
import { useAct, useApi, type Page } from '../api/use-api.ts'
import { plural, quoted } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { Copyable } from '../parts/call.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { ActDialog, Dialog } from '../parts/dialog.tsx'
import { SelectField, TextField } from '../parts/fields.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { State } from '../parts/state.tsx'
import { say } from '../parts/toasts.tsx'

interface Grant {
  readonly role: string
  readonly cohort: string | null
  readonly site: string | null
}

interface Operator {
  readonly name: string
  readonly status: 'invited' | 'active' | 'disabled'
  readonly grants: readonly Grant[]
  readonly hasPassword: boolean
  readonly hasTotp: boolean
  readonly oidcSubject: string | null
  readonly lockedUntil: string | null
  readonly lastLoginAt: string | null
}

interface SetupLink {
  readonly operator: string
  readonly token: string | null
}

const roles = [
  ['viewer', 'viewer: looks'],
  ['operator', 'operator: runs the fleet from day to day'],
  ['officer', 'officer: revokes, changes issuers and policy, approves'],
  ['auditor', 'auditor: reads everything, writes nothing'],
  ['administrator', 'administrator: accounts and notifications'],
] as const

const tones = { invited: 'wait', active: 'well', disabled: 'idle' } as const

export function Operators(): ReactNode {
  const result = useApi<Page<Operator>>('/operators', { limit: 200 })
  const may = useMay('operators:write')
  const [isAdding, setAdding] = useState(false)
  const [link, setLink] = useState<SetupLink | null>(null)
  const items = result.data?.items ?? []
  const change = useAct(
    ({ name, act }: { name: string; act: 'disable' | 'enable' | 'reset' }) =>
      send<SetupLink | null>('POST', `/operators/${encodeURIComponent(name)}/${act}`),
    (answer) => {
      if (answer !== null && 'token' in answer) setLink(answer)
      else say('Done.')
    },
  )
  return (
    <>
      <Lead
        title="Operators"
        acts={
          may && (
            <button type="button" className="button primary" onClick={() => setAdding(true)}>
              Add an account
            </button>
          )
        }
      >
        <strong>{plural(items.length, 'account')}</strong>,{' '}
        {plural(items.filter(({ hasTotp }) => hasTotp).length, 'of them')} with an authenticator app.
      </Lead>
      <Panel
        title="Accounts"
        how="Roles are given for the whole fleet or for one cohort or site. Nobody changes his own."
        isFlush
        isTable
        twin={{
          name: 'operators',
          head: ['Name', 'Status', 'Roles', 'Authenticator', 'Last log-in'],
          rows: items.map((each) => [
            each.name,
            each.status,
            rolesOf(each),
            each.hasTotp ? 'yes' : 'no',
            each.lastLoginAt,
          ]),
        }}
        call={{ path: apiPath('/operators'), command: 'operator list' }}
      >
        <Answered result={result} what="accounts">
          {() => <Accounts items={items} onAct={(name, act) => change.mutate({ name, act })} />}
        </Answered>
        {change.error && <p className="problem">{change.error.message}</p>}
      </Panel>
      {isAdding && (
        <AddDialog
          onClose={() => setAdding(false)}
          onLink={(answer) => {
            setAdding(false)
            setLink(answer)
          }}
        />
      )}
      {link !== null && <LinkDialog link={link} onClose={() => setLink(null)} />}
    </>
  )
}

type AccountAct = 'disable' | 'enable' | 'reset'

interface AccountsProps {
  readonly items: readonly Operator[]
  readonly onAct: (name: string, act: AccountAct) => void
}

function Accounts({ items, onAct }: AccountsProps): ReactNode {
  const may = useMay('operators:write')
  const { name: own } = useSession()
  return (
    <DataTable
      caption="Accounts"
      head={['Name', 'Status', 'Roles', 'Authenticator', 'Last log-in', ...(may ? ['Acts'] : [])]}
      keys={items.map(({ name }) => name)}
      rows={items.map((each) => [
        <Foreign key="n" text={each.name} />,
        <State key="s" tone={each.lockedUntil === null ? tones[each.status] : 'act'}>
          {each.lockedUntil === null ? each.status : 'locked'}
        </State>,
        <Foreign key="r" text={rolesOf(each)} />,
        each.hasTotp ? 'yes' : 'no',
        <Instant key="l" at={each.lastLoginAt} />,
        ...(may
          ? [
              each.name === own ? (
                <span key="x" className="muted">
                  you
                </span>
              ) : (
                <span key="x" className="inline">
                  <button
                    type="button"
                    className="button small"
                    onClick={() => onAct(each.name, each.status === 'disabled' ? 'enable' : 'disable')}
                  >
                    {each.status === 'disabled' ? 'Enable' : 'Disable'}
                  </button>
                  <button type="button" className="button small" onClick={() => onAct(each.name, 'reset')}>
                    New link
                  </button>
                </span>
              ),
            ]
          : []),
      ])}
    />
  )
}

function LinkDialog({
  link,
  onClose,
}: {
  readonly link: SetupLink
  readonly onClose: () => void
}): ReactNode {
  return (
    <Dialog title={`The link for ${link.operator}`} onClose={() => onClose()}>
      <p>
        It is shown once, works once and lapses soon. Give it to the person in a way that nobody else reads.
      </p>
      {link.token === null ? (
        <p>No link is needed.</p>
      ) : (
        <Copyable text={`${location.origin}/setup#${link.token}`} label="the link" />
      )}
      <div className="dialog-acts">
        <button type="button" className="button primary" onClick={() => onClose()}>
          I have it
        </button>
      </div>
    </Dialog>
  )
}

function rolesOf({ grants }: Operator): string {
  return grants
    .map(({ role, cohort, site }) =>
      [role, cohort === null ? '' : `(cohort ${cohort})`, site === null ? '' : `(site ${site})`]
        .filter(Boolean)
        .join(' '),
    )
    .join(', ')
}

function AddDialog({
  onClose,
  onLink,
}: {
  readonly onClose: () => void
  readonly onLink: (link: SetupLink) => void
}): ReactNode {
  const [name, setName] = useState('')
  const [role, setRole] = useState('viewer')
  const [site, setSite] = useState('')
  const [cohort, setCohort] = useState('')
  const part = (value: string): string | null => (value.trim() === '' ? null : value.trim())
  const body = { name, grants: [{ role, site: part(site), cohort: part(cohort) }] }
  const run = useAct<void, SetupLink>(() => send<SetupLink>('POST', '/operators', { body }), onLink)
  const command = [
    `operator add ${quoted(name)} --role ${role}`,
    site === '' ? '' : `--site ${quoted(site)}`,
    cohort === '' ? '' : `--cohort ${quoted(cohort)}`,
  ]
  return (
    <ActDialog
      title="Add an account"
      act="Add"
      isBusy={run.isPending}
      isReady={name !== ''}
      error={run.error}
      call={{ method: 'POST', path: apiPath('/operators'), body, command: command.filter(Boolean).join(' ') }}
      onAct={() => run.mutate()}
      onClose={onClose}
    >
      <TextField label="Name" value={name} onValue={setName} autoFocus />
      <SelectField label="Role" value={role} options={roles} onValue={setRole} />
      <div className="field-row">
        <TextField label="Only the site" value={site} onValue={setSite} help="Empty: all." />
        <TextField label="Only the cohort" value={cohort} onValue={setCohort} help="Empty: all." />
      </div>
    </ActDialog>
  )
}
