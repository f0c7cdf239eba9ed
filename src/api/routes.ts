/** Every route of the REST API, as a literal list: what is not here is not reachable. */
import type { Route } from './route.ts'
import { alertRoutes } from './resources/alerts.ts'
import { forecastRoutes } from './resources/forecast.ts'
import { auditRoutes } from './resources/audit.ts'
import { caseRoutes } from './resources/cases.ts'
import { exportRoutes } from './resources/exports.ts'
import { installationRoutes } from './resources/installation.ts'
import { issuerRoutes } from './resources/issuers.ts'
import { proposalRoutes } from './resources/proposals.ts'
import { revocationRoutes } from './resources/revocations.ts'
import { taskRoutes } from './resources/tasks.ts'
import { trustRoutes } from './resources/trust.ts'
import { campaignOrderRoutes } from './resources/campaign-orders.ts'
import { campaignRoutes } from './resources/campaigns.ts'
import { certificateRoutes } from './resources/certificates.ts'
import { deviceHistoryRoutes } from './resources/device-history.ts'
import { eventRoutes } from './resources/events.ts'
import { jobRoutes } from './resources/jobs.ts'
import { deviceRoutes } from './resources/devices.ts'
import { overviewRoutes } from './resources/overview.ts'
import { renewalRoutes } from './resources/renewals.ts'
import { operatorRoutes } from './resources/operators.ts'
import { sessionRoutes } from './resources/session.ts'
import { tokenRoutes } from './resources/tokens.ts'

export const routes: readonly Route[] = [
  ...installationRoutes,
  ...overviewRoutes,
  ...deviceRoutes,
  ...deviceHistoryRoutes,
  ...certificateRoutes,
  ...renewalRoutes,
  ...campaignRoutes,
  ...campaignOrderRoutes,
  ...issuerRoutes,
  ...trustRoutes,
  ...revocationRoutes,
  ...caseRoutes,
  ...proposalRoutes,
  ...alertRoutes,
  ...forecastRoutes,
  ...auditRoutes,
  ...exportRoutes,
  ...taskRoutes,
  ...sessionRoutes,
  ...operatorRoutes,
  ...tokenRoutes,
  ...jobRoutes,
  ...eventRoutes,
]
