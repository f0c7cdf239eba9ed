/** The platform itself: is it ready, what waits, what was given up. */
import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import type { Overview } from '../api/overview-shape.ts'
import { healthQuery, metricsQuery, versionQuery } from '../api/plain.ts'
import { useApi } from '../api/use-api.ts'
import { count } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { Copyable } from '../parts/call.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { State } from '../parts/state.tsx'

export function System(): ReactNode {
  const health = useQuery(healthQuery)
  const version = useQuery(versionQuery)
  const metrics = useQuery(metricsQuery)
  const overview = useApi<Overview>('/overview')
  const broken = health.data?.filter(({ problem }) => problem !== null) ?? []
  return (
    <>
      <Lead title="System">
        {health.data === undefined ? (
          'One moment …'
        ) : broken.length === 0 ? (
          'Everything is ready.'
        ) : (
          <>
            <strong>{broken.map(({ name }) => name).join(', ')}</strong> {broken.length === 1 ? 'is' : 'are'}{' '}
            not ready.
          </>
        )}
      </Lead>
      <div className="grid">
        <Panel
          title="Checks"
          className="half"
          isFlush
          isTable
          how="The same as /readyz?verbose, which a load balancer asks."
          twin={
            health.data && {
              name: 'checks',
              head: ['Check', 'Problem'],
              rows: health.data.map((each) => [each.name, each.problem]),
            }
          }
          call={{ path: '/readyz?verbose', command: 'doctor' }}
        >
          <Answered result={health} what="checks">
            {(checks) => (
              <DataTable
                caption="Checks"
                head={['Check', 'State']}
                keys={checks.map(({ name }) => name)}
                rows={checks.map((each) => [
                  each.name,
                  <State key="s" tone={each.problem === null ? 'well' : 'act'}>
                    {each.problem === null ? 'ok' : <Foreign text={each.problem} />}
                  </State>,
                ])}
              />
            )}
          </Answered>
        </Panel>
        <Panel
          title="This process"
          className="half"
          how="From /version and /metrics of the process that serves this page."
          call={{ path: '/version' }}
        >
          <dl className="facts">
            <dt>Perennial</dt>
            <dd>{version.data?.version ?? '–'}</dd>
            <dt>Node.js</dt>
            <dd>{version.data?.node ?? '–'}</dd>
            <dt>OpenSSL</dt>
            <dd>{version.data?.openssl ?? '–'}</dd>
            <dt>Memory</dt>
            <dd>{memoryText(metrics.data)}</dd>
            <dt>Open connections</dt>
            <dd>{count(valueOf(metrics.data, 'perennial_open_connections'))}</dd>
            <dt>Event loop behind</dt>
            <dd>{(1000 * valueOf(metrics.data, 'nodejs_eventloop_lag_p99_seconds')).toFixed(1)} ms (p99)</dd>
            <dt>Tasks waiting</dt>
            <dd>{count(overview.data?.tasks.open ?? 0)}</dd>
            <dt>Tasks given up</dt>
            <dd>{count(overview.data?.tasks.dead ?? 0)}</dd>
          </dl>
        </Panel>
      </div>
      <Panel
        title="For programs"
        says="Health and metrics are open on this port; everything else needs a token."
      >
        <div className="stack">
          <Copyable text={`${location.origin}/metrics`} label="the address of the metrics" />
          <Copyable text={`${location.origin}/api/docs`} label="the address of the API documents" />
          <p>
            <a href="/api/docs">API documents</a> · <a href={apiPath('/openapi.json')}>OpenAPI 3.1</a>
          </p>
        </div>
      </Panel>
    </>
  )
}

type Metric = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

function valueOf(metrics: readonly Metric[] | undefined, name: string): number {
  return metrics?.filter((each) => each.name === name).reduce((sum, { value }) => sum + value, 0) ?? 0
}

function memoryText(metrics: readonly Metric[] | undefined): string {
  const bytes = valueOf(metrics, 'process_resident_memory_bytes')
  return bytes === 0 ? '–' : `${count(Math.round(bytes / 1_000_000))} MB`
}
