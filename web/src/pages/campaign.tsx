/** One campaign: where it stands, what it waits for, what came of it, and the controls. */
import { Link, useParams } from '@tanstack/react-router'
import { useCallback, useMemo, type ReactNode } from 'react'
import { apiPath, Problem } from '../api/http.ts'
import {
  burndownOf,
  funnelOf,
  isFinished,
  type Campaign,
  type CampaignSeries,
  type CampaignReport,
} from '../api/campaign-shapes.ts'
import { renewalStates } from '../api/shapes.ts'
import { useApi } from '../api/use-api.ts'
import { useNow } from '../base/clock.ts'
import { count, percent, quoted } from '../base/text.ts'
import { instantText, useZone } from '../base/time.ts'
import { categoryAxis, Chart, valueAxis, type Palette } from '../charts/chart.tsx'
import { Funnel } from '../charts/funnel.tsx'
import { Waves } from '../charts/waves.tsx'
import { Answered } from '../parts/answered.tsx'
import { CampaignControls } from '../parts/campaign-controls.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Failed } from '../parts/quiet.tsx'
import { Shares } from '../parts/shares.tsx'
import { StateWord, wordOf } from '../parts/state.tsx'

export function CampaignPage(): ReactNode {
  const { id } = useParams({ strict: false }) as { id: string }
  const path = `/campaigns/${encodeURIComponent(id)}`
  const result = useApi<Campaign>(path)
  if (result.error instanceof Problem && result.error.status === 404) {
    return (
      <Lead title={id} after={<Failed error={result.error} />}>
        There is no such campaign.
      </Lead>
    )
  }
  return (
    <Answered result={result} what="the campaign">
      {(campaign) => (
        <>
          <CampaignLead campaign={campaign} />
          <Panel
            title="Targets"
            how="Each target is in exactly one state. They were drawn once, when the campaign was created."
            twin={{
              name: `targets-${id}`,
              head: ['State', 'Targets'],
              rows: renewalStates.map((state) => [state, campaign.counts[state]]),
            }}
            call={{ path: apiPath(path), command: `campaign status ${quoted(id)}` }}
          >
            <Shares
              label="Targets by state"
              shares={renewalStates.map((state) => ({
                state,
                value: campaign.counts[state],
                link: (
                  <Link to="/devices" search={{ q: `campaign=${id} renewal=${state}` } as never}>
                    {wordOf(state).label}
                  </Link>
                ),
              }))}
            />
          </Panel>
          <Panel
            title="Waves"
            says="Each line is a wave; its bar fills as its devices finish."
            how="A wave opens when the one before it has soaked and its success rule holds. Finished: answered, failed, escalated or left. Successful: a new certificate in use, of those that finished."
            twin={waveTwin(campaign)}
            call={{ path: apiPath(path), command: `campaign status ${quoted(id)}` }}
          >
            <Waves waves={campaign.waves} />
          </Panel>
          <Pictures campaign={campaign} path={path} />
        </>
      )}
    </Answered>
  )
}

function CampaignLead({ campaign }: { readonly campaign: Campaign }): ReactNode {
  const { name, status, targets, counts, waitsFor, ratePerMinute, description } = campaign
  const done = counts.confirmed + counts.retired
  return (
    <Lead
      title={`Campaign ${name}`}
      after={
        <div className="stack">
          <span className="inline">
            <StateWord state={status} />
            {!isFinished(campaign) && (
              <span className="muted">up to {count(ratePerMinute)} devices a minute are let in</span>
            )}
          </span>
          {description !== '' && <Foreign text={description} />}
          {waitsFor !== null && (
            <p className="advice">
              It waits for <Foreign text={waitsFor} />
            </p>
          )}
        </div>
      }
      acts={<CampaignControls campaign={campaign} />}
    >
      <strong>{count(done)}</strong> of {count(targets)} devices use their new certificate (
      {percent(done, targets)})
      {counts.escalated > 0 && (
        <>
          ; <strong>{count(counts.escalated)}</strong> need a person
        </>
      )}
      .
    </Lead>
  )
}

function waveTwin({ id, waves }: Campaign) {
  return {
    name: `waves-${id}`,
    head: ['Wave', 'Status', 'Size', ...renewalStates, 'Finished %', 'Successful %'],
    rows: waves.map((wave) => [
      wave.name,
      wave.status,
      wave.size,
      ...renewalStates.map((state) => wave.counts[state]),
      Math.floor(wave.finishedPercent),
      Math.floor(wave.successPercent),
    ]),
  }
}

function Pictures({ campaign, path }: { readonly campaign: Campaign; readonly path: string }): ReactNode {
  const report = useApi<CampaignReport>(`${path}/report`)
  const { id, counts, targets } = campaign
  const funnel = funnelOf(counts, targets)
  return (
    <div className="grid">
      <Burndown campaign={campaign} path={path} />
      <Panel
        title="Funnel"
        className="half"
        says="How far the targets have come."
        how="Each step counts the targets that have reached it, whatever they are now."
        twin={{ name: `funnel-${id}`, head: ['Step', 'Targets'], rows: funnel }}
      >
        <Funnel steps={funnel} />
      </Panel>
      <Panel
        title="What went wrong"
        className="half"
        says="Reasons by how often they occur."
        how="Reasons of targets that were escalated or abandoned."
        twin={
          report.data && {
            name: `reasons-${id}`,
            head: ['State', 'Reason', 'Targets'],
            rows: report.data.reasons.map((each) => [each.status, each.reason, each.count]),
          }
        }
        call={{ path: apiPath(`${path}/report`), command: `campaign report ${quoted(id)}` }}
      >
        <Answered result={report} what="reasons">
          {({ reasons }) =>
            reasons.length === 0 ? <Empty title="Nothing has gone wrong" /> : <Pareto reasons={reasons} />
          }
        </Answered>
      </Panel>
      <Survival report={report} id={id} path={path} />
    </div>
  )
}

function Burndown({ campaign, path }: { readonly campaign: Campaign; readonly path: string }): ReactNode {
  const progress = useApi<CampaignSeries>(`${path}/series`)
  const zone = useZone()
  const at = useNow()
  const series = progress.data
  const points = useMemo(() => series && burndownOf(campaign, series, at), [campaign, series, at])
  const { targets, id } = campaign
  const option = useCallback(
    (palette: Palette) => {
      const given = points ?? []
      return {
        xAxis: {
          ...categoryAxis(
            palette,
            given.map((point) => instantText(point.at, 'minute', zone)),
          ),
          boundaryGap: false,
        },
        yAxis: { ...valueAxis(palette, 'devices to go'), max: targets },
        legend: { show: false },
        series: [
          {
            name: 'to go',
            type: 'line',
            step: 'end',
            symbol: 'none',
            areaStyle: { opacity: 0.16 },
            lineStyle: { width: 2 },
            data: given.map(({ toGo }) => toGo),
          },
        ],
      }
    },
    [points, targets, zone],
  )
  return (
    <Panel
      title="Burndown"
      className="half"
      says="Targets that do not use a new certificate yet."
      how="From sums of the hours in which targets were seen to use their new certificate."
      twin={
        points && {
          name: `burndown-${id}`,
          head: ['At', 'To go'],
          rows: points.map((point) => [new Date(point.at).toISOString(), point.toGo]),
        }
      }
      call={{ path: apiPath(`${path}/series`) }}
    >
      <Answered result={progress} what="the burndown">
        {() =>
          campaign.startedAt === null ? (
            <Empty title="It has not begun" />
          ) : (
            <Chart
              label={`Devices to go, from ${targets} to ${points?.at(-1)?.toGo ?? targets}`}
              option={option}
              isLow
            />
          )
        }
      </Answered>
    </Panel>
  )
}

function Pareto({ reasons }: { readonly reasons: CampaignReport['reasons'] }): ReactNode {
  return (
    <Funnel steps={reasons.slice(0, 10).map(({ reason, count: each }) => [reason, each] as const)} isCount />
  )
}

interface SurvivalProps {
  readonly report: ReturnType<typeof useApi<CampaignReport>>
  readonly id: string
  readonly path: string
}

/** Share of the devices that were asked and have not answered within so many days. */
function Survival({ report, id, path }: SurvivalProps): ReactNode {
  const answers = report.data?.answers
  const rows = survivalOf(answers ?? [])
  const option = useCallback(
    (palette: Palette) => {
      const given = survivalOf(answers ?? [])
      return {
        xAxis: {
          ...categoryAxis(
            palette,
            given.map(([days]) => days),
          ),
          boundaryGap: false,
        },
        yAxis: { ...valueAxis(palette, 'not yet, %'), max: 100 },
        legend: { show: false },
        series: [
          {
            name: 'have not answered',
            type: 'line',
            step: 'end',
            symbol: 'none',
            areaStyle: { opacity: 0.16 },
            data: given.map(([, share]) => share),
          },
        ],
      }
    },
    [answers],
  )
  return (
    <Panel
      title="How long answers take"
      className="half"
      says="Share that had not answered after so many days."
      how="Of the targets that have answered: from the first question to the first use of the new certificate."
      twin={answers && { name: `answers-${id}`, head: ['After', 'Not yet, %'], rows }}
      call={{ path: apiPath(`${path}/report`), command: `campaign report ${quoted(id)}` }}
    >
      <Answered result={report} what="answers">
        {() =>
          rows.length < 2 ? (
            <Empty title="Nobody has answered yet" />
          ) : (
            <Chart label="Share that has not answered, by days" option={option} isLow />
          )
        }
      </Answered>
    </Panel>
  )
}

function survivalOf(answers: CampaignReport['answers']): [string, number][] {
  const whole = answers.reduce((sum, each) => sum + each.count, 0)
  if (whole === 0) return []
  let left = whole
  return [
    ['0 d', 100],
    ...answers.map(({ days, count: each }): [string, number] => {
      left -= each
      return [days === null ? 'longer' : `${days} d`, Math.round((1000 * left) / whole) / 10]
    }),
  ]
}
