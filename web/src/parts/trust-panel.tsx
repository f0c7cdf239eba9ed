/** Issuers and their CRLs at a glance. */
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { apiPath } from '../api/http.ts'
import type { Overview } from '../api/overview-shape.ts'
import { useApi, type Page } from '../api/use-api.ts'
import { useNow } from '../base/clock.ts'
import { count, plural } from '../base/text.ts'
import { dayMs, instantOf } from '../base/time.ts'
import type { Crl, Issuer } from '../pages/issuers.tsx'
import { Answered } from './answered.tsx'
import { Foreign } from './foreign.tsx'
import { Instant } from './instant.tsx'
import { Panel } from './panel.tsx'
import { State } from './state.tsx'

/** How long what signs will last, and how fresh what it says is. */
export function Horizons({ checkpoint }: { readonly checkpoint: Overview['checkpoint'] }): ReactNode {
  const now = useNow()
  const issuers = useApi<Page<Issuer>>('/issuers')
  const crls = useApi<Page<Crl>>('/crls')
  const own = (issuers.data?.items ?? []).filter(({ kind }) => kind !== 'external')
  const crlOf = (id: string): Crl | undefined =>
    crls.data?.items.find((each) => each.issuer === id && each.kind === 'complete')
  return (
    <Panel
      title="Trust"
      className="half"
      says={
        checkpoint && (
          <>
            {count(checkpoint.size)} facts sealed, signed <Instant at={checkpoint.at} />.
          </>
        )
      }
      how="When the certificate of each issuer ends, and how fresh its complete CRL is. A verifier that finds no fresh CRL may refuse every device."
      twin={{
        name: 'issuers',
        head: ['Issuer', 'Ends', 'CRL made', 'CRL until'],
        rows: own.map((each) => [
          each.id,
          each.notAfter,
          crlOf(each.id)?.thisUpdate,
          crlOf(each.id)?.nextUpdate,
        ]),
      }}
      call={{ path: apiPath('/issuers'), command: 'ca list' }}
    >
      <Answered result={issuers} what="issuers">
        {() => (
          <ul className="todo">
            {own.map((each) => (
              <IssuerItem key={each.id} issuer={each} crl={crlOf(each.id)} now={now} />
            ))}
          </ul>
        )}
      </Answered>
    </Panel>
  )
}

interface IssuerItemProps {
  readonly issuer: Issuer
  readonly crl: Crl | undefined
  readonly now: number
}

function IssuerItem({ issuer, crl, now }: IssuerItemProps): ReactNode {
  const { id, notAfter, status } = issuer
  const ends = instantOf(notAfter)
  const isNear = ends !== null && ends - now < 365 * dayMs
  return (
    <li>
      <State tone={status !== 'active' ? 'idle' : isNear ? 'watch' : 'well'}>
        <span className="visually-hidden">{status}</span>
      </State>
      <span>
        <Link to="/issuers">
          <Foreign text={id} />
        </Link>{' '}
        <span className="muted">
          ends <Instant at={notAfter} />
        </span>
      </span>
      <span className="muted small">
        {crl === undefined ? (
          'no CRL'
        ) : (
          <>
            CRL {plural(crl.entries, 'entry', 'entries')}, next <Instant at={crl.nextUpdate} />
          </>
        )}
      </span>
    </li>
  )
}
