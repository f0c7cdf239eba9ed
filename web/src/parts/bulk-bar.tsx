/** What can be done to the devices that are selected: a count first, then a rehearsal by the server, then the act. */
import { useNavigate } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct } from '../api/use-api.ts'
import { count, plural, quoted } from '../base/text.ts'
import { ActDialog } from './dialog.tsx'
import { TextField } from './fields.tsx'
import { say } from './toasts.tsx'

interface BulkProps {
  readonly ids: readonly string[]
  readonly onDone: () => void
}

type Act = 'case' | 'tag'

export function BulkBar({ ids, onDone }: BulkProps): ReactNode {
  const [act, setAct] = useState<Act | null>(null)
  const mayOpen = useMay('cases:write')
  const mayEdit = useMay('inventory:write')
  const mayPlan = useMay('campaigns:write')
  const navigate = useNavigate()
  if (!mayOpen && !mayEdit && !mayPlan) return null
  const close = (isDone: boolean): void => {
    setAct(null)
    if (isDone) onDone()
  }
  return (
    <div className="bulk no-print" role="region" aria-label="Selected devices">
      <strong>{plural(ids.length, 'device')} selected</strong>
      {mayPlan && ids.length > 0 && (
        <button
          type="button"
          className="button small"
          onClick={() => void navigate({ to: '/campaigns/new' })}
        >
          Plan a campaign
        </button>
      )}
      {mayEdit && (
        <button type="button" className="button small" onClick={() => setAct('tag')}>
          Set a tag
        </button>
      )}
      {mayOpen && (
        <button type="button" className="button small" onClick={() => setAct('case')}>
          Take out of service
        </button>
      )}
      <button type="button" className="button small" onClick={onDone}>
        Select none
      </button>
      {act !== null && <BulkDialog act={act} ids={ids} onClose={close} />}
    </div>
  )
}

const titles: Readonly<Record<Act, string>> = {
  case: 'Take out of service',
  tag: 'Set a tag',
}

interface Outcome {
  readonly done: number
  readonly refused: readonly string[]
}

function BulkDialog({
  act,
  ids,
  onClose,
}: {
  readonly act: Act
  readonly ids: readonly string[]
  readonly onClose: (isDone: boolean) => void
}): ReactNode {
  const [reason, setReason] = useState('')
  const [tag, setTag] = useState('')
  const [value, setValue] = useState('')
  const first = ids[0] as string
  const request = requestOf(act, { reason, tag, value })
  const run = useAct<boolean, Outcome>(
    (isRehearsal) => forEach(ids, async (id) => await request.send(id, isRehearsal)),
    undefined,
  )
  const isReady = act === 'tag' ? /^[\w-]{1,64}$/.test(tag) : reason.trim() !== ''
  const outcome = run.data
  const finish = (): void => {
    run.mutate(false, {
      onSuccess: ({ done, refused }) => {
        say(
          `${titles[act]}: ${plural(done, 'device')}${refused.length > 0 ? `, ${count(refused.length)} refused` : ''}.`,
        )
        if (refused.length === 0) onClose(true)
      },
    })
  }
  return (
    <ActDialog
      title={`${titles[act]}: ${plural(ids.length, 'device')}`}
      act={titles[act]}
      isDangerous={act === 'case'}
      isBusy={run.isPending}
      isReady={isReady}
      error={run.error}
      call={{ ...request.call(first), command: request.command(first) }}
      onAct={finish}
      onClose={() => onClose(false)}
    >
      {act === 'tag' && (
        <div className="field-row">
          <TextField label="Tag" value={tag} onValue={setTag} autoFocus />
          <TextField label="Value" value={value} onValue={setValue} />
        </div>
      )}
      {act === 'case' && (
        <TextField
          label="Why"
          value={reason}
          onValue={setReason}
          autoFocus
          help="It goes into the audit log."
        />
      )}
      {request.canRehearse && (
        <button
          type="button"
          className="button"
          disabled={!isReady || run.isPending}
          onClick={() => run.mutate(true)}
        >
          Rehearse: what would happen?
        </button>
      )}
      {outcome && (
        <div className="advice">
          <p>
            {plural(outcome.done, 'device')} can be done
            {outcome.refused.length === 0 ? '.' : `, ${count(outcome.refused.length)} would be refused:`}
          </p>
          <ul>
            {outcome.refused.slice(0, 8).map((text) => (
              <li key={text}>{text}</li>
            ))}
          </ul>
        </div>
      )}
    </ActDialog>
  )
}

/** One after the other: a server that says no to one goes on with the next. */
async function forEach(ids: readonly string[], act: (id: string) => Promise<unknown>): Promise<Outcome> {
  const refused: string[] = []
  for (const id of ids) {
    try {
      await act(id)
    } catch (error) {
      refused.push(`${id}: ${error instanceof Error ? error.message : 'failed'}`)
    }
  }
  return { done: ids.length - refused.length, refused }
}

interface BulkRequest {
  readonly canRehearse: boolean
  readonly send: (id: string, isRehearsal: boolean) => Promise<unknown>
  readonly call: (id: string) => { method: 'POST' | 'PATCH'; path: string; body?: unknown }
  readonly command: (id: string) => string
}

function requestOf(
  act: Act,
  { reason, tag, value }: Readonly<Record<'reason' | 'tag' | 'value', string>>,
): BulkRequest {
  const path = (id: string): string =>
    act === 'tag' ? `/devices/${encodeURIComponent(id)}/record` : '/cases'
  const method = act === 'tag' ? 'PATCH' : 'POST'
  const bodyOf = (id: string): unknown =>
    act === 'tag' ? { tags: { [tag]: value } } : { device: id, note: reason }
  return {
    canRehearse: act === 'tag',
    send: async (id, isRehearsal) =>
      await send(method, path(id), {
        body: bodyOf(id),
        query: isRehearsal ? { dryRun: true } : {},
        ...(act === 'tag' ? { ifMatch: '*' } : {}),
      }),
    call: (id) => ({ method, path: apiPath(path(id)), body: bodyOf(id) }),
    command: (id) =>
      act === 'tag'
        ? `device set ${quoted(id)} --tag ${quoted(`${tag}=${value}`)}`
        : `case open ${quoted(id)} --note ${quoted(reason)}`,
  }
}
