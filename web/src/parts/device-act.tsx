/** What can be done to one device, each with a question before it. */
import { useState, type ReactNode } from 'react'
import { apiPath, send } from '../api/http.ts'
import { useAct } from '../api/use-api.ts'
import { quoted } from '../base/text.ts'
import { ActDialog } from './dialog.tsx'
import { SelectField, TextField } from './fields.tsx'
import { say } from './toasts.tsx'

export type DeviceActKind = 'case' | 'revoke'

export const revocationReasons = [
  ['keyCompromise', 'key compromise: somebody else may have the key'],
  ['cessationOfOperation', 'out of service: stolen, scrapped or decommissioned'],
  ['affiliationChanged', 'handed to somebody else'],
  ['superseded', 'replaced before its end'],
  ['privilegeWithdrawn', 'may no longer take part'],
  ['unspecified', 'no reason is given'],
] as const

interface Words {
  readonly title: string
  readonly act: string
  readonly done: string
  readonly text: string
}

const acts: Readonly<Record<DeviceActKind, Words>> = {
  case: {
    title: 'Take this device out of service',
    act: 'Open a case',
    done: 'A case is open; it may not enrol until somebody gives a verdict.',
    text: 'It may not enrol or renew until somebody has looked at it and closes the case. Nothing is revoked.',
  },
  revoke: {
    title: 'Revoke what this device holds',
    act: 'Revoke',
    done: 'It is revoked, and a case is open.',
    text: 'All its certificates become invalid for good and it is taken out of service. The CRL and OCSP follow within seconds.',
  },
}

interface DeviceActProps {
  readonly id: string
  readonly kind: DeviceActKind
  readonly onClose: () => void
}

export function DeviceAct({ id, kind, onClose }: DeviceActProps): ReactNode {
  const [note, setNote] = useState('')
  const [reason, setReason] = useState<string>(revocationReasons[0][0])
  const { title, act, done, text } = acts[kind]
  const path = kind === 'case' ? '/cases' : `/devices/${encodeURIComponent(id)}/revoke`
  const body = kind === 'case' ? { device: id, note } : { reason, note }
  const run = useAct(
    () => send('POST', path, { body }),
    () => {
      say(done)
      onClose()
    },
  )
  return (
    <ActDialog
      title={title}
      act={act}
      isDangerous
      isBusy={run.isPending}
      isReady={note.trim() !== ''}
      error={run.error}
      call={{ method: 'POST', path: apiPath(path), body, command: commandOf(kind, { id, reason, note }) }}
      onAct={() => run.mutate(undefined)}
      onClose={onClose}
    >
      <p>{text}</p>
      {kind === 'revoke' && (
        <SelectField
          label="Reason"
          value={reason}
          options={revocationReasons}
          onValue={setReason}
          help="It stands in the CRL."
        />
      )}
      <TextField
        label="Why"
        value={note}
        onValue={setNote}
        autoFocus
        help="In your words; it goes into the audit log."
      />
    </ActDialog>
  )
}

interface Written {
  readonly id: string
  readonly reason: string
  readonly note: string
}

function commandOf(kind: DeviceActKind, { id, reason, note }: Written): string {
  return kind === 'case'
    ? `case open ${quoted(id)} --note ${quoted(note)}`
    : `revoke device ${quoted(id)} --reason ${reason} --note ${quoted(note)} --yes`
}
