/** Who is told by HTTP, what was sent, and what became of it. */
import type { ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import { useApi, type Page } from '../api/use-api.ts'
import { plural } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { State } from '../parts/state.tsx'

interface Delivery {
  readonly id: number
  readonly notifier: string
  readonly status: string
  readonly event: string
  readonly alert: number | null
  readonly attempts: number
  readonly createdAt: string
  readonly detail: string | null
}

export function Webhooks(): ReactNode {
  const result = useApi<Page<Delivery>>('/notifications', { limit: 100 })
  const items = result.data?.items ?? []
  const failed = items.filter(({ status }) => status === 'failed' || status === 'dead')
  return (
    <>
      <Lead
        title="Webhooks"
        after="Targets are named in perennial.yaml; every message is signed (Standard Webhooks)."
      >
        {failed.length === 0 ? (
          'What was sent has arrived.'
        ) : (
          <>
            <strong>{plural(failed.length, 'message')}</strong> did not arrive.
          </>
        )}
      </Lead>
      <Panel
        title="Messages"
        isFlush
        isTable
        how="Messages to notifiers, newest first. A message is sent again with growing pauses until it arrives or is given up."
        twin={{
          name: 'messages',
          head: ['Id', 'To', 'Status', 'About', 'Attempts', 'At', 'Detail'],
          rows: items.map((each) => [
            each.id,
            each.notifier,
            each.status,
            each.event,
            each.attempts,
            each.createdAt,
            each.detail,
          ]),
        }}
        call={{ path: apiPath('/notifications'), command: 'alert notifications' }}
      >
        <Answered result={result} what="messages">
          {() => <Messages items={items} />}
        </Answered>
      </Panel>
    </>
  )
}

function Messages({ items }: { readonly items: readonly Delivery[] }): ReactNode {
  return (
    <DataTable
      caption="Messages"
      head={['To', 'Status', 'About', 'Attempts', 'When']}
      keys={items.map(({ id }) => String(id))}
      rows={items.map((each) => [
        <Foreign key="t" text={each.notifier} />,
        <State
          key="s"
          tone={
            each.status === 'sent' || each.status === 'done'
              ? 'well'
              : each.status === 'failed' || each.status === 'dead'
                ? 'act'
                : 'wait'
          }
        >
          {each.status}
        </State>,
        <Foreign key="x" text={each.event} />,
        each.attempts,
        <Instant key="a" at={each.createdAt} />,
      ])}
      empty={<Empty title="Nothing was sent yet" />}
    />
  )
}
