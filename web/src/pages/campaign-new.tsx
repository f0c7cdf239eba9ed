/** Plans a campaign: whom, how, what would happen; then it is created as a draft. Nothing is sent from here. */
import type { UseMutationResult } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useState, type FormEvent, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct } from '../api/use-api.ts'
import { drafts } from '../base/kept.ts'
import { count, plural, quoted } from '../base/text.ts'
import { instantText } from '../base/time.ts'
import { useAddress } from '../parts/address.ts'
import { CallLines } from '../parts/call.tsx'
import { SelectField, TextField } from '../parts/fields.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Refused } from '../parts/quiet.tsx'
import { say } from '../parts/toasts.tsx'

interface Plan {
  readonly selected: number
  readonly targets: number
  readonly left: readonly { readonly reason: string; readonly count: number }[]
  readonly rate: { readonly perMinute: number; readonly perDay: number; readonly capacityPerDay: number }
  readonly waves: readonly {
    readonly name: string
    readonly size: number
    readonly approval: string
    readonly opensAt: string | null
  }[]
  readonly finish: { readonly earliest: string; readonly expected: string; readonly latest: string } | null
  readonly lost: { readonly atLeast: number; readonly atMost: number }
  readonly warnings: readonly string[]
}

const blank = {
  id: '',
  description: '',
  profile: '',
  cohort: '',
  batch: '',
  site: '',
  issuer: '',
  expiring: '',
  waves: '1, 10',
  soak: '3d',
  approval: 'automatic',
  rate: '60',
}
type Values = typeof blank

/** What the API and a YAML file of the command line take. */
export function definitionOf(values: Values): Record<string, unknown> {
  const { description, profile, cohort, batch, site, issuer, expiring, waves, soak, approval, rate } = values
  const part = (name: string, value: string): Record<string, string> =>
    value.trim() === '' ? {} : { [name]: value.trim() }
  const selection = {
    ...part('profile', profile),
    ...part('cohort', cohort),
    ...part('batch', batch),
    ...part('site', site),
    ...part('issuer', issuer),
    ...part('expiringBefore', expiring),
  }
  const shares = waves
    .split(',')
    .map((each) => Number(each.trim()))
    .filter((each) => each > 0)
  return {
    ...part('description', description),
    selection: Object.keys(selection).length === 0 ? { all: true } : selection,
    waves: shares.map((percentage) => ({ percentage, soak, approval })),
    rollout: { maximumPerMinute: Number(rate) },
  }
}

const form = 'campaign'

export function CampaignNew(): ReactNode {
  if (useMay('campaigns:write')) return <Planning />
  return (
    <Lead title="Plan a campaign" after="An administrator can give you a role that does.">
      Your role does not plan campaigns.
    </Lead>
  )
}

function Planning(): ReactNode {
  const [search] = useAddress()
  const navigate = useNavigate()
  const [values, setValues] = useState<Values>(() => ({
    ...blank,
    ...(search['expiring'] === undefined ? {} : { expiring: search['expiring'] }),
    ...(search['cohort'] === undefined ? {} : { cohort: search['cohort'] }),
    ...drafts.read(form),
  }))
  useEffect(() => drafts.write(form, values), [values])
  const definition = definitionOf(values)
  const plan = useAct<void, Plan>(() => send<Plan>('POST', '/campaigns/plan', { body: definition }))
  const create = useAct(
    () => send('POST', '/campaigns', { body: { id: values.id, definition } }),
    () => {
      drafts.clear(form)
      say(`${values.id} is a draft: look at it, then start it.`)
      void navigate({ to: '/campaigns/$id', params: { id: values.id } })
    },
  )
  const set = (name: keyof Values) => (value: string) => setValues((before) => ({ ...before, [name]: value }))
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    plan.mutate()
  }
  return (
    <>
      <Lead
        title="Plan a campaign"
        after="A plan writes nothing. A draft draws its targets and asks nobody until you start it."
      >
        Whom do you want to renew?
      </Lead>
      <div className="grid">
        <Panel title="Definition" className="half">
          <form className="form" onSubmit={submit}>
            <Selection values={values} set={set} />
            <How values={values} set={set} />
            <Refused error={plan.error} />
            <div className="inline">
              <button type="submit" className="button primary" disabled={plan.isPending}>
                {plan.isPending ? 'Reading the fleet …' : 'What would it do?'}
              </button>
              <button
                type="button"
                className="button quiet"
                onClick={() => {
                  drafts.clear(form)
                  setValues(blank)
                }}
              >
                Start afresh
              </button>
            </div>
          </form>
        </Panel>
        <Panel
          title="What it would do"
          className="half"
          how="Read from sums over the whole selection: nothing is written and nobody is asked."
        >
          <Outcome plan={plan.data} values={values} set={set} create={create} />
        </Panel>
      </div>
      <Panel title="The same without this page">
        <CallLines
          call={{
            method: 'POST',
            path: apiPath('/campaigns/plan'),
            body: definition,
            command: `campaign plan ${optionsOf(values)}`,
          }}
        />
      </Panel>
    </>
  )
}

interface OutcomeProps extends PartProps {
  readonly plan: Plan | undefined
  readonly create: UseMutationResult<unknown, Error, unknown>
}

function Outcome({ plan, values, set, create }: OutcomeProps): ReactNode {
  return plan ? (
    <div className="stack">
      <PlanText plan={plan} />
      <TextField
        label="Name of the draft"
        value={values.id}
        onValue={set('id')}
        help="Lower-case letters, digits and dashes; it cannot be changed."
      />
      <Refused error={create.error} />
      <div>
        <button
          type="button"
          className="button primary"
          disabled={create.isPending || values.id === '' || plan.targets === 0}
          onClick={() => create.mutate(undefined)}
        >
          {create.isPending ? 'Drawing targets …' : `Create a draft with ${plural(plan.targets, 'target')}`}
        </button>
      </div>
    </div>
  ) : (
    <Empty title="Fill in whom, and ask what it would do">
      <p>
        You will see the targets, who is left out and why, the waves, the finish, and who will probably not
        make it.
      </p>
    </Empty>
  )
}

function optionsOf(values: Values): string {
  const names = ['profile', 'cohort', 'batch', 'site', 'issuer'] as const
  const parts = names.flatMap((name) => (values[name] === '' ? [] : [`--${name} ${quoted(values[name])}`]))
  if (values.expiring !== '') parts.push(`--expiring-before ${quoted(values.expiring)}`)
  return parts.length === 0 ? '--all' : parts.join(' ')
}

interface PartProps {
  readonly values: Values
  readonly set: (name: keyof Values) => (value: string) => void
}

function Selection({ values, set }: PartProps): ReactNode {
  return (
    <>
      <div className="field-row">
        <TextField label="Profile" value={values.profile} onValue={set('profile')} />
        <TextField label="Cohort" value={values.cohort} onValue={set('cohort')} />
        <TextField label="Batch" value={values.batch} onValue={set('batch')} />
        <TextField label="Site" value={values.site} onValue={set('site')} />
        <TextField label="Issuer" value={values.issuer} onValue={set('issuer')} />
        <TextField
          label="Certificate ends before"
          placeholder="60d or 2027-03-01"
          value={values.expiring}
          onValue={set('expiring')}
        />
      </div>
      <p className="muted small">
        All that is given must hold. Nothing given means every device whose renewal window is open.
      </p>
    </>
  )
}

function How({ values, set }: PartProps): ReactNode {
  return (
    <>
      <div className="field-row">
        <TextField
          label="Waves, % of the fleet"
          value={values.waves}
          onValue={set('waves')}
          help="A canary goes first; the rest is one more wave."
        />
        <TextField label="Watch each wave for" value={values.soak} onValue={set('soak')} />
        <TextField
          label="Devices a minute at most"
          inputMode="numeric"
          value={values.rate}
          onValue={set('rate')}
        />
        <SelectField
          label="Next wave opens"
          value={values.approval}
          options={[
            ['automatic', 'by itself, when the rule holds'],
            ['manual', 'when a person approves'],
          ]}
          onValue={set('approval')}
        />
      </div>
      <TextField label="Description" value={values.description} onValue={set('description')} />
    </>
  )
}

function PlanText({ plan }: { readonly plan: Plan }): ReactNode {
  const { selected, targets, left, rate, waves, finish, lost, warnings } = plan
  return (
    <>
      <p>
        <strong>{plural(targets, 'device')}</strong> of {count(selected)} selected would be asked,{' '}
        {count(rate.perMinute)} a minute at most.
        {finish && (
          <>
            {' '}
            Done about <strong>{instantText(Date.parse(finish.expected), 'day')}</strong>, between{' '}
            {instantText(Date.parse(finish.earliest), 'day')} and{' '}
            {instantText(Date.parse(finish.latest), 'day')}.
          </>
        )}
      </p>
      {lost.atMost > 0 && (
        <p className="problem">
          {count(lost.atLeast)} to {count(lost.atMost)} will probably not make it: silent for too long, or
          their certificate ends before their turn.
        </p>
      )}
      {warnings.map((warning) => (
        <p key={warning} className="advice">
          {warning}
        </p>
      ))}
      <dl className="facts">
        {waves
          .filter((wave) => wave.size > 0)
          .map((wave) => (
            <div key={wave.name} className="pair">
              <dt>{wave.name}</dt>
              <dd>
                {plural(wave.size, 'device')}
                {wave.opensAt !== null && <>, opens {instantText(Date.parse(wave.opensAt))}</>}
                {wave.approval === 'manual' && ', after approval'}
              </dd>
            </div>
          ))}
        {left.map(({ reason, count: each }) => (
          <div key={reason} className="pair">
            <dt>left out</dt>
            <dd>
              {count(each)}: {reason.replaceAll('-', ' ')}
            </dd>
          </div>
        ))}
      </dl>
    </>
  )
}
