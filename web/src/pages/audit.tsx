/** The audit log: search, checkpoints, and the proof of an entry, checked in this browser. */
import { useMemo, useState, type FormEvent, type ReactNode } from 'react'
import { factResource } from '../../../src/filter/resources.ts'
import { apiPath, getText } from '../api/http.ts'
import { checkProof, type CheckedProof } from '../api/proof.ts'
import type { Installation } from '../api/overview-shape.ts'
import { useApi, usePages, type Page } from '../api/use-api.ts'
import { count, quoted } from '../base/text.ts'
import { useAddress } from '../parts/address.ts'
import { Answered } from '../parts/answered.tsx'
import { Copyable } from '../parts/call.tsx'
import { FilterBar } from '../parts/filter-bar.tsx'
import { TextField } from '../parts/fields.tsx'
import { toneOfAction, type Fact } from '../parts/facts.tsx'
import { filterWords, problemOfFilter } from '../parts/filter-words.ts'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Lead } from '../parts/lead.tsx'
import { Panel } from '../parts/panel.tsx'
import { Empty, Failed, Loading, Refused } from '../parts/quiet.tsx'
import { Rows, type Column } from '../parts/rows.tsx'
import { Glyph, State } from '../parts/state.tsx'
import { Views } from '../parts/views.tsx'

interface Checkpoint {
  readonly size: number
  readonly rootHash: string
  readonly note: string | null
  readonly at: string
}

const columns: readonly Column<Fact>[] = [
  { name: 'When', width: '1.2fr', cell: ({ at }) => <Instant at={at} show="exact" /> },
  {
    name: 'What',
    width: '1.4fr',
    cell: ({ action }) => (
      <span className="state">
        <Glyph tone={toneOfAction(action)} />
        <code>{action}</code>
      </span>
    ),
  },
  { name: 'Of what', width: '2fr', cell: ({ subject }) => <Foreign text={subject} /> },
  { name: 'By', width: '1.2fr', cell: ({ actor }) => <Foreign text={actor} /> },
  { name: 'Why', width: '2fr', cell: ({ reason }) => <Foreign text={reason} /> },
  {
    name: 'Entry',
    width: '70px',
    cell: ({ logIndex }) =>
      logIndex === null ? <span className="muted">to be sealed</span> : String(logIndex),
  },
]

const views: readonly (readonly [string, string])[] = [
  ['All', ''],
  ['Revocations', 'action=certificate.revoked'],
  ['Devices', 'action=device.*'],
  ['Campaigns', 'action=campaign.*'],
  ['Log-ins', 'action=operator.*'],
  ['Today', 'at<1d'],
]

export function Audit(): ReactNode {
  const [search, change] = useAddress()
  const filter = search['q'] ?? ''
  const problem = problemOfFilter(filter, factResource)
  const query = { filter }
  const { items, result, hasMore, more } = usePages<Fact>('/facts', query, { enabled: problem === null })
  const log = useApi<Page<Checkpoint>>('/checkpoints', { limit: 20 })
  const latest = log.data?.items[0]
  const words = useMemo(() => filterWords(factResource), [])
  return (
    <>
      <Lead title="Audit">
        {latest === undefined ? (
          'Who did what, when and why.'
        ) : (
          <>
            <strong>{count(latest.size)}</strong> facts are sealed; none of them can change unseen.
          </>
        )}
      </Lead>
      <div className="stack">
        <FilterBar
          label="Filter of facts"
          value={filter}
          words={words}
          problem={problem}
          onValue={(q) => change({ q })}
        />
        <Views name="facts" given={views} current={filter} onChoose={(q) => change({ q })} />
      </div>
      <Panel
        title="Facts"
        says="The newest first."
        how="Every change of state writes a fact in the same transaction; facts are then sealed into a Merkle log."
        isFlush
        isTable
        exported={{ path: '/exports/facts', query }}
        call={{
          path: apiPath('/facts', query),
          command: `api listFacts${filter === '' ? '' : ` ${quoted(`filter=${filter}`)}`}`,
        }}
      >
        {result.error && items.length === 0 ? (
          <Failed error={result.error} onRetry={() => void result.refetch()} />
        ) : result.isPending && problem === null ? (
          <Loading what="facts" />
        ) : items.length === 0 ? (
          <Empty title="No fact fits" />
        ) : (
          <Rows
            label="Facts"
            columns={columns}
            items={items}
            keyOf={({ id }) => String(id)}
            hasMore={hasMore}
            onMore={more}
          />
        )}
      </Panel>
      <div className="grid">
        <Proof />
        <Checkpoints result={log} />
      </div>
    </>
  )
}

function Proof(): ReactNode {
  const installation = useApi<Installation>('/installation', {}, { isLive: false })
  const key = installation.data?.auditKey
  const [entry, setEntry] = useState('')
  const [checked, setChecked] = useState<CheckedProof | null>(null)
  const [error, setError] = useState<unknown>(null)
  const submit = async (event: FormEvent): Promise<void> => {
    event.preventDefault()
    setChecked(null)
    setError(null)
    try {
      setChecked(await checkProof(await getText(`/facts/${Number(entry)}/proof`), key ?? ''))
    } catch (reason) {
      setError(reason)
    }
  }
  return (
    <Panel
      title="Prove an entry"
      className="half"
      says="This browser computes the hashes and checks the signature; it believes the server nothing."
      how="A C2SP tlog-proof: the leaf hash of the entry, hashed with its siblings up to the root (RFC 9162 §2.1.3), must give the root that the checkpoint has signed with the installation’s Ed25519 key. Compare the key with the one that you keep elsewhere."
      call={{
        path: apiPath(`/facts/${entry || 'ENTRY'}/proof`),
        command: `api getFactProof index=${entry || 'ENTRY'}`,
      }}
    >
      <form className="form" onSubmit={(event) => void submit(event)}>
        <TextField
          label="Number of the entry"
          inputMode="numeric"
          value={entry}
          onValue={setEntry}
          help="The column “Entry” of a fact."
        />
        <button type="submit" className="button primary" disabled={!/^\d+$/.test(entry) || key === undefined}>
          Prove it
        </button>
      </form>
      <Refused error={error} />
      {checked && (
        <div className="stack">
          <p>
            <State tone={checked.isProved ? 'well' : 'act'}>
              {checked.isProved
                ? `Proved: entry ${count(checked.index)} of ${count(checked.size)}`
                : 'NOT proved'}
            </State>
          </p>
          <p className="muted small">{checked.why}</p>
          <pre className="foreign">{checked.entry}</pre>
        </div>
      )}
    </Panel>
  )
}

function Checkpoints({
  result,
}: {
  readonly result: ReturnType<typeof useApi<Page<Checkpoint>>>
}): ReactNode {
  const items = result.data?.items ?? []
  return (
    <Panel
      title="Checkpoints"
      className="half"
      says="Keep the newest outside of this machine: nothing before it can be rewritten unseen."
      how="Size and root hash of the log, signed with the audit key of this installation."
      twin={{
        name: 'checkpoints',
        head: ['Entries', 'Root hash', 'Signed'],
        rows: items.map((each) => [each.size, each.rootHash, each.at]),
      }}
      call={{ path: apiPath('/checkpoints'), command: 'audit verify' }}
    >
      <Answered result={result} what="checkpoints">
        {() => {
          const latest = items[0]
          return latest === undefined ? (
            <Empty title="Nothing was signed yet" />
          ) : (
            <div className="stack">
              <p>
                {count(latest.size)} entries, signed <Instant at={latest.at} show="both" />
              </p>
              {latest.note !== null && <Copyable text={latest.note} label="the checkpoint" />}
            </div>
          )
        }}
      </Answered>
    </Panel>
  )
}
