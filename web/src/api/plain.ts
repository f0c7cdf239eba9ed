/** What the admin port says outside of the REST API: health, version and metrics, as text. */
import { Away } from './http.ts'

async function textOf(path: string, signal: AbortSignal): Promise<string> {
  const answer = await fetch(path, { signal, cache: 'no-store' }).catch((error: unknown) => {
    if (signal.aborted) throw error
    throw new Away()
  })
  return await answer.text()
}

export interface Check {
  readonly name: string
  readonly problem: string | null
}

export const healthQuery = {
  queryKey: ['readyz'],
  refetchInterval: 15_000,
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Check[]> => {
    const lines = (await textOf('/readyz?verbose', signal)).split('\n')
    return lines.flatMap((line) => {
      const match = /^\[[+-]\] (\S+) (?:ok|failed: (.*))$/.exec(line)
      return match ? [{ name: match[1] as string, problem: match[2] ?? null }] : []
    })
  },
}

export const versionQuery = {
  queryKey: ['version'],
  queryFn: async ({ signal }: { signal: AbortSignal }) =>
    JSON.parse(await textOf('/version', signal)) as { version: string; node: string; openssl: string },
}

export interface Metric {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export const metricsQuery = {
  queryKey: ['metrics'],
  refetchInterval: 5_000,
  queryFn: async ({ signal }: { signal: AbortSignal }): Promise<Metric[]> =>
    (await textOf('/metrics', signal)).split('\n').flatMap((line) => {
      const match = /^([a-z_]\w*)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (!match) return []
      const labels = [...(match[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [
        name,
        value,
      ])
      return [
        {
          name: match[1] as string,
          labels: Object.fromEntries(labels) as Record<string, string>,
          value: Number(match[3]),
        },
      ]
    }),
}
