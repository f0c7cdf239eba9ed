/** The dashboard: knows nothing but the REST API. */
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Away, Problem } from './api/http.ts'
import { theme } from './design/theme.ts'
import { router } from './router.tsx'
import { Gate } from './shell/gate.tsx'
import { refuseMarkup } from './trusted.ts'

refuseMarkup()
theme.apply()

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2_000,
      // an answer that is a no stays a no; a server that is away is asked again until it is back
      retry: (failures, error) =>
        error instanceof Problem
          ? error.status >= 500 && failures < 1
          : error instanceof Away && failures < 2,
      refetchInterval: ({ state }) => (state.error instanceof Away ? 5_000 : false),
      refetchOnWindowFocus: false,
    },
  },
})

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <Gate>
        <RouterProvider router={router} />
      </Gate>
    </QueryClientProvider>
  </StrictMode>,
)
