/** The devices that a person must go to: on the screen, on paper, and as CSV. */
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct, usePages } from '../api/use-api.ts'
import { count, quoted } from '../base/text.ts'
import { DataTable } from '../parts/data-table.tsx'
import { ActDialog } from '../parts/dialog.tsx'
import { TextField } from '../parts/fields.tsx'
import { DeviceLink, Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Failed, Loading } from '../parts/quiet.tsx'
import { State } from '../parts/state.tsx'
import { say } from '../parts/toasts.tsx'

export interface FieldItem {
  readonly device: string
  readonly site: string | null
  readonly campaign: string | null
  readonly notAfter: string
  readonly daysLeft: number
  readonly why: string
  readonly nextAction: string
  readonly assignee: string | null
}

export function FieldList(): ReactNode {
  const { items, result, hasMore, more } = usePages<FieldItem>('/field-list')
  const [act, setAct] = useState<{ kind: 'assign' | 'resolve'; item: FieldItem } | null>(null)
  const may = useMay('field:write')
  const nobody = items.filter(({ assignee }) => assignee === null).length
  return (
    <>
      <Lead
        title="Field list"
        acts={
          items.length > 0 && (
            <button type="button" className="button" onClick={() => print()}>
              Print
            </button>
          )
        }
      >
        {result.isPending ? (
          'One moment …'
        ) : items.length === 0 ? (
          'Nobody has to go anywhere.'
        ) : (
          <>
            <strong>
              {count(items.length)}
              {hasMore ? '+' : ''}
            </strong>{' '}
            {items.length === 1 ? 'device needs' : 'devices need'} a person
            {nobody > 0 && <>; nobody goes to {count(nobody)} of them yet</>}.
          </>
        )}
      </Lead>
      <Panel
        title="Devices that need a person"
        says="The most urgent first."
        how="Renewals that are escalated: their ladder is used up, their certificate has ended, or the new one is never used."
        isFlush
        isTable
        exported={{ path: '/exports/field-list', query: {} }}
        call={{ path: apiPath('/field-list'), command: 'field list' }}
      >
        {result.error && items.length === 0 ? (
          <Failed error={result.error} onRetry={() => void result.refetch()} />
        ) : result.isPending ? (
          <Loading what="the field list" />
        ) : items.length === 0 ? (
          <Empty title="The list is empty">
            <p>
              A device comes here when no way of asking it is left. It leaves when it has renewed or when you
              say what was done.
            </p>
          </Empty>
        ) : (
          <DataTable
            caption="Field list"
            head={['Device', 'Ends', 'Site', 'Why', 'What to do', 'Who goes', ...(may ? ['Acts'] : [])]}
            keys={items.map(({ device }) => device)}
            rows={items.map((item) => [
              <DeviceLink key="d" id={item.device} />,
              <State key="e" tone={item.daysLeft < 0 ? 'act' : item.daysLeft < 14 ? 'watch' : 'idle'}>
                <Instant at={item.notAfter} />
              </State>,
              <Foreign key="s" text={item.site} />,
              <Foreign key="r" text={item.why} />,
              <Foreign key="n" text={item.nextAction} />,
              <Foreign key="a" text={item.assignee} />,
              ...(may
                ? [
                    <span key="x" className="inline no-print">
                      <button
                        type="button"
                        className="button small"
                        onClick={() => setAct({ kind: 'assign', item })}
                      >
                        Assign
                      </button>
                      <button
                        type="button"
                        className="button small"
                        onClick={() => setAct({ kind: 'resolve', item })}
                      >
                        Done
                      </button>
                    </span>,
                  ]
                : []),
            ])}
          />
        )}
        {hasMore && (
          <button type="button" className="button" onClick={more}>
            More
          </button>
        )}
      </Panel>
      {act !== null && <FieldDialog {...act} onClose={() => setAct(null)} />}
    </>
  )
}

interface FieldDialogProps {
  readonly kind: 'assign' | 'resolve'
  readonly item: FieldItem
  readonly onClose: () => void
}

function FieldDialog({ kind, item, onClose }: FieldDialogProps): ReactNode {
  const [assignee, setAssignee] = useState(item.assignee ?? '')
  const [note, setNote] = useState('')
  const { device } = item
  const path = `/field-list/${encodeURIComponent(device)}/${kind}`
  const body = kind === 'assign' ? { assignee: assignee.trim() === '' ? null : assignee.trim() } : { note }
  const run = useAct(
    () => send('POST', path, { body }),
    () => {
      say(kind === 'assign' ? `${device} is assigned.` : `${device} is off the list.`)
      onClose()
    },
  )
  return (
    <ActDialog
      title={kind === 'assign' ? `Who goes to ${device}?` : `What was done at ${device}?`}
      act={kind === 'assign' ? 'Assign' : 'It is done'}
      isBusy={run.isPending}
      isReady={kind === 'assign' || note.trim() !== ''}
      error={run.error}
      call={{
        method: 'POST',
        path: apiPath(path),
        body,
        command:
          kind === 'assign'
            ? `field assign ${quoted(device)} ${quoted(assignee)}`
            : `field resolve ${quoted(device)} --note ${quoted(note)}`,
      }}
      onAct={() => run.mutate(undefined)}
      onClose={onClose}
    >
      {kind === 'assign' ? (
        <TextField
          label="Name, team or ticket"
          value={assignee}
          onValue={setAssignee}
          autoFocus
          help="Empty takes it back."
        />
      ) : (
        <>
          <p className="muted">
            If it has a newer certificate, the renewal ends. If not, it is asked again, from the foot of its
            ladder.
          </p>
          <TextField label="What was done" value={note} onValue={setNote} autoFocus />
        </>
      )}
    </ActDialog>
  )
}
