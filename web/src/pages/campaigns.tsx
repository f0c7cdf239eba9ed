/** All campaigns, those at work first. */
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import { isFinished, type Campaign, type CampaignSummary } from '../api/campaign-shapes.ts'
import { useMay } from '../api/session.tsx'
import { renewalStates } from '../api/shapes.ts'
import { useApi, type Page } from '../api/use-api.ts'
import { count, percent, plural, quoted } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { Shares } from '../parts/shares.tsx'
import { StateWord } from '../parts/state.tsx'

export function Campaigns(): ReactNode {
  const result = useApi<Page<CampaignSummary>>('/campaigns', { limit: 100 })
  const may = useMay('campaigns:write')
  const items = result.data?.items ?? []
  const atWork = items.filter((each) => !isFinished(each))
  return (
    <>
      <Lead
        title="Campaigns"
        acts={
          may && (
            <Link to="/campaigns/new" className="button primary">
              Plan a campaign
            </Link>
          )
        }
      >
        {result.data === undefined ? (
          'One moment …'
        ) : atWork.length === 0 ? (
          'No campaign is at work.'
        ) : (
          <>
            <strong>{plural(atWork.length, 'campaign')}</strong> at work,{' '}
            {plural(
              atWork.reduce((sum, each) => sum + each.targets, 0),
              'device',
            )}{' '}
            in them.
          </>
        )}
      </Lead>
      <Answered result={result} what="campaigns">
        {() =>
          items.length === 0 ? (
            <Empty title="There has been no campaign yet">
              <p>
                A campaign asks many devices to renew, in waves, at a rate, with brakes. Plan one: nothing is
                sent until you start it.
              </p>
            </Empty>
          ) : (
            <>
              <div className="grid">
                {atWork.map((each) => (
                  <CampaignCard key={each.id} campaign={each} />
                ))}
              </div>
              <AllCampaigns items={items} />
            </>
          )
        }
      </Answered>
    </>
  )
}

export function CampaignCard({ campaign }: { readonly campaign: CampaignSummary }): ReactNode {
  const { id, name, status, reason } = campaign
  const path = `/campaigns/${encodeURIComponent(id)}`
  const details = useApi<Campaign>(path)
  return (
    <Panel
      title={name}
      className="half"
      says={
        <>
          <StateWord state={status} />
          {reason !== null && (
            <>
              {': '}
              <Foreign text={reason} />
            </>
          )}
        </>
      }
      how="Each target is in exactly one state."
      call={{ path: apiPath(path), command: `campaign status ${quoted(id)}` }}
    >
      <Answered result={details} what="the campaign">
        {({ counts, targets }) => (
          <div className="stack">
            <Shares
              label={`Targets of ${id}`}
              shares={renewalStates.map((state) => ({ state, value: counts[state] }))}
            />
            <div className="spread">
              <span className="muted">
                {count(counts.confirmed + counts.retired)} of {count(targets)} use their new certificate (
                {percent(counts.confirmed + counts.retired, targets)})
              </span>
              <Link to="/campaigns/$id" params={{ id }} className="button small" aria-label={`Open ${id}`}>
                Open
              </Link>
            </div>
          </div>
        )}
      </Answered>
    </Panel>
  )
}

function AllCampaigns({ items }: { readonly items: readonly CampaignSummary[] }): ReactNode {
  const head = ['Campaign', 'Status', 'Targets', 'Let in', 'Started', 'Ended']
  return (
    <Panel
      title="All campaigns"
      isFlush
      isTable
      how="Targets were drawn when the campaign was created. Let in: those whose turn has come so far."
      twin={{
        name: 'campaigns',
        head,
        rows: items.map((each) => [
          each.id,
          each.status,
          each.targets,
          each.admitted,
          each.startedAt,
          each.endedAt,
        ]),
      }}
      call={{ path: apiPath('/campaigns'), command: 'campaign list' }}
    >
      <DataTable
        caption="All campaigns"
        head={head}
        keys={items.map(({ id }) => id)}
        rows={items.map((each) => [
          <Link key="l" to="/campaigns/$id" params={{ id: each.id }}>
            <Foreign text={each.id} />
          </Link>,
          <StateWord key="s" state={each.status} />,
          each.targets,
          each.admitted,
          <Instant key="b" at={each.startedAt} />,
          <Instant key="e" at={each.endedAt} />,
        ])}
      />
    </Panel>
  )
}
