/** Start, pause, resume, approve a wave, abort: what the state of the campaign and the role of the person allow. */
import { useState, type ReactNode } from 'react'
import type { Campaign } from '../api/campaign-shapes.ts'
import { apiPath, send } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import { useAct } from '../api/use-api.ts'
import { plural, quoted } from '../base/text.ts'
import { ActDialog } from './dialog.tsx'
import { TextField } from './fields.tsx'
import { say } from './toasts.tsx'

type Control = 'start' | 'pause' | 'resume' | 'approve' | 'abort'

const words: Readonly<
  Record<Control, { act: string; text: string; isDangerous?: boolean; needsReason?: boolean }>
> = {
  start: {
    act: 'Start',
    text: 'The first wave opens with the next pass. Devices are let in at the rate of the plan, within its windows.',
  },
  pause: {
    act: 'Pause',
    text: 'No further device is asked. Those that were asked may still answer.',
    needsReason: true,
  },
  resume: { act: 'Resume', text: 'Devices are let in again. Brakes count from now on.', needsReason: true },
  approve: { act: 'Approve the wave', text: 'The wave that waits opens with the next pass.' },
  abort: {
    act: 'Abort',
    text: 'The campaign ends. Devices that were not asked are let go; standing triggers are taken back.',
    isDangerous: true,
    needsReason: true,
  },
}

function controlsOf({ status, waves }: Campaign): Control[] {
  const waits = waves.some((wave) => wave.status === 'approval' && wave.approvedAt === null)
  switch (status) {
    case 'draft':
      return ['start', 'abort']
    case 'running':
      return [...(waits ? (['approve'] as const) : []), 'pause', 'abort']
    case 'paused':
      return ['resume', 'abort']
    default:
      return []
  }
}

export function CampaignControls({ campaign }: { readonly campaign: Campaign }): ReactNode {
  const may = useMay('campaigns:write')
  const [control, setControl] = useState<Control | null>(null)
  if (!may) return null
  return (
    <>
      {controlsOf(campaign).map((each, at) => (
        <button
          key={each}
          type="button"
          className={`button ${words[each].isDangerous === true ? 'danger' : at === 0 ? 'primary' : ''}`}
          onClick={() => setControl(each)}
        >
          {words[each].act}
        </button>
      ))}
      {control !== null && (
        <ControlDialog campaign={campaign} control={control} onClose={() => setControl(null)} />
      )}
    </>
  )
}

interface ControlProps {
  readonly campaign: Campaign
  readonly control: Control
  readonly onClose: () => void
}

function ControlDialog({ campaign, control, onClose }: ControlProps): ReactNode {
  const [reason, setReason] = useState('')
  const { act, text, isDangerous, needsReason } = words[control]
  const { id, targets, waves } = campaign
  const waiting = waves.find((wave) => wave.status === 'approval')
  const path = `/campaigns/${encodeURIComponent(id)}/${control}`
  const body = control === 'approve' ? { wave: waiting?.wave ?? 0 } : needsReason ? { reason } : {}
  const run = useAct(
    () => send('POST', path, { body }),
    () => {
      say(`${act}: ${id}.`)
      onClose()
    },
  )
  return (
    <ActDialog
      title={control === 'start' ? `Start ${id} with ${plural(targets, 'device')}` : `${act}: ${id}`}
      act={act}
      isDangerous={isDangerous === true}
      isBusy={run.isPending}
      isReady={!needsReason || reason.trim() !== ''}
      error={run.error}
      call={{
        method: 'POST',
        path: apiPath(path),
        body,
        command: `campaign ${control} ${quoted(id)}${needsReason ? ` --reason ${quoted(reason)}` : ''}`,
      }}
      onAct={() => run.mutate(undefined)}
      onClose={onClose}
    >
      <p>{text}</p>
      {needsReason === true && (
        <TextField
          label="Why"
          value={reason}
          onValue={setReason}
          autoFocus
          help="It goes into the audit log."
        />
      )}
    </ActDialog>
  )
}
