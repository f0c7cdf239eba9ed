/** One device: will it survive, what it has, what happened, and what can be done. */
import { Link, useParams } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { apiPath, Problem } from '../api/http.ts'
import { useMay } from '../api/session.tsx'
import type { Device } from '../api/shapes.ts'
import { useApi, type Page } from '../api/use-api.ts'
import { quoted } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { DeviceAct, type DeviceActKind } from '../parts/device-act.tsx'
import { FactTimeline, type Fact } from '../parts/facts.tsx'
import { Foreign, Tags } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Failed } from '../parts/quiet.tsx'
import { Ribbon, type RibbonCertificate } from '../parts/ribbon.tsx'
import { State, StateWord, type Tone } from '../parts/state.tsx'
import { Timeline } from '../parts/timeline.tsx'

interface Certificate extends RibbonCertificate {
  readonly id?: string | number
  readonly issuer: string
  readonly slot: string
}

type DeviceDetails = Device & { readonly certificates: readonly Certificate[] }

interface Why {
  readonly survives: 'yes' | 'at-risk' | 'no'
  readonly answer: string
  readonly blocks: readonly string[]
  readonly happened: readonly { readonly at: string; readonly text: string }[]
  readonly next: { readonly at: string | null; readonly text: string }
}

const survival: Readonly<Record<Why['survives'], readonly [Tone, string]>> = {
  yes: ['well', 'will survive'],
  'at-risk': ['watch', 'at risk'],
  no: ['act', 'will fall out'],
}

export function DevicePage(): ReactNode {
  const { id } = useParams({ strict: false }) as { id: string }
  const path = `/devices/${encodeURIComponent(id)}`
  const device = useApi<DeviceDetails>(path)
  const why = useApi<Why>(`${path}/why`)
  if (device.error instanceof Problem && device.error.status === 404) {
    return (
      <Lead title={id} after={<Failed error={device.error} />}>
        This device is not in the inventory.
      </Lead>
    )
  }
  return (
    <>
      <Head id={id} why={why.data} device={device.data} />
      <Answered result={device} what="the device">
        {(data) => (
          <>
            <Panel
              title="Certificates"
              says="Each bar is one, from its begin to its end; the dot is its first use."
              how="All certificates of this device that the inventory has, newest first. A pale bar is past its end; the light end of the newest is its renewal window."
              twin={certificateTwin(data)}
              call={{ path: apiPath(path), command: `device show ${quoted(id)}` }}
            >
              {data.certificates.length === 0 ? (
                <Empty title="It has no certificate yet">
                  <p>Give it a one-time secret: it enrols with it over EST.</p>
                  <code>perennial device secret {id}</code>
                </Empty>
              ) : (
                <Ribbon certificates={data.certificates} />
              )}
            </Panel>
            <div className="grid">
              <Record device={data} />
              <WhyPanel id={id} result={why} />
              <Renewals id={id} />
              <Happened id={id} />
            </div>
          </>
        )}
      </Answered>
    </>
  )
}

function certificateTwin({ id, certificates }: DeviceDetails) {
  return {
    name: `certificates-${id}`,
    head: ['Serial number', 'Issuer', 'Slot', 'Status', 'Begins', 'Ends'],
    rows: certificates.map((each) => [
      each.serialNumber,
      each.issuer,
      each.slot,
      each.status,
      each.notBefore,
      each.notAfter,
    ]),
  }
}

interface HeadProps {
  readonly id: string
  readonly why: Why | undefined
  readonly device: DeviceDetails | undefined
}

function Head({ id, why, device }: HeadProps): ReactNode {
  const [act, setAct] = useState<DeviceActKind | null>(null)
  const mayOpen = useMay('cases:write')
  const mayRevoke = useMay('certificates:revoke')
  const [tone, word] = why ? survival[why.survives] : (['idle', ''] as const)
  const isOut = device?.state === 'quarantined'
  return (
    <>
      <Lead
        title="Device"
        after={
          <span className="inline">
            <strong>
              <Foreign text={id} />
            </strong>
            {device && <StateWord state={device.state} />}
            {why && <State tone={tone}>{word}</State>}
            {device && (
              <span className="muted">
                last seen <Instant at={device.lastSeenAt} />
              </span>
            )}
          </span>
        }
        acts={
          device && (
            <>
              {isOut && (
                <Link to="/cases" search={{ state: 'open' } as never} className="button primary">
                  Look into its case
                </Link>
              )}
              {mayOpen && !isOut && (
                <button type="button" className="button" onClick={() => setAct('case')}>
                  Take out of service
                </button>
              )}
              {mayRevoke && (
                <button type="button" className="button danger" onClick={() => setAct('revoke')}>
                  Revoke
                </button>
              )}
            </>
          )
        }
      >
        {why?.answer ?? 'One moment …'}
      </Lead>
      {act !== null && <DeviceAct id={id} kind={act} onClose={() => setAct(null)} />}
    </>
  )
}

function Record({ device }: { readonly device: DeviceDetails }): ReactNode {
  return (
    <Panel title="Record" className="third">
      <dl className="facts">
        <dt>Profile</dt>
        <dd>
          <Foreign text={device.profile} />
        </dd>
        <dt>Connectivity</dt>
        <dd>
          <Foreign text={device.connectivity} />
        </dd>
        <dt>Site</dt>
        <dd>
          <Foreign text={device.site} />
        </dd>
        <dt>Cohort</dt>
        <dd>
          <Foreign text={device.cohort} />
        </dd>
        <dt>Batch</dt>
        <dd>
          <Foreign text={device.batch} />
        </dd>
        <dt>Hardware</dt>
        <dd>
          <Foreign text={device.hardware} />
        </dd>
        <dt>Firmware</dt>
        <dd>
          <Foreign text={device.firmware} />
        </dd>
        <dt>Tags</dt>
        <dd>
          <Tags tags={device.tags} />
        </dd>
        <dt>Known since</dt>
        <dd>
          <Instant at={device.createdAt} show="exact" />
        </dd>
        <dt>Last renewal</dt>
        <dd>
          <Instant at={device.lastRenewalAt} show="both" />
        </dd>
        <dt>Last contact</dt>
        <dd>
          <Instant at={device.lastSeenAt} show="both" />
        </dd>
      </dl>
    </Panel>
  )
}

function WhyPanel({
  id,
  result,
}: {
  readonly id: string
  readonly result: ReturnType<typeof useApi<Why>>
}): ReactNode {
  return (
    <Panel
      title="Why"
      className="two-thirds"
      says="What blocks it, what happened in the renewal at hand, and what comes next."
      how="Computed from the record, its certificates, its renewal with every attempt, and the campaign that asked for it."
      call={{ path: apiPath(`/devices/${encodeURIComponent(id)}/why`), command: `device why ${quoted(id)}` }}
    >
      <Answered result={result} what="the reasons">
        {({ blocks, happened, next }) => (
          <div className="stack">
            {blocks.map((block) => (
              <p key={block} className="problem">
                <Foreign text={block} />
              </p>
            ))}
            <Timeline
              happenings={[
                ...happened.map(({ at, text }, index) => ({
                  key: `${at} ${index}`,
                  at,
                  text: <Foreign text={text} />,
                })),
                {
                  key: 'next',
                  at: next.at,
                  tone: 'wait' as const,
                  text: (
                    <strong>
                      Next: <Foreign text={next.text} />
                    </strong>
                  ),
                },
              ]}
            />
          </div>
        )}
      </Answered>
    </Panel>
  )
}

interface Attempt {
  readonly id: number
  readonly channel: string
  readonly status: string
  readonly detail: string | null
  readonly at: string
}

interface Renewal {
  readonly id: number
  readonly status: string
  readonly campaign: string | null
  readonly createdAt: string
  readonly reason: string | null
  readonly attempts: readonly Attempt[]
}

function Renewals({ id }: { readonly id: string }): ReactNode {
  const path = `/devices/${encodeURIComponent(id)}/renewals`
  const result = useApi<{ items: readonly Renewal[] }>(path)
  const items = result.data?.items ?? []
  return (
    <Panel
      title="Renewals"
      className="half"
      says="Each with every time that the device was asked."
      twin={{
        name: `attempts-${id}`,
        head: ['Renewal', 'State', 'Asked', 'Channel', 'Outcome', 'Detail'],
        rows: items.flatMap((each) =>
          each.attempts.map((attempt) => [
            each.id,
            each.status,
            attempt.at,
            attempt.channel,
            attempt.status,
            attempt.detail,
          ]),
        ),
      }}
      call={{ path: apiPath(path), command: `renewal list --device ${quoted(id)}` }}
    >
      <Answered result={result} what="renewals">
        {() =>
          items.length === 0 ? (
            <Empty title="It has not been asked to renew yet" />
          ) : (
            <div className="stack">
              {items.map((each) => (
                <RenewalItem key={each.id} renewal={each} />
              ))}
            </div>
          )
        }
      </Answered>
    </Panel>
  )
}

function RenewalItem({ renewal }: { readonly renewal: Renewal }): ReactNode {
  return (
    <div>
      <div className="inline">
        <StateWord state={renewal.status} />
        {renewal.campaign === null ? (
          <span className="muted">because it is due</span>
        ) : (
          <Link to="/campaigns/$id" params={{ id: renewal.campaign }}>
            <Foreign text={renewal.campaign} />
          </Link>
        )}
        {renewal.reason !== null && (
          <span className="muted">
            <Foreign text={renewal.reason} />
          </span>
        )}
      </div>
      <Timeline
        happenings={renewal.attempts.map((attempt) => ({
          key: String(attempt.id),
          at: attempt.at,
          tone: /fail|dead|refus/.test(attempt.status) ? ('act' as const) : ('wait' as const),
          text: (
            <>
              {attempt.channel}: {attempt.status} <Foreign text={attempt.detail ?? ''} />
            </>
          ),
        }))}
      />
    </div>
  )
}

function Happened({ id }: { readonly id: string }): ReactNode {
  const may = useMay('audit:read')
  const path = `/devices/${encodeURIComponent(id)}/facts`
  const result = useApi<Page<Fact>>(path, { limit: 30 }, { enabled: may })
  if (!may) return null
  return (
    <Panel
      title="Audit log"
      className="half"
      says="The latest facts about this device."
      call={{ path: apiPath(path), command: `audit tail --device ${quoted(id)}` }}
    >
      <Answered result={result} what="facts">
        {({ items }) => <FactTimeline facts={items} />}
      </Answered>
    </Panel>
  )
}
