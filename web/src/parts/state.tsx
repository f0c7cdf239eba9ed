/** A state is a shape, a word and a colour, in this order: it can be read without the colour. */
import type { ReactNode } from 'react'

export type Tone = 'well' | 'watch' | 'act' | 'wait' | 'idle'

const shapes: Readonly<Record<Tone, string>> = {
  well: 'M6 0a6 6 0 1 1 0 12A6 6 0 0 1 6 0Z',
  watch: 'M6 .5 12 11.5H0Z',
  act: 'M6 0 12 6 6 12 0 6Z',
  wait: 'M1 1h10v10H1Zm2 2v6h6V3Z',
  idle: 'M6 0a6 6 0 1 1 0 12A6 6 0 0 1 6 0Zm0 2a4 4 0 1 0 0 8 4 4 0 0 0 0-8Z',
}

export function Glyph({ tone }: { readonly tone: Tone }): ReactNode {
  return (
    <svg viewBox="0 0 12 12" aria-hidden="true" className={`tone-${tone}`}>
      <path d={shapes[tone]} fillRule="evenodd" />
    </svg>
  )
}

export function State({ tone, children }: { readonly tone: Tone; readonly children: ReactNode }): ReactNode {
  return (
    <span className="state" data-tone={tone}>
      <Glyph tone={tone} />
      {children}
    </span>
  )
}

interface Word {
  readonly tone: Tone
  readonly label: string
  /** What it means and what to do next. */
  readonly meaning: string
}

/** Words of all states that the API knows, with what they mean. */
const words: Readonly<Record<string, Word>> = {
  registered: {
    tone: 'wait',
    label: 'registered',
    meaning:
      'Known, and has no certificate yet. Give it an enrolment secret or let it use its factory identity.',
  },
  active: { tone: 'well', label: 'active', meaning: 'Has a certificate and may renew it.' },
  quarantined: {
    tone: 'act',
    label: 'quarantined',
    meaning: 'May not enrol until somebody has looked at it: close its case, then release it.',
  },
  decommissioned: {
    tone: 'idle',
    label: 'decommissioned',
    meaning: 'Out of service for good. Nothing is expected of it.',
  },
  reserved: { tone: 'wait', label: 'reserved', meaning: 'About to be signed.' },
  issued: {
    tone: 'wait',
    label: 'issued',
    meaning: 'Signed, and not seen in use yet. It is confirmed by the first contact with it.',
  },
  confirmed: { tone: 'well', label: 'confirmed', meaning: 'Seen in use.' },
  superseded: {
    tone: 'idle',
    label: 'superseded',
    meaning: 'Replaced by one that the device has been seen to use.',
  },
  revoked: { tone: 'act', label: 'revoked', meaning: 'Declared invalid before its end.' },
  abandoned: {
    tone: 'idle',
    label: 'abandoned',
    meaning: 'Given up: never handed out, or no longer pursued.',
  },
  planned: { tone: 'idle', label: 'planned', meaning: 'Not asked yet.' },
  triggered: { tone: 'wait', label: 'triggered', meaning: 'Asked to renew; its answer is awaited.' },
  retired: {
    tone: 'well',
    label: 'retired',
    meaning: 'Done: the new certificate is in use, the old one is out of it.',
  },
  escalated: {
    tone: 'act',
    label: 'escalated',
    meaning: 'On the field list: no way of asking is left. A person has to go there.',
  },
  draft: {
    tone: 'idle',
    label: 'draft',
    meaning: 'Targets are drawn, nothing is sent. Start it when the plan is right.',
  },
  running: { tone: 'well', label: 'running', meaning: 'Devices are let in, wave by wave.' },
  paused: {
    tone: 'watch',
    label: 'paused',
    meaning: 'Nobody is asked. Look at the reason, then resume or abort.',
  },
  completed: { tone: 'idle', label: 'completed', meaning: 'Every target has an end.' },
  aborted: { tone: 'idle', label: 'aborted', meaning: 'Ended by a person or by a stop criterion.' },
  waiting: { tone: 'idle', label: 'waiting', meaning: 'Not opened yet.' },
  approval: {
    tone: 'watch',
    label: 'needs approval',
    meaning: 'A person must approve this wave before it opens.',
  },
  open: { tone: 'wait', label: 'open', meaning: 'At work.' },
  soaking: {
    tone: 'wait',
    label: 'soaking',
    meaning: 'All were let in; it is watched before the next wave opens.',
  },
  done: { tone: 'well', label: 'done', meaning: 'Finished.' },
  closed: { tone: 'idle', label: 'closed', meaning: 'Finished by a person.' },
  firing: {
    tone: 'act',
    label: 'firing',
    meaning: 'The cause is there. Acknowledge it to say that you are at it.',
  },
  acknowledged: {
    tone: 'watch',
    label: 'acknowledged',
    meaning: 'Somebody is at it; it resolves by itself when the cause is gone.',
  },
  silenced: { tone: 'idle', label: 'silenced', meaning: 'Nobody is told until the silence ends.' },
  resolved: { tone: 'well', label: 'resolved', meaning: 'The cause is gone.' },
  pending: { tone: 'watch', label: 'waits', meaning: 'Waits for a decision.' },
  approved: { tone: 'well', label: 'approved', meaning: 'A second person said yes.' },
  rejected: { tone: 'act', label: 'rejected', meaning: 'A second person said no.' },
  withdrawn: { tone: 'idle', label: 'withdrawn', meaning: 'Taken back by the person who asked.' },
  failed: { tone: 'act', label: 'failed', meaning: 'Did not work; the reason stands beside it.' },
  expired: { tone: 'act', label: 'expired', meaning: 'Past its end. Not the same as revoked.' },
}

export function wordOf(state: string): Word {
  return words[state] ?? { tone: 'idle', label: state, meaning: state }
}

export function StateWord({ state }: { readonly state: string }): ReactNode {
  const { tone, label, meaning } = wordOf(state)
  return (
    <span title={meaning}>
      <State tone={tone}>{label}</State>
    </span>
  )
}
