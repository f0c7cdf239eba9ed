/** Who signs: the tree of issuers, what hangs on each, where its key is, how fresh its CRLs are. */
import { useCallback, useMemo, type ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import type { ExpiryAnswer } from './expiry.tsx'
import { useApi, type Page } from '../api/use-api.ts'
import { now } from '../base/clock.ts'
import { plural } from '../base/text.ts'
import { dayMs } from '../base/time.ts'
import { categoryAxis, Chart, seriesColours, valueAxis, type Palette } from '../charts/chart.tsx'
import { Answered } from '../parts/answered.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty } from '../parts/quiet.tsx'
import { StateWord } from '../parts/state.tsx'

export interface Issuer {
  readonly id: string
  readonly kind: string
  readonly parent: string | null
  readonly authority: string
  readonly status: string
  readonly subject: string
  readonly keyAlgorithm: string
  readonly keyReference: string
  readonly notBefore: string
  readonly notAfter: string
  readonly issuesUntil: string | null
  readonly crlShards: number
  readonly leaves: number
  readonly lastLeafEnds: string | null
}

export interface Crl {
  readonly issuer: string
  readonly kind: string
  readonly shard: number
  readonly number: number
  readonly thisUpdate: string
  readonly nextUpdate: string
  readonly entries: number
}

export function Issuers(): ReactNode {
  const result = useApi<Page<Issuer>>('/issuers')
  const items = result.data?.items ?? []
  const first = items
    .filter(({ kind }) => kind !== 'external')
    .toSorted((a, b) => a.notAfter.localeCompare(b.notAfter))[0]
  return (
    <>
      <Lead title="Issuers">
        {first === undefined ? (
          'One moment …'
        ) : (
          <>
            <strong>{plural(items.length, 'issuer')}</strong>; the first to end is <Foreign text={first.id} />
            , <Instant at={first.notAfter} />.
          </>
        )}
      </Lead>
      <Panel
        title="Tree"
        says="Each under the one that has signed it."
        how="Issuers of this installation and those that imported certificates name."
        isFlush
        isTable
        twin={{
          name: 'issuers',
          head: ['Issuer', 'Kind', 'Signed by', 'Status', 'Subject', 'Key', 'Key held by', 'Begins', 'Ends'],
          rows: items.map((each) => [
            each.id,
            each.kind,
            each.parent,
            each.status,
            each.subject,
            each.keyAlgorithm,
            each.authority,
            each.notBefore,
            each.notAfter,
          ]),
        }}
        call={{ path: apiPath('/issuers'), command: 'ca list' }}
      >
        <Answered result={result} what="issuers">
          {() => <IssuerTree items={items} />}
        </Answered>
      </Panel>
      <Leaves />
      <Crls />
    </>
  )
}

function IssuerTree({ items }: { readonly items: readonly Issuer[] }): ReactNode {
  return (
    <DataTable
      caption="Issuers"
      head={['Issuer', 'Status', 'Subject', 'Key', 'Key held by', 'Live under it', 'Issues until', 'Ends']}
      keys={inTree(items).map(([{ id }]) => id)}
      rows={inTree(items).map(([each, depth]) => [
        <span key="i" className={`depth-${Math.min(4, depth)}`}>
          {depth > 0 && <span className="muted">└ </span>}
          <strong>
            <Foreign text={each.id} />
          </strong>{' '}
          <span className="muted small">{each.kind}</span>
        </span>,
        <StateWord key="s" state={each.status} />,
        <Foreign key="n" text={each.subject} />,
        each.keyAlgorithm,
        each.authority,
        each.leaves,
        <Instant key="u" at={each.issuesUntil} />,
        <Instant key="e" at={each.notAfter} show="both" />,
      ])}
    />
  )
}

/** Depth first; whose parent is not there stands at the top. */
function inTree(items: readonly Issuer[]): (readonly [Issuer, number])[] {
  const ids = new Set(items.map(({ id }) => id))
  const parentOf = ({ id, parent }: Issuer): string | null =>
    parent === null || parent === id || !ids.has(parent) ? null : parent
  const under = (parent: string | null, depth: number): (readonly [Issuer, number])[] =>
    items.flatMap((each) =>
      parentOf(each) === parent && depth < 8 ? [[each, depth] as const, ...under(each.id, depth + 1)] : [],
    )
  return under(null, 0)
}

function Leaves(): ReactNode {
  const from = useMemo(() => new Date(Math.floor(now() / dayMs) * dayMs).toISOString(), [])
  const query = { from, by: 'month', buckets: 36, split: 'issuer' }
  const result = useApi<ExpiryAnswer>('/expiry', query)
  const data = result.data
  const rows = useMemo(() => (data ? remaining(data) : null), [data])
  const option = useCallback(
    (palette: Palette) => {
      if (rows === null) return {}
      const colours = seriesColours(palette)
      return {
        xAxis: { ...categoryAxis(palette, rows.months), boundaryGap: false },
        yAxis: valueAxis(palette, 'live certificates'),
        series: rows.issuers.map(([name, left], at) => ({
          name,
          type: 'line',
          stack: 'all',
          step: 'end',
          symbol: 'none',
          areaStyle: { opacity: 0.28 },
          lineStyle: { width: 1.5 },
          itemStyle: { color: colours[at % colours.length] },
          data: left,
        })),
      }
    },
    [rows],
  )
  return (
    <Panel
      title="What hangs on each issuer"
      says="Live certificates of today, by issuer, as they end: how long each issuer must be kept."
      how="Today’s live certificates that have not ended by the beginning of each month, if none were renewed."
      twin={
        rows === null
          ? undefined
          : {
              name: 'leaves-by-issuer',
              head: ['Month', ...rows.issuers.map(([name]) => name)],
              rows: rows.months.map((month, at) => [month, ...rows.issuers.map(([, left]) => left[at])]),
            }
      }
      call={{ path: apiPath('/expiry', query), command: 'cert expiry --by month --stack issuer' }}
    >
      <Answered result={result} what="certificates by issuer">
        {() =>
          rows === null || rows.issuers.length === 0 ? (
            <Empty title="No certificate yet" />
          ) : (
            <Chart label="Live certificates by issuer over time" option={option} isLow />
          )
        }
      </Answered>
    </Panel>
  )
}

function remaining({ buckets }: ExpiryAnswer): { months: string[]; issuers: [string, number[]][] } {
  const names = [...new Set(buckets.flatMap((each) => Object.keys(each.parts)))].toSorted()
  const issuers = names.map((name): [string, number[]] => {
    let left = buckets.reduce((sum, each) => sum + (each.parts[name] ?? 0), 0)
    return [
      name,
      buckets.map((each) => {
        const at = left
        left -= each.parts[name] ?? 0
        return at
      }),
    ]
  })
  return { months: buckets.map((each) => each.from.slice(0, 7)), issuers }
}

function Crls(): ReactNode {
  const result = useApi<Page<Crl>>('/crls')
  const items = result.data?.items ?? []
  return (
    <Panel
      title="CRLs"
      says="The newest of each kind."
      how="Published within seconds of a revocation and at the configured period; served from the database by every node."
      isFlush
      isTable
      twin={{
        name: 'crls',
        head: ['Issuer', 'Kind', 'Shard', 'Number', 'Made', 'Next', 'Entries'],
        rows: items.map((each) => [
          each.issuer,
          each.kind,
          each.shard,
          each.number,
          each.thisUpdate,
          each.nextUpdate,
          each.entries,
        ]),
      }}
      call={{ path: apiPath('/crls'), command: 'crl list' }}
    >
      <Answered result={result} what="CRLs">
        {() => (
          <DataTable
            caption="CRLs"
            head={['Issuer', 'Kind', 'Shard', 'Number', 'Made', 'Next', 'Entries']}
            keys={items.map((each) => `${each.issuer} ${each.kind} ${each.shard} ${each.number}`)}
            rows={items.map((each) => [
              <Foreign key="i" text={each.issuer} />,
              each.kind,
              each.kind === 'shard' ? String(each.shard) : '–',
              String(each.number),
              <Instant key="t" at={each.thisUpdate} />,
              <Instant key="n" at={each.nextUpdate} />,
              each.entries,
            ])}
            empty={<Empty title="No CRL was published yet" />}
          />
        )}
      </Answered>
    </Panel>
  )
}
