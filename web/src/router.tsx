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
const pages = [page('/', () => import('./pages/overview.tsx'), 'Overview')] as const

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
