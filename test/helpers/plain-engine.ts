import { dayMs, minuteMs, VirtualClock, type Clock } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { systemRandom } from '../../src/base/random.ts'
import { memoryCheckpoint } from '../../src/engine/audit/checkpoint.ts'
import { createEngine, type Engine } from '../../src/engine/context.ts'
import { defaultRenewalSettings } from '../../src/engine/renewals/renewal-settings.ts'
import type { Store } from '../../src/store/open.ts'
import { startOfTests, testSigner } from './audit-log.ts'

/** An engine without issuers and authorities, for what needs none. */
export function plainEngine(store: Store, { clock }: { readonly clock?: Clock } = {}): Engine {
  return createEngine({
    clock: clock ?? new VirtualClock(startOfTests),
    random: systemRandom,
    log: silentLog,
    store,
    authorities: new Map(),
    settings: {
      organization: 'Example',
      profiles: new Map(),
      connectivity: new Map(),
      statusUrl: 'http://ca.example',
      secretLifetimeMs: dayMs,
      pendingRetryAfterMs: minuteMs,
      abandonAfterMs: minuteMs,
      repeatWaitMs: 1_000,
      renewal: defaultRenewalSettings,
    },
    audit: { signer: testSigner(), checkpointFile: memoryCheckpoint() },
  })
}
