/** Every route of the REST API, as a literal list: what is not here is not reachable. */
import type { Route } from './route.ts'
import { campaignOrderRoutes } from './resources/campaign-orders.ts'
import { campaignRoutes } from './resources/campaigns.ts'
import { certificateRoutes } from './resources/certificates.ts'
import { deviceHistoryRoutes } from './resources/device-history.ts'
import { deviceRoutes } from './resources/devices.ts'
import { overviewRoutes } from './resources/overview.ts'
import { renewalRoutes } from './resources/renewals.ts'

export const routes: readonly Route[] = [
  ...overviewRoutes,
  ...deviceRoutes,
  ...deviceHistoryRoutes,
  ...certificateRoutes,
  ...renewalRoutes,
  ...campaignRoutes,
  ...campaignOrderRoutes,
]
