/** What is wrong and who knows of it. */
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct, useApi, type Page } from '../api/use-api.ts'
import { count, plural, quoted } from '../base/text.ts'
import { useAddress } from '../parts/address.ts'
import { Answered } from '../parts/answered.tsx'
import { ActDialog } from '../parts/dialog.tsx'
import { SelectField, TextField } from '../parts/fields.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { State, type Tone } from '../parts/state.tsx'
import { say } from '../parts/toasts.tsx'

export interface Alert {
  readonly id: number
  readonly rule: string
  readonly severity: 'notice' | 'warning' | 'critical'
  readonly status: 'open' | 'resolved'
  readonly count: number
  readonly summary: string
  readonly openedAt: string
  readonly resolvedAt: string | null
  readonly acknowledgedAt: string | null
  readonly acknowledgedBy: string | null
  readonly note: string | null
  readonly silencedUntil: string | null
}

const tones: Readonly<Record<Alert['severity'], Tone>> = { notice: 'wait', warning: 'watch', critical: 'act' }

/** What helps, by rule. */
const advice: Readonly<Record<string, string>> = {
  'certificates-ending':
    'Plan a campaign for them, or look at each: the field list has those that nobody can ask.',
  'certificates-ended': 'They cannot connect any more: the field list says who has to go where.',
  'expiry-wave': 'More end in a week than can be renewed: begin a campaign earlier, or raise the capacity.',
  'devices-dark': 'Look whether a site or a network is down before you send anybody.',
  'issuer-ending': 'Prepare its successor: certificates of the longest profile would outlive it.',
  'crl-old': 'The issuer must sign a new CRL: look whether its key can be used.',
  'campaign-paused': 'Open the campaign: its brake says why. Resume or abort it.',
  'campaign-behind': 'Look at its waves: what waits, and for what.',
  'audit-unsealed': 'The log is not signed any more: look at the jobs of the platform.',
  'tasks-dead': 'Tasks were given up: the system page has them.',
}

type Act = 'acknowledge' | 'silence'

export function Alerts(): ReactNode {
  const [search, change] = useAddress()
  const which = search['state'] ?? 'open'
  const query = { state: which }
  const result = useApi<Page<Alert>>('/alerts', { ...query, limit: 200 })
  const items = result.data?.items ?? []
  const open = items.filter(({ status }) => status === 'open')
  const unanswered = open.filter((each) => each.acknowledgedAt === null && each.silencedUntil === null)
  const [act, setAct] = useState<{ kind: Act; alert: Alert } | null>(null)
  return (
    <>
      <Lead title="Alerts">
        {result.data === undefined ? (
          'One moment …'
        ) : open.length === 0 ? (
          'Nothing is wrong that we know of.'
        ) : unanswered.length === 0 ? (
          <>
            <strong>{plural(open.length, 'alert')}</strong> open, all of them answered.
          </>
        ) : (
          <>
            <strong>{plural(unanswered.length, 'alert')}</strong> {unanswered.length === 1 ? 'waits' : 'wait'}{' '}
            for an answer.
          </>
        )}
      </Lead>
      <Panel
        title={which === 'open' ? 'Open alerts' : 'All alerts'}
        says="One for each cause, however many devices it concerns. Each resolves by itself when its cause is gone."
        how="Rules are judged over the whole fleet every few minutes. Certificates are judged by the chance that their device calls in again in time, not by the date alone."
        isTable
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
          name: 'alerts',
          head: [
            'Id',
            'Rule',
            'Severity',
            'Status',
            'Concerns',
            'Summary',
            'Opened',
            'Answered by',
            'Silenced until',
            'Resolved',
          ],
          rows: items.map((each) => [
            each.id,
            each.rule,
            each.severity,
            each.status,
            each.count,
            each.summary,
            each.openedAt,
            each.acknowledgedBy,
            each.silencedUntil,
            each.resolvedAt,
          ]),
        }}
        call={{ path: apiPath('/alerts', query), command: `alert list${which === 'open' ? '' : ' --all'}` }}
      >
        <Answered result={result} what="alerts">
          {() =>
            items.length === 0 ? (
              <Empty title="No alert is open">
                <p>
                  Rules for expiry, CRLs, campaigns, silence, the audit log and the platform itself are
                  watched.
                </p>
              </Empty>
            ) : (
              <ul className="todo">
                {items.map((alert) => (
                  <AlertItem key={alert.id} alert={alert} onAct={(kind) => setAct({ kind, alert })} />
                ))}
              </ul>
            )
          }
        </Answered>
      </Panel>
      {act !== null && <AlertDialog {...act} onClose={() => setAct(null)} />}
    </>
  )
}

function AlertItem({
  alert,
  onAct,
}: {
  readonly alert: Alert
  readonly onAct: (kind: Act) => void
}): ReactNode {
  const may = useMay('alerts:write')
  const {
    rule,
    severity,
    status,
    count: concerned,
    summary,
    openedAt,
    resolvedAt,
    acknowledgedBy,
    note,
    silencedUntil,
  } = alert
  return (
    <li>
      <State tone={status === 'resolved' ? 'well' : tones[severity]}>
        <span className="visually-hidden">{status === 'resolved' ? 'resolved' : severity}</span>
      </State>
      <div>
        <strong>
          <Foreign text={summary} />
        </strong>
        <p className="muted small">
          {severity} · <code>{rule}</code> · {plural(concerned, 'thing')} · since <Instant at={openedAt} />
          {resolvedAt !== null && (
            <>
              {' '}
              · resolved <Instant at={resolvedAt} />
            </>
          )}
          {acknowledgedBy !== null && (
            <>
              {' '}
              · <Foreign text={acknowledgedBy} /> is at it
              {note !== null && (
                <>
                  : <Foreign text={note} />
                </>
              )}
            </>
          )}
          {silencedUntil !== null && (
            <>
              {' '}
              · silenced until <Instant at={silencedUntil} show="exact" />
            </>
          )}
        </p>
        {advice[rule] !== undefined && <p className="small">{advice[rule]}</p>}
      </div>
      {may && status === 'open' && (
        <span className="inline">
          {acknowledgedBy === null && (
            <button type="button" className="button small" onClick={() => onAct('acknowledge')}>
              I am at it
            </button>
          )}
          <button type="button" className="button small" onClick={() => onAct('silence')}>
            Silence
          </button>
        </span>
      )}
    </li>
  )
}

interface AlertDialogProps {
  readonly kind: Act
  readonly alert: Alert
  readonly onClose: () => void
}

function AlertDialog({ kind, alert, onClose }: AlertDialogProps): ReactNode {
  const [note, setNote] = useState('')
  const [span, setSpan] = useState('4h')
  const isAck = kind === 'acknowledge'
  const path = `/alerts/${alert.id}/${kind}`
  const body = isAck ? (note === '' ? {} : { note }) : { for: span, reason: note }
  const run = useAct(
    () => send('POST', path, { body }),
    () => {
      say(isAck ? 'You are at it.' : 'It is silent.')
      onClose()
    },
  )
  return (
    <ActDialog
      title={isAck ? 'Say that you are at it' : 'Silence this alert'}
      act={isAck ? 'I am at it' : 'Silence'}
      isBusy={run.isPending}
      isReady={isAck || note.trim() !== ''}
      error={run.error}
      call={{
        method: 'POST',
        path: apiPath(path),
        body,
        command: isAck
          ? `alert ack ${alert.id}${note === '' ? '' : ` --note ${quoted(note)}`}`
          : `alert silence ${alert.id} --for ${span} --reason ${quoted(note)}`,
      }}
      onAct={() => run.mutate(undefined)}
      onClose={onClose}
    >
      <p>
        <Foreign text={alert.summary} /> ({count(alert.count)})
      </p>
      {!isAck && (
        <SelectField
          label="For"
          value={span}
          options={[
            ['1h', 'an hour'],
            ['4h', 'four hours'],
            ['24h', 'a day'],
            ['7d', 'a week'],
          ]}
          onValue={setSpan}
        />
      )}
      <TextField
        label={isAck ? 'Note' : 'Why'}
        value={note}
        onValue={setNote}
        autoFocus
        help={isAck ? 'What you are about to do. It stops the escalation.' : 'Nobody is told until it ends.'}
      />
    </ActDialog>
  )
}
