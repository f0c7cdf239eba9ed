/** Waves under each other: how large, how far, and what each waits for. */
import type { ReactNode } from 'react'
import type { Wave } from '../api/campaign-shapes.ts'
import { renewalStates } from '../api/shapes.ts'
import { count, plural } from '../base/text.ts'
import { Foreign } from '../parts/foreign.tsx'
import { Instant } from '../parts/instant.tsx'
import { Shares } from '../parts/shares.tsx'
import { StateWord } from '../parts/state.tsx'

export function Waves({ waves }: { readonly waves: readonly Wave[] }): ReactNode {
  return (
    <ol className="waves">
      {waves.map((wave) => (
        <li key={wave.wave}>
          <div className="wave-name">
            <strong>
              <Foreign text={wave.name} />
            </strong>
            <StateWord state={wave.status} />
            <span className="muted small">{plural(wave.size, 'device')}</span>
          </div>
          <div>
            {wave.size > 0 ? (
              <Shares
                label={`Targets of ${wave.name}`}
                shares={renewalStates.map((state) => ({ state, value: wave.counts[state] }))}
              />
            ) : (
              <span className="muted">empty</span>
            )}
            <p className="muted small">
              {count(Math.floor(wave.finishedPercent))} % finished, {count(Math.floor(wave.successPercent))} %
              of them successful
              {wave.status === 'soaking' && wave.soakUntil !== null && (
                <>
                  ; is watched until <Instant at={wave.soakUntil} show="both" />
                </>
              )}
            </p>
          </div>
        </li>
      ))}
    </ol>
  )
}
