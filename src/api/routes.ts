/** Every route of the REST API, as a literal list: what is not here is not reachable. */
import type { Route } from './route.ts'
import { deviceHistoryRoutes } from './resources/device-history.ts'
import { deviceRoutes } from './resources/devices.ts'

export const routes: readonly Route[] = [...deviceRoutes, ...deviceHistoryRoutes]
