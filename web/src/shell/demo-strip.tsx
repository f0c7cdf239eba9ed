/** Says that these devices are simulated, and how one leaves the demo. */
import type { ReactNode } from 'react'
import type { Installation } from '../api/overview-shape.ts'
import { useApi } from '../api/use-api.ts'
import { Note } from '../parts/explain.tsx'
import { Copyable } from '../parts/call.tsx'

export function DemoStrip(): ReactNode {
  const installation = useApi<Installation>('/installation', {}, { isLive: false })
  if (installation.data?.isDemo !== true) return null
  return (
    <div className="strip" role="note">
      <span>
        <strong>This is the demo.</strong> Its devices are simulated; certificates, campaign and log are real.
      </span>
      <Note label="How to leave the demo" button={{ className: 'button small', content: 'Leave the demo' }}>
        <p>
          Stop the demo with Ctrl-C. An installation of your own begins with two commands, in a directory of
          its own:
        </p>
        <Copyable text="perennial init --data ./my-fleet" label="the first command" />
        <Copyable text="perennial serve --data ./my-fleet" label="the second command" />
        <p className="muted">The demo’s data directory can be deleted; nothing else was touched.</p>
      </Note>
    </div>
  )
}
