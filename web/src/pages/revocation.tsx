/** Revoke many at once: what it would do first, then the order; and how far each order has got. */
import { useEffect, useState, type FormEvent, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct, useApi } from '../api/use-api.ts'
import { drafts } from '../base/kept.ts'
import { count, plural, quoted } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { revocationReasons } from '../parts/device-act.tsx'
import { ActDialog } from '../parts/dialog.tsx'
import { SelectField, TextField } from '../parts/fields.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Refused } from '../parts/quiet.tsx'
import { StateWord } from '../parts/state.tsx'
import { say } from '../parts/toasts.tsx'

export interface Batch {
  readonly id: number
  readonly selection: Readonly<Record<string, string>>
  readonly reason: string
  readonly note: string | null
  readonly status: string
  readonly actor: string
  readonly createdAt: string
  readonly startsAt: string
  readonly endedAt: string | null
  /** Done so far. */
  readonly devices: number
  readonly certificates: number
}

interface Preview {
  readonly devices: number
  readonly certificates: number
  readonly outOfService: number
  readonly liveSessions: number
  readonly openRenewals: number
  readonly sites: Readonly<Record<string, number>>
  readonly crls: readonly { readonly issuer: string; readonly entries: number; readonly bytes: number }[]
  readonly needsApproval: boolean
}

const blank = { batch: '', cohort: '', site: '', profile: '', reason: 'keyCompromise', note: '' }
type Values = typeof blank
const form = 'revocation'

function selectionOf({ batch, cohort, site, profile }: Values): Record<string, string> {
  return Object.fromEntries(
    Object.entries({ batch, cohort, site, profile }).filter(([, value]) => value.trim() !== ''),
  )
}

export function Revocation(): ReactNode {
  const result = useApi<{ items: readonly Batch[] }>('/revocations')
  const items = result.data?.items ?? []
  const running = items.filter(({ status }) => status === 'running' || status === 'waiting')
  const may = useMay('certificates:revoke')
  return (
    <>
      <Lead
        title="Revocation"
        after="Revoking is for good, and is not the same as letting a certificate end. One device is revoked on its own page."
      >
        {running.length > 0 ? (
          <>
            <strong>{plural(running.length, 'revocation')}</strong> under way.
          </>
        ) : (
          'No revocation is under way.'
        )}
      </Lead>
      {may && <Order />}
      <Panel
        title="Orders"
        says="Each is carried out in chunks; CRL and OCSP follow within seconds."
        how="Revoked: what this order has revoked so far."
        isFlush
        isTable
        twin={{
          name: 'revocations',
          head: ['Id', 'Selection', 'Reason', 'Status', 'Devices', 'Certificates', 'By', 'At'],
          rows: items.map((each) => [
            each.id,
            textOf(each.selection),
            each.reason,
            each.status,
            each.devices,
            each.certificates,
            each.actor,
            each.createdAt,
          ]),
        }}
        call={{ path: apiPath('/revocations'), command: 'revoke list' }}
      >
        <Answered result={result} what="orders">
          {() => (
            <DataTable
              caption="Orders of revocation"
              head={['Order', 'Whom', 'Reason', 'Status', 'Revoked', 'By', 'When']}
              keys={items.map(({ id }) => String(id))}
              rows={items.map((each) => [
                each.id,
                <Foreign key="s" text={textOf(each.selection)} />,
                each.reason,
                <StateWord key="t" state={each.status} />,
                `${plural(each.certificates, 'certificate')} of ${plural(each.devices, 'device')}`,
                <Foreign key="b" text={each.actor} />,
                <Instant key="a" at={each.createdAt} />,
              ])}
              empty={<Empty title="Nothing was revoked by a selection yet" />}
            />
          )}
        </Answered>
      </Panel>
    </>
  )
}

function textOf(selection: Readonly<Record<string, string>>): string {
  return Object.entries(selection)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

function Order(): ReactNode {
  const [values, setValues] = useState<Values>(() => ({ ...blank, ...drafts.read(form) }))
  useEffect(() => drafts.write(form, values), [values])
  const [isAsking, setAsking] = useState(false)
  const selection = selectionOf(values)
  const preview = useAct<void, Preview>(() =>
    send<Preview>('POST', '/revocations/preview', { body: { selection, reason: values.reason } }),
  )
  const set = (name: keyof Values) => (value: string) => {
    preview.reset()
    setValues((before) => ({ ...before, [name]: value }))
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    preview.mutate()
  }
  return (
    <Panel
      title="Revoke by selection"
      how="All that is given must hold. What would be revoked is counted first; nothing happens until you order it."
    >
      <form className="form" onSubmit={submit}>
        <div className="field-row">
          <TextField label="Batch" value={values.batch} onValue={set('batch')} />
          <TextField label="Cohort" value={values.cohort} onValue={set('cohort')} />
          <TextField label="Site" value={values.site} onValue={set('site')} />
          <TextField label="Profile" value={values.profile} onValue={set('profile')} />
        </div>
        <div className="field-row">
          <SelectField
            label="Reason"
            value={values.reason}
            options={revocationReasons}
            onValue={set('reason')}
          />
          <TextField
            label="Why"
            value={values.note}
            onValue={set('note')}
            help="In your words; it goes into the audit log."
          />
        </div>
        <Refused error={preview.error} />
        <div className="inline">
          <button
            type="submit"
            className="button primary"
            disabled={Object.keys(selection).length === 0 || preview.isPending}
          >
            What would it revoke?
          </button>
          {preview.data && (
            <>
              <PreviewText preview={preview.data} />
              <button
                type="button"
                className="button danger"
                disabled={preview.data.devices === 0 || values.note.trim() === ''}
                onClick={() => setAsking(true)}
              >
                Order it
              </button>
            </>
          )}
        </div>
      </form>
      {isAsking && preview.data && (
        <OrderDialog
          values={values}
          preview={preview.data}
          onClose={(isDone) => {
            setAsking(false)
            if (isDone) {
              drafts.clear(form)
              setValues(blank)
              preview.reset()
            }
          }}
        />
      )}
    </Panel>
  )
}

function PreviewText({ preview }: { readonly preview: Preview }): ReactNode {
  const { certificates, devices, liveSessions, openRenewals, outOfService, sites, needsApproval } = preview
  return (
    <p>
      <strong>{plural(certificates, 'certificate')}</strong> of {plural(devices, 'device')} at{' '}
      {plural(Object.keys(sites).length, 'site')}; {count(liveSessions)} in contact right now,{' '}
      {count(openRenewals)} being renewed, {count(outOfService)} out of service already.
      {needsApproval && <strong> A second person must allow it.</strong>}
    </p>
  )
}

interface OrderDialogProps {
  readonly values: Values
  readonly preview: Preview
  readonly onClose: (isDone: boolean) => void
}

interface OrderAnswer {
  readonly proposal?: { readonly id: number } | null
}

function OrderDialog({ values, preview, onClose }: OrderDialogProps): ReactNode {
  const [typed, setTyped] = useState('')
  const { reason, note } = values
  const selection = selectionOf(values)
  const body = { selection, reason, note }
  const run = useAct<void, OrderAnswer | null>(
    () => send<OrderAnswer | null>('POST', '/revocations', { body }),
    (answer) => {
      say(
        answer?.proposal
          ? `Proposed: a second person must approve it (proposal ${answer.proposal.id}).`
          : 'Ordered. The CRL and OCSP follow within seconds.',
      )
      onClose(true)
    },
  )
  const options = Object.entries(selection).map(([name, value]) => `--${name} ${quoted(value)}`)
  return (
    <ActDialog
      title={`Revoke ${plural(preview.certificates, 'certificate')}`}
      act="Order it"
      isDangerous
      isBusy={run.isPending}
      isReady={typed.trim() === String(preview.devices)}
      error={run.error}
      call={{
        method: 'POST',
        path: apiPath('/revocations'),
        body,
        command: `revoke batch ${options.join(' ')} --reason ${reason} --note ${quoted(note)} --yes`,
      }}
      onAct={() => run.mutate()}
      onClose={() => onClose(false)}
    >
      <p>
        {plural(preview.devices, 'device')} lose what they authenticate with, for good, and are quarantined.
        Where two people are asked for, it waits for the second one.
      </p>
      <TextField
        label={`Type the number of devices (${preview.devices}) to go on`}
        inputMode="numeric"
        value={typed}
        onValue={setTyped}
        autoFocus
      />
    </ActDialog>
  )
}
