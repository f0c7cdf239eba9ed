/** The fleet as a list: a filter, saved views, and what is done to many at once. */
import { useMemo, useState, type ReactNode } from 'react'
import { deviceResource } from '../../../src/filter/resources.ts'
import { apiPath } from '../api/http.ts'
import type { Device } from '../api/shapes.ts'
import { useApi, usePages } from '../api/use-api.ts'
import { count, plural, quoted } from '../base/text.ts'
import { useAddress } from '../parts/address.ts'
import { BulkBar } from '../parts/bulk-bar.tsx'
import { FilterBar } from '../parts/filter-bar.tsx'
import { DeviceLink, Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Failed, Loading } from '../parts/quiet.tsx'
import { Rows, type Column } from '../parts/rows.tsx'
import { StateWord } from '../parts/state.tsx'
import { Views } from '../parts/views.tsx'
import { filterWords, problemOfFilter } from '../parts/filter-words.ts'

const columns: readonly Column<Device>[] = [
  { name: 'Device', width: '2fr', cell: ({ id }) => <DeviceLink id={id} /> },
  { name: 'State', width: '1fr', cell: ({ state }) => <StateWord state={state} /> },
  { name: 'Certificate ends', width: '1fr', cell: ({ expiresAt }) => <Instant at={expiresAt} /> },
  { name: 'Last seen', width: '1fr', cell: ({ lastSeenAt }) => <Instant at={lastSeenAt} /> },
  { name: 'Profile', width: '1fr', cell: ({ profile }) => <Foreign text={profile} /> },
  { name: 'Site', width: '1fr', cell: ({ site }) => <Foreign text={site} /> },
  { name: 'Cohort', width: '1fr', cell: ({ cohort }) => <Foreign text={cohort} /> },
  { name: 'Firmware', width: '1fr', cell: ({ firmware }) => <Foreign text={firmware} /> },
]

const views: readonly (readonly [name: string, filter: string])[] = [
  ['All', ''],
  ['Ends within 30 days', 'expires<30d expires>0'],
  ['Lapsed', 'expires<0'],
  ['On the field list', 'renewal=escalated'],
  ['Quarantined', 'state=quarantined'],
  ['Silent for a week', 'lastSeen>7d state=active'],
  ['No certificate yet', 'state=registered'],
]

export function Devices(): ReactNode {
  const [search, change] = useAddress()
  const filter = search['q'] ?? ''
  const sort = search['sort'] ?? ''
  const problem = problemOfFilter(filter, deviceResource)
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set())
  const query = { filter, ...(sort === '' ? {} : { sort }) }
  const { items, result, hasMore, more } = usePages<Device>('/devices', query, { enabled: problem === null })
  const overview = useApi<{ devices: Readonly<Record<string, number>> }>('/overview')
  const words = useMemo(() => filterWords(deviceResource), [])
  const whole = Object.values(overview.data?.devices ?? {}).reduce((sum, each) => sum + each, 0)

  return (
    <>
      <Lead title="Devices">
        {filter === '' ? (
          <>
            <strong>{count(whole)}</strong> devices are in the inventory.
          </>
        ) : (
          <>
            <strong>
              {count(items.length)}
              {hasMore ? '+' : ''}
            </strong>{' '}
            {items.length === 1 && !hasMore ? 'device fits' : 'devices fit'} this filter.
          </>
        )}
      </Lead>
      <div className="stack">
        <FilterBar
          label="Filter of devices"
          value={filter}
          words={words}
          problem={problem}
          onValue={(q) => {
            setSelected(new Set())
            change({ q })
          }}
        />
        <Views name="devices" given={views} current={filter} onChoose={(q) => change({ q })} />
      </div>
      <Panel
        title="Devices"
        says={hasMore ? 'More are read as you scroll.' : plural(items.length, 'row')}
        isFlush
        isTable
        exported={{ path: '/exports/devices', query: { filter } }}
        call={{
          path: apiPath('/devices', query),
          command: `device list${filter === '' ? '' : ` --filter ${quoted(filter)}`}`,
        }}
        tools={
          <select
            className="button quiet small"
            aria-label="Order"
            value={sort}
            onChange={(event) => change({ sort: event.target.value })}
          >
            <option value="">usual order</option>
            <option value="id">by id</option>
            <option value="expires">ends first</option>
            <option value="-expires">ends last</option>
          </select>
        }
      >
        {result.error && items.length === 0 ? (
          <Failed error={result.error} onRetry={() => void result.refetch()} />
        ) : result.isPending && problem === null ? (
          <Loading what="devices" />
        ) : items.length === 0 && !hasMore ? (
          <Empty title={filter === '' ? 'No device is in the inventory yet' : 'No device fits'}>
            <p>
              {filter === ''
                ? 'Register one on the command line, or import a list.'
                : 'Take a condition away, or look at all.'}
            </p>
            {filter === '' && <code>perennial device add METER-1 --profile gateway</code>}
          </Empty>
        ) : (
          <Rows
            label="Devices"
            columns={columns}
            items={items}
            keyOf={(device) => device.id}
            hasMore={hasMore}
            onMore={more}
            selection={{ keys: selected, onChange: setSelected }}
          />
        )}
      </Panel>
      {selected.size > 0 && <BulkBar ids={[...selected]} onDone={() => setSelected(new Set())} />}
    </>
  )
}
