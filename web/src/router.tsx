/** Addresses. Each page is loaded when it is first opened; every filter of a page stands in its address. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router'
import { NotThere } from './shell/not-there.tsx'
import { Shell } from './shell/shell.tsx'

export type Search = Readonly<Record<string, string>>

/** All that stands in an address is text. */
function textSearch(search: Record<string, unknown>): Search {
  return Object.fromEntries(
    Object.entries(search).flatMap(([name, value]) =>
      value === undefined || value === null || value === '' ? [] : [[name, String(value)]],
    ),
  )
}

const root = createRootRoute({ component: Shell, notFoundComponent: NotThere, validateSearch: textSearch })
const pages = [
  page('/', () => import('./pages/overview.tsx'), 'Overview'),
  page('/expiry', () => import('./pages/expiry.tsx'), 'Expiry'),
  page('/campaigns', () => import('./pages/campaigns.tsx'), 'Campaigns'),
  page('/campaigns/new', () => import('./pages/campaign-new.tsx'), 'CampaignNew'),
  page('/campaigns/$id', () => import('./pages/campaign.tsx'), 'CampaignPage'),
  page('/devices', () => import('./pages/devices.tsx'), 'Devices'),
  page('/devices/$id', () => import('./pages/device.tsx'), 'DevicePage'),
  page('/issuers', () => import('./pages/issuers.tsx'), 'Issuers'),
  page('/revocation', () => import('./pages/revocation.tsx'), 'Revocation'),
  page('/field-list', () => import('./pages/field-list.tsx'), 'FieldList'),
  page('/cases', () => import('./pages/cases.tsx'), 'Cases'),
  page('/alerts', () => import('./pages/alerts.tsx'), 'Alerts'),
  page('/audit', () => import('./pages/audit.tsx'), 'Audit'),
  page('/protocols', () => import('./pages/protocols.tsx'), 'Protocols'),
  page('/approvals', () => import('./pages/approvals.tsx'), 'Approvals'),
  page('/webhooks', () => import('./pages/webhooks.tsx'), 'Webhooks'),
  page('/operators', () => import('./pages/operators.tsx'), 'Operators'),
  page('/system', () => import('./pages/system.tsx'), 'System'),
] as const

function page<Path extends string, Name extends string>(
  path: Path,
  load: () => Promise<Record<Name, () => React.ReactNode>>,
  name: Name,
) {
  return createRoute({
    getParentRoute: () => root,
    path,
    validateSearch: textSearch,
    component: lazyRouteComponent(load as () => Promise<Record<string, () => React.ReactNode>>, name),
  })
}

export const router = createRouter({
  routeTree: root.addChildren([...pages]),
  // as a person writes it: ?q=state=active, no quotes of JSON
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const text = new URLSearchParams(textSearch(search) as Record<string, string>).toString()
    return text === '' ? '' : `?${text}`
  },
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
