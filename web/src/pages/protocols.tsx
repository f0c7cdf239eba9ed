/** What devices ask for right now: rates by operation and result, from the counters of this installation. */
import { useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState, type ReactNode } from 'react'
import { metricsQuery, type Metric } from '../api/plain.ts'
import { now } from '../base/clock.ts'
import { count } from '../base/text.ts'
import { Answered } from '../parts/answered.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { State } from '../parts/state.tsx'

interface Line {
  readonly key: string
  readonly protocol: string
  readonly operation: string
  readonly result: string
  readonly total: number
}

const fine = new Set(['issued', 'repeated', 'answered', 'pending'])

function linesOf(metrics: readonly Metric[]): Line[] {
  return metrics
    .filter(({ name }) => name === 'perennial_requests_total')
    .map(({ labels, value }) => ({
      key: `${labels['protocol']} ${labels['operation']} ${labels['result']}`,
      protocol: labels['protocol'] ?? '',
      operation: labels['operation'] ?? '',
      result: labels['result'] ?? '',
      total: value,
    }))
    .toSorted((a, b) => b.total - a.total)
}

/** Requests a minute, between the last two readings. */
function useRates(lines: readonly Line[] | null): ReadonlyMap<string, number> {
  const before = useRef<{ at: number; totals: Map<string, number> } | null>(null)
  const [rates, setRates] = useState<ReadonlyMap<string, number>>(new Map())
  useEffect(() => {
    if (lines === null) return
    const at = now()
    const last = before.current
    if (last && at - last.at > 1_000) {
      setRates(
        new Map(
          lines.map(({ key, total }) => [
            key,
            (60_000 * (total - (last.totals.get(key) ?? 0))) / (at - last.at),
          ]),
        ),
      )
    }
    before.current = { at, totals: new Map(lines.map(({ key, total }) => [key, total])) }
  }, [lines])
  return rates
}

export function Protocols(): ReactNode {
  const result = useQuery({ ...metricsQuery, structuralSharing: false })
  const [lines, setLines] = useState<readonly Line[] | null>(null)
  useEffect(() => {
    if (result.data) setLines(linesOf(result.data))
  }, [result.data])
  const rates = useRates(lines)
  const perMinute = [...rates.values()].reduce((sum, each) => sum + each, 0)
  const refused = (lines ?? []).filter((line) => !fine.has(line.result))
  return (
    <>
      <Lead
        title="Protocols"
        after="Read every five seconds from the counters of the processes on this machine, since they were started."
      >
        <strong>{count(Math.round(perMinute))}</strong> requests of devices a minute.
      </Lead>
      <Panel
        title="Answers"
        how="perennial_requests_total of /metrics, by protocol, operation and result. There is no label for a device: which one was refused stands in the log and in its facts."
        isFlush
        isTable
        twin={
          lines === null
            ? undefined
            : {
                name: 'requests',
                head: ['Protocol', 'Operation', 'Result', 'Total', 'A minute'],
                rows: lines.map((each) => [
                  each.protocol,
                  each.operation,
                  each.result,
                  each.total,
                  Math.round(rates.get(each.key) ?? 0),
                ]),
              }
        }
        call={{ path: '/metrics' }}
      >
        <Answered result={result} what="counters">
          {() => (
            <Lines
              lines={lines ?? []}
              rates={rates}
              empty="No device has asked for anything since the start"
            />
          )}
        </Answered>
      </Panel>
      <Panel
        title="Refusals"
        isFlush
        isTable
        says="Each code has its reason and its remedy in docs/refusals.md."
        call={{ path: '/metrics' }}
      >
        <Lines lines={refused} rates={rates} empty="Nothing was refused" />
      </Panel>
    </>
  )
}

function Lines({
  lines,
  rates,
  empty,
}: {
  readonly lines: readonly Line[]
  readonly rates: ReadonlyMap<string, number>
  readonly empty: string
}): ReactNode {
  return (
    <DataTable
      caption="Answers by result"
      head={['Protocol', 'Operation', 'Result', 'Total', 'A minute']}
      keys={lines.map(({ key }) => key)}
      rows={lines.map((each) => [
        each.protocol,
        each.operation,
        <State key="r" tone={fine.has(each.result) ? 'well' : 'act'}>
          {each.result}
        </State>,
        each.total,
        Math.round(rates.get(each.key) ?? 0),
      ])}
      empty={<Empty title={empty} />}
    />
  )
}
