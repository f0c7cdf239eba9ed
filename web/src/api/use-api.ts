/** Questions to the API as React sees them. */
import {
  keepPreviousData,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
  type UseInfiniteQueryResult,
  type UseMutationResult,
  type UseQueryResult,
} from '@tanstack/react-query'
import { useMemo } from 'react'
import { get, type Query } from './http.ts'

interface AskOptions {
  /** Not asked again when something happens: too dear, or it cannot change. */
  readonly isLive?: boolean
  readonly enabled?: boolean
}

export function useApi<Value>(
  path: string,
  query: Query = {},
  { isLive = true, enabled = true }: AskOptions = {},
): UseQueryResult<Value> {
  return useQuery<Value>({
    queryKey: [path, query],
    queryFn: ({ signal }) => get<Value>(path, query, signal),
    placeholderData: keepPreviousData,
    enabled,
    meta: { isLive },
  })
}

export interface Page<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

export interface Pages<Item> {
  readonly items: readonly Item[]
  readonly result: UseInfiniteQueryResult
  readonly hasMore: boolean
  readonly more: () => void
}

/** A list that grows as one scrolls. Pages that were read stay where they are. */
export function usePages<Item>(path: string, query: Query = {}, options: AskOptions = {}): Pages<Item> {
  const result = useInfiniteQuery({
    queryKey: [path, 'pages', query],
    queryFn: ({ pageParam, signal }) =>
      get<Page<Item>>(path, { limit: 100, ...query, after: pageParam }, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    maxPages: 20,
    enabled: options.enabled ?? true,
    meta: { isLive: options.isLive ?? true },
  })
  const items = useMemo(() => result.data?.pages.flatMap((page) => page.items) ?? [], [result.data])
  return {
    items,
    result: result as UseInfiniteQueryResult,
    hasMore: result.hasNextPage,
    more: () => {
      if (result.hasNextPage && !result.isFetchingNextPage) void result.fetchNextPage()
    },
  }
}

/** A write; whatever is shown is asked for again after it. */
export function useAct<Input, Output = unknown>(
  act: (input: Input) => Promise<Output>,
  onDone?: (output: Output) => void,
): UseMutationResult<Output, Error, Input> {
  const queries = useQueryClient()
  return useMutation<Output, Error, Input>({
    mutationFn: act,
    onSuccess: (output) => {
      void queries.invalidateQueries()
      onDone?.(output)
    },
  })
}
