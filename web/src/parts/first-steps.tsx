/** An empty installation: the first three things to do, ready to copy. */
import type { ReactNode } from 'react'
import { Copyable } from './call.tsx'
import { Lead } from './lead.tsx'
import { Panel } from './panel.tsx'

export function FirstSteps(): ReactNode {
  return (
    <>
      <Lead title="Overview" after="Your CA is ready. These are the first three things to do.">
        Nothing is in the inventory yet.
      </Lead>
      <Panel title="First steps">
        <ol className="steps">
          <li>
            <div className="stack">
              <div>
                <strong>Register a device.</strong> Only what you register may enrol.
              </div>
              <Copyable
                text="perennial device add METER-1 --profile gateway --site graz"
                label="the command"
              />
            </div>
          </li>
          <li>
            <div className="stack">
              <div>
                <strong>Give it a one-time secret and enrol it.</strong> A device with a factory certificate
                needs none: trust its maker with <code>perennial trust add</code>.
              </div>
              <Copyable text="perennial device secret METER-1" label="the command" />
            </div>
          </li>
          <li>
            <div className="stack">
              <div>
                <strong>Bring in what you have already.</strong> Certificates of another CA are watched over
                until you replace them.
              </div>
              <Copyable text="perennial cert import fleet.pem" label="the command" />
            </div>
          </li>
        </ol>
      </Panel>
    </>
  )
}
