/** The first look: how the fleet is, what needs a person, what comes. */
import { Link } from '@tanstack/react-router'
import { useCallback, useMemo, type ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import { isFinished, type CampaignSummary } from '../api/campaign-shapes.ts'
import { total, within, type Installation, type Overview as OverviewAnswer } from '../api/overview-shape.ts'
import { useApi, type Page } from '../api/use-api.ts'
import { count, plural, shortCount } from '../base/text.ts'
import { categoryAxis, Chart, valueAxis, type Palette } from '../charts/chart.tsx'
import { Answered } from '../parts/answered.tsx'
import { Explain } from '../parts/explain.tsx'
import { FirstSteps } from '../parts/first-steps.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { Shares } from '../parts/shares.tsx'
import { Horizons } from '../parts/trust-panel.tsx'
import { State, type Tone } from '../parts/state.tsx'
import { CampaignCard } from './campaigns.tsx'
import type { ExpiryAnswer } from './expiry.tsx'

export function Overview(): ReactNode {
  const result = useApi<OverviewAnswer>('/overview')
  return (
    <Answered result={result} what="the overview">
      {(data) =>
        total(data.devices) === 0 && total(data.certificates) <= 2 ? <FirstSteps /> : <Living data={data} />
      }
    </Answered>
  )
}

interface Part {
  readonly data: OverviewAnswer
}

function Living({ data }: Part): ReactNode {
  return (
    <>
      <Situation data={data} />
      <Figures data={data} />
      <div className="grid">
        <NeedsPeople data={data} />
        <Cliff data={data} />
        <CampaignCards />
        <Panel
          title="Devices"
          className="half"
          says="By state."
          how="Counted in the transactions that change a device; a device is in exactly one state."
          twin={{ name: 'devices-by-state', head: ['State', 'Devices'], rows: Object.entries(data.devices) }}
          call={{ path: apiPath('/overview'), command: 'device list' }}
        >
          <Shares
            label="Devices by state"
            shares={['active', 'registered', 'quarantined', 'decommissioned'].map((state) => ({
              state,
              value: data.devices[state] ?? 0,
              link: (
                <Link to="/devices" search={{ q: `state=${state}` } as never}>
                  {state}
                </Link>
              ),
            }))}
          />
        </Panel>
        <Horizons checkpoint={data.checkpoint} />
      </div>
    </>
  )
}

function CampaignCards(): ReactNode {
  const result = useApi<Page<CampaignSummary>>('/campaigns', { limit: 100 })
  const items = result.data?.items ?? []
  const atWork = items.filter((each) => !isFinished(each))
  return (atWork.length > 0 ? atWork.slice(0, 4) : items.slice(0, 1)).map((each) => (
    <CampaignCard key={each.id} campaign={each} />
  ))
}

function Situation({ data }: Part): ReactNode {
  const installation = useApi<Installation>('/installation', {}, { isLive: false })
  const people = total(data.needs)
  const soon = within(data, 30)
  const week = within(data, 7)
  return (
    <Lead
      title={installation.data?.organization || 'Overview'}
      after={
        soon > 0 ? (
          <>
            <Link to="/expiry">{plural(soon, 'certificate')}</Link> {soon === 1 ? 'ends' : 'end'} within 30
            days
            {week > 0 && <>, {count(week)} of them within a week</>}.
          </>
        ) : (
          'No certificate ends within 30 days.'
        )
      }
    >
      {plural(total(data.devices), 'device')}.{' '}
      {people === 0 ? (
        'Nothing needs a person.'
      ) : (
        <>
          <strong>{plural(people, 'thing')}</strong> {people === 1 ? 'needs' : 'need'} a person.
        </>
      )}
    </Lead>
  )
}

function Figures({ data }: Part): ReactNode {
  const { expiry, certificates, renewals } = data
  const inUse = certificates['confirmed'] ?? 0
  const unused = certificates['issued'] ?? 0
  const asked = (renewals['triggered'] ?? 0) + (renewals['issued'] ?? 0)
  return (
    <dl className="figures">
      <Figure
        label="Certificates in use"
        value={inUse}
        how="Issued and seen in use at least once; not replaced, not revoked."
        link="/devices"
        q="state=active"
      />
      <Figure
        label="Not used yet"
        value={unused}
        how="Issued, and the device has not been seen with it. It is confirmed by the first contact."
      />
      <Figure
        label="Lapsed"
        value={expiry.expired}
        tone={expiry.expired > 0 ? 'act' : undefined}
        how="Live certificates past their notAfter that were not replaced. Expiry is computed, never stored; revoked ones do not count."
        link="/devices"
        q="expires<0"
      />
      <Figure
        label="End within 7 days"
        value={within(data, 7)}
        tone={within(data, 7) > 0 ? 'watch' : undefined}
        how="Live certificates whose notAfter lies in the next 7 days (UTC days)."
        link="/devices"
        q="expires<7d expires>0"
      />
      <Figure
        label="End within 30 days"
        value={within(data, 30)}
        how="Live certificates whose notAfter lies in the next 30 days (UTC days)."
        link="/devices"
        q="expires<30d expires>0"
      />
      <Figure
        label="Asked to renew"
        value={asked}
        how="Renewals of campaigns and of devices that are due, from the first question to the new certificate."
        link="/devices"
        q="renewal=triggered"
      />
    </dl>
  )
}

interface FigureProps {
  readonly label: string
  readonly value: number
  readonly how: string
  readonly tone?: 'act' | 'watch' | undefined
  readonly link?: string
  readonly q?: string
}

function Figure({ label, value, how, tone, link, q }: FigureProps): ReactNode {
  return (
    <div className="figure" data-tone={tone}>
      <dt>
        {label} <Explain what={label}>{how}</Explain>
      </dt>
      <dd>
        {link === undefined ? (
          shortCount(value)
        ) : (
          <Link to={link} search={{ q } as never}>
            {shortCount(value)}
          </Link>
        )}
      </dd>
    </div>
  )
}

/** What waits, where one goes for it, and what one does there. */
const places: readonly (readonly [
  key: string,
  tone: Tone,
  to: string,
  one: string,
  many: string,
  act: string,
])[] = [
  [
    'escalated',
    'act',
    '/field-list',
    'device is on the field list',
    'devices are on the field list',
    'Send somebody',
  ],
  ['alerts', 'watch', '/alerts', 'alert waits for an answer', 'alerts wait for an answer', 'Answer'],
  ['cases', 'watch', '/cases', 'case is open', 'cases are open', 'Look into it'],
  [
    'proposals',
    'wait',
    '/approvals',
    'act waits for a second person',
    'acts wait for a second person',
    'Decide',
  ],
  ['requests', 'wait', '/approvals', 'enrolment waits for a yes', 'enrolments wait for a yes', 'Decide'],
  ['deadTasks', 'act', '/system', 'task has been given up', 'tasks have been given up', 'See why'],
]

function NeedsPeople({ data }: Part): ReactNode {
  const rows = places.map(([key, tone, to, one, many, act]) => {
    const value = data.needs[key] ?? 0
    return [value, tone, to, value === 1 ? one : many, act] as const
  })
  const waiting = rows.filter(([value]) => value > 0)
  return (
    <Panel
      title="Needs a person"
      className="third"
      how="What no machine can go on with: devices that nobody can ask, alerts without an answer, open cases, acts for two people."
      twin={{
        name: 'needs',
        head: ['What', 'How many'],
        rows: rows.map(([value, , , text]) => [text, value]),
      }}
      call={{ path: apiPath('/overview'), command: 'field list' }}
    >
      {waiting.length === 0 ? (
        <Empty title="Nothing">
          <p>
            Devices are asked, retried and replaced by themselves. What they cannot do by themselves will
            stand here.
          </p>
        </Empty>
      ) : (
        <ul className="todo">
          {waiting.map(([value, tone, to, text, act]) => (
            <li key={text}>
              <State tone={tone}>
                <span className="visually-hidden">{tone}</span>
              </State>
              <span>
                <strong>{count(value)}</strong> {text}
              </span>
              <Link to={to} className="button small">
                {act}
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Panel>
  )
}

function Cliff({ data }: Part): ReactNode {
  const query = { by: 'week', buckets: 54 }
  const result = useApi<ExpiryAnswer>('/expiry', query)
  const weeks = useMemo(() => result.data?.buckets ?? [], [result.data])
  const { capacityPerDay } = data
  const highest = weeks.reduce((most, each) => (each.count > most.count ? each : most), {
    from: '',
    count: 0,
  })
  const option = useCallback(
    (palette: Palette) => {
      const capacity = capacityPerDay * 7
      return {
        legend: { show: false },
        grid: { left: 8, right: 12, top: 22, bottom: 4, containLabel: true },
        xAxis: categoryAxis(
          palette,
          weeks.map(({ from }) => from.slice(0, 10)),
        ),
        yAxis: valueAxis(palette, 'end in the week'),
        series: [
          {
            name: 'certificates',
            type: 'bar',
            barCategoryGap: '18%',
            itemStyle: { color: palette.accent },
            data: weeks.map((each) => each.count),
            ...(capacity < 3 * highest.count
              ? {
                  markLine: {
                    silent: true,
                    symbol: 'none',
                    lineStyle: { color: palette.act, type: 'dashed' },
                    label: { formatter: 'capacity', color: palette.act, position: 'insideEndTop' },
                    data: [{ yAxis: capacity }],
                  },
                }
              : {}),
          },
        ],
      }
    },
    [weeks, capacityPerDay, highest.count],
  )
  return (
    <Panel
      title="The next cliff"
      className="two-thirds"
      says={
        highest.count === 0 ? (
          'No certificate ends within the next year.'
        ) : (
          <>
            {plural(highest.count, 'certificate')} end in the week of {highest.from.slice(0, 10)}
            {capacityPerDay !== null &&
              (highest.count > capacityPerDay * 7
                ? ': more than can be renewed in a week.'
                : '; all can be renewed in time.')}
          </>
        )
      }
      how="Live certificates by the week of their notAfter. Capacity is what the rate of this installation renews in a week."
      twin={{
        name: 'expiry-by-week',
        head: ['Week of', 'Certificates'],
        rows: weeks.map((each) => [each.from.slice(0, 10), each.count]),
      }}
      call={{ path: apiPath('/expiry', query), command: 'cert expiry --by week' }}
      tools={
        <Link to="/expiry" className="button quiet small">
          Open
        </Link>
      }
    >
      <Chart label={`Certificates that end by week; at most ${highest.count}`} option={option} isLow />
    </Panel>
  )
}
