/** Investigations: what is known about a device that was revoked or quarantined, until somebody closes the case. */
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct, useApi, type Page } from '../api/use-api.ts'
import { plural, quoted } from '../base/text.ts'
import { useAddress } from '../parts/address.ts'
import { Answered } from '../parts/answered.tsx'
import { ActDialog } from '../parts/dialog.tsx'
import { SelectField, TextArea, TextField } from '../parts/fields.tsx'
import { DeviceLink, Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { State } from '../parts/state.tsx'
import { Timeline } from '../parts/timeline.tsx'
import { say } from '../parts/toasts.tsx'

export interface Case {
  readonly id: number
  readonly device: string
  readonly revocation: number | null
  readonly reason: string | null
  readonly openedAt: string
  readonly openedBy: string
  readonly verdict: string | null
  readonly closedAt: string | null
  readonly closedBy: string | null
}

interface CaseDetails extends Case {
  readonly deviceState: string | null
  readonly entries: readonly {
    readonly at: string
    readonly actor: string
    readonly note: string | null
    readonly file: { readonly name: string; readonly sha256: string } | null
  }[]
}

function titleOf({ reason, revocation }: Case): string {
  if (reason === null) return 'out of service, nothing revoked'
  return revocation === null ? `revoked: ${reason}` : `revoked with others: ${reason}`
}

export function Cases(): ReactNode {
  const [search, change] = useAddress()
  const which = search['state'] ?? 'open'
  const query = { ...(which === 'open' ? { open: true } : {}), limit: 100 }
  const result = useApi<Page<Case>>('/cases', query)
  const items = result.data?.items ?? []
  const open = items.filter(({ closedAt }) => closedAt === null)
  const chosen = search['case'] === undefined ? null : Number(search['case'])
  return (
    <>
      <Lead title="Cases">
        {result.data === undefined ? (
          'One moment …'
        ) : open.length === 0 ? (
          'No case is open.'
        ) : (
          <>
            <strong>{plural(open.length, 'case')}</strong> {open.length === 1 ? 'is' : 'are'} open.
          </>
        )}
      </Lead>
      <div className="grid">
        <Panel
          title={which === 'open' ? 'Open cases' : 'All cases'}
          className="half"
          isTable
          how="A device that is revoked or quarantined has one open case until somebody closes it."
          tools={
            <select
              className="button quiet small"
              aria-label="Which"
              value={which}
              onChange={(event) => change({ state: event.target.value })}
            >
              <option value="open">open</option>
              <option value="all">all</option>
            </select>
          }
          twin={{
            name: 'cases',
            head: ['Id', 'Device', 'Title', 'Opened', 'By', 'Closed', 'Verdict'],
            rows: items.map((each) => [
              each.id,
              each.device,
              titleOf(each),
              each.openedAt,
              each.openedBy,
              each.closedAt,
              each.verdict,
            ]),
          }}
          call={{ path: apiPath('/cases', query), command: 'case list' }}
        >
          <Answered result={result} what="cases">
            {() =>
              items.length === 0 ? (
                <Empty title="There is nothing to look into" />
              ) : (
                <ul className="todo">
                  {items.map((each) => (
                    <li key={each.id}>
                      <State tone={each.closedAt === null ? 'watch' : 'idle'}>
                        <span className="visually-hidden">{each.closedAt === null ? 'open' : 'closed'}</span>
                      </State>
                      <div>
                        <Foreign text={titleOf(each)} />
                        <p className="muted small">
                          <DeviceLink id={each.device} /> · <Instant at={each.openedAt} />
                        </p>
                      </div>
                      <button
                        type="button"
                        className="button small"
                        aria-pressed={chosen === each.id}
                        onClick={() => change({ case: String(each.id) })}
                      >
                        Look
                      </button>
                    </li>
                  ))}
                </ul>
              )
            }
          </Answered>
        </Panel>
        {chosen !== null && <CasePanel id={chosen} />}
      </div>
    </>
  )
}

function CasePanel({ id }: { readonly id: number }): ReactNode {
  const result = useApi<CaseDetails>(`/cases/${id}`)
  const may = useMay('cases:write')
  const mayClose = useMay('devices:state')
  const [note, setNote] = useState('')
  const [isClosing, setClosing] = useState(false)
  const add = useAct(
    () => send('POST', `/cases/${id}/notes`, { body: { note } }),
    () => setNote(''),
  )
  return (
    <Panel
      title={`Case ${id}`}
      className="half"
      call={{ path: apiPath(`/cases/${id}`), command: `case show ${id}` }}
    >
      <Answered result={result} what="the case">
        {(each) => (
          <div className="stack">
            <p>
              <strong>
                <Foreign text={titleOf(each)} />
              </strong>
              <br />
              <DeviceLink id={each.device} />
            </p>
            <Timeline
              happenings={[
                {
                  key: 'open',
                  at: each.openedAt,
                  tone: 'watch',
                  text: (
                    <>
                      opened by <Foreign text={each.openedBy} />
                    </>
                  ),
                },
                ...each.entries.map((entry, index) => ({
                  key: `${entry.at} ${index}`,
                  at: entry.at,
                  text: (
                    <>
                      <span className="muted">
                        <Foreign text={entry.actor} />:
                      </span>{' '}
                      <Foreign text={entry.note ?? ''} />
                      {entry.file !== null && (
                        <>
                          {' '}
                          <Foreign text={entry.file.name} /> <code>{entry.file.sha256.slice(0, 12)}…</code>
                        </>
                      )}
                    </>
                  ),
                })),
                ...(each.closedAt === null
                  ? []
                  : [
                      {
                        key: 'close',
                        at: each.closedAt,
                        tone: 'well' as const,
                        text: (
                          <>
                            closed by <Foreign text={each.closedBy} />: <Foreign text={each.verdict} />
                          </>
                        ),
                      },
                    ]),
              ]}
            />
            {may && each.closedAt === null && (
              <>
                <TextArea label="Note" value={note} onValue={setNote} />
                <div className="inline">
                  <button
                    type="button"
                    className="button"
                    disabled={note.trim() === '' || add.isPending}
                    onClick={() => add.mutate(undefined)}
                  >
                    Add the note
                  </button>
                  {mayClose && (
                    <button type="button" className="button primary" onClick={() => setClosing(true)}>
                      Give a verdict
                    </button>
                  )}
                </div>
              </>
            )}
          </div>
        )}
      </Answered>
      {isClosing && <CloseDialog id={id} onClose={() => setClosing(false)} />}
    </Panel>
  )
}

function CloseDialog({ id, onClose }: { readonly id: number; readonly onClose: () => void }): ReactNode {
  const [verdict, setVerdict] = useState('cleared')
  const [note, setNote] = useState('')
  const path = `/cases/${id}/close`
  const body = { verdict, note }
  const run = useAct(
    () => send('POST', path, { body }),
    () => {
      say(`Case ${id} is closed.`)
      onClose()
    },
  )
  return (
    <ActDialog
      title={`Close case ${id}`}
      act="Close the case"
      isBusy={run.isPending}
      isReady={note.trim() !== ''}
      error={run.error}
      call={{
        method: 'POST',
        path: apiPath(path),
        body,
        command: `case close ${id} --verdict ${verdict} --note ${quoted(note)}`,
      }}
      onAct={() => run.mutate(undefined)}
      onClose={onClose}
    >
      <SelectField
        label="The device"
        value={verdict}
        options={[
          ['cleared', 'is fine: it may enrol again, certificates on hold are good again'],
          ['replaced', 'was replaced by another one'],
          ['destroyed', 'is destroyed'],
          ['compromised', 'is not to be trusted any more'],
        ]}
        onValue={setVerdict}
      />
      <TextField label="What was found" value={note} onValue={setNote} autoFocus />
    </ActDialog>
  )
}
