/** What waits for a second person: acts that somebody asked for, and enrolments that a profile lets a person decide. */
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay, useSession } from '../api/session.tsx'
import { useAct, useApi, type Page } from '../api/use-api.ts'
import { plural, quoted } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { ActDialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/fields.tsx'
import { DeviceLink, Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { StateWord } from '../parts/state.tsx'
import { say } from '../parts/toasts.tsx'

export interface Proposal {
  readonly id: number
  readonly kind: string
  readonly summary: string
  readonly why: string | null
  readonly state: string
  readonly requestedBy: string
  readonly requestedAt: string
  readonly expiresAt: string
  readonly decidedBy: string | null
  readonly note: string | null
  readonly outcome: string | null
}

interface EnrolmentRequest {
  readonly id: number
  readonly device: string
  readonly subject: string
  readonly profile: string
  readonly protocol: string
  readonly createdAt: string
}

type Decision = 'approve' | 'reject'

export function Approvals(): ReactNode {
  const proposals = useApi<Page<Proposal>>('/proposals', { limit: 100 })
  const items = proposals.data?.items ?? []
  const open = items.filter(({ state }) => state === 'open')
  const [act, setAct] = useState<{ decision: Decision; proposal: Proposal } | null>(null)
  return (
    <>
      <Lead
        title="Approvals"
        after="Nobody decides on what he asked for himself. What is done is what was proposed, byte for byte."
      >
        {proposals.data === undefined ? (
          'One moment …'
        ) : open.length === 0 ? (
          'Nothing waits for a second person.'
        ) : (
          <>
            <strong>{plural(open.length, 'act')}</strong> {open.length === 1 ? 'waits' : 'wait'} for a second
            person.
          </>
        )}
      </Lead>
      <Panel
        title="Acts for two people"
        how="Issuer operations, mass revocation and policy changes. What waits too long expires."
        isTable
        twin={{
          name: 'proposals',
          head: ['Id', 'Act', 'State', 'Asked by', 'Asked', 'Why', 'Decided by', 'Outcome'],
          rows: items.map((each) => [
            each.id,
            each.summary,
            each.state,
            each.requestedBy,
            each.requestedAt,
            each.why,
            each.decidedBy,
            each.outcome,
          ]),
        }}
        call={{ path: apiPath('/proposals'), command: 'proposal list' }}
      >
        <Answered result={proposals} what="proposals">
          {() =>
            items.length === 0 ? (
              <Empty title="Nobody has asked for anything yet" />
            ) : (
              <ul className="todo">
                {items.map((proposal) => (
                  <ProposalItem
                    key={proposal.id}
                    proposal={proposal}
                    onAct={(decision) => setAct({ decision, proposal })}
                  />
                ))}
              </ul>
            )
          }
        </Answered>
      </Panel>
      <Enrolments />
      {act !== null && <DecisionDialog {...act} onClose={() => setAct(null)} />}
    </>
  )
}

interface ProposalItemProps {
  readonly proposal: Proposal
  readonly onAct: (decision: Decision) => void
}

function ProposalItem({ proposal, onAct }: ProposalItemProps): ReactNode {
  const may = useMay('proposals:approve')
  const { name } = useSession()
  const { summary, state, why, requestedBy, requestedAt, expiresAt, decidedBy, note, outcome } = proposal
  const isOwn = requestedBy === `operator:${name}` || requestedBy === name
  return (
    <li>
      <span />
      <div>
        <strong>
          <Foreign text={summary} />
        </strong>
        <p className="muted small">
          <StateWord state={state === 'open' ? 'pending' : state} /> · asked by <Foreign text={requestedBy} />{' '}
          <Instant at={requestedAt} />
          {state === 'open' && (
            <>
              {' '}
              · lapses <Instant at={expiresAt} />
            </>
          )}
          {decidedBy !== null && (
            <>
              {' '}
              · decided by <Foreign text={decidedBy} />
            </>
          )}
        </p>
        {[why, note, outcome]
          .filter((text) => text !== null)
          .map((text) => (
            <p key={text} className="small">
              <Foreign text={text} />
            </p>
          ))}
      </div>
      {state === 'open' &&
        may &&
        (isOwn ? (
          <span className="muted small">another person decides</span>
        ) : (
          <span className="inline">
            <button type="button" className="button small primary" onClick={() => onAct('approve')}>
              Approve
            </button>
            <button type="button" className="button small" onClick={() => onAct('reject')}>
              Reject
            </button>
          </span>
        ))}
    </li>
  )
}

interface DecisionProps {
  readonly decision: Decision
  readonly proposal: Proposal
  readonly onClose: () => void
}

function DecisionDialog({ decision, proposal, onClose }: DecisionProps): ReactNode {
  const [note, setNote] = useState('')
  const path = `/proposals/${proposal.id}/decide`
  const body = {
    decision: decision === 'approve' ? 'approved' : 'rejected',
    ...(note === '' ? {} : { note }),
  }
  const run = useAct(
    () => send('POST', path, { body }),
    () => {
      say(decision === 'approve' ? 'Approved: it is being done.' : 'Rejected.')
      onClose()
    },
  )
  return (
    <ActDialog
      title={decision === 'approve' ? 'Approve this act' : 'Reject this act'}
      act={decision === 'approve' ? 'Approve' : 'Reject'}
      isDangerous={decision === 'approve'}
      isBusy={run.isPending}
      error={run.error}
      call={{
        method: 'POST',
        path: apiPath(path),
        body,
        command: `proposal ${decision} ${proposal.id}${note === '' ? '' : ` --note ${quoted(note)}`}`,
      }}
      onAct={() => run.mutate(undefined)}
      onClose={onClose}
    >
      <p>
        <strong>
          <Foreign text={proposal.summary} />
        </strong>
      </p>
      <p className="muted">
        Asked by <Foreign text={proposal.requestedBy} />
        {proposal.why !== null && (
          <>
            : <Foreign text={proposal.why} />
          </>
        )}
      </p>
      <TextField label="Note" value={note} onValue={setNote} autoFocus />
    </ActDialog>
  )
}

function Enrolments(): ReactNode {
  const may = useMay('devices:enrol')
  const result = useApi<Page<EnrolmentRequest>>('/enrolment-requests', { limit: 100 })
  const decide = useAct(
    ({ device, decision }: { device: string; decision: 'approved' | 'rejected' }) =>
      send('POST', `/enrolment-requests/${encodeURIComponent(device)}/decide`, { body: { decision } }),
    () => say('Decided. The device gets its answer when it asks again.'),
  )
  return (
    <Panel
      title="Enrolments that wait"
      how="Requests of devices whose profile asks for a person’s yes."
      isFlush
      isTable
      call={{ path: apiPath('/enrolment-requests'), command: 'device approve DEVICE' }}
    >
      <Answered result={result} what="enrolments">
        {({ items }) => (
          <DataTable
            caption="Enrolments that wait"
            head={['Device', 'Certificate for', 'Profile', 'By', 'Asked', ...(may ? ['Decide'] : [])]}
            keys={items.map(({ id }) => String(id))}
            rows={items.map((item) => [
              <DeviceLink key="d" id={item.device} />,
              <Foreign key="s" text={item.subject} />,
              <Foreign key="p" text={item.profile} />,
              item.protocol,
              <Instant key="t" at={item.createdAt} />,
              ...(may
                ? [
                    <span key="x" className="inline">
                      <button
                        type="button"
                        className="button small"
                        onClick={() => decide.mutate({ device: item.device, decision: 'approved' })}
                      >
                        Approve
                      </button>
                      <button
                        type="button"
                        className="button small"
                        onClick={() => decide.mutate({ device: item.device, decision: 'rejected' })}
                      >
                        Reject
                      </button>
                    </span>,
                  ]
                : []),
            ])}
            empty={<Empty title="No device waits for a person" />}
          />
        )}
      </Answered>
    </Panel>
  )
}
