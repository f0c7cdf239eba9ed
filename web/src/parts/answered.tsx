/** What a question to the API has come to: nothing yet, a no, or the answer. An old answer stays while a new one is on its way. */
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Failed, Loading } from './quiet.tsx'

interface AnsweredProps<Value> {
  readonly result: Pick<UseQueryResult<Value>, 'data' | 'error' | 'refetch'>
  readonly what: string
  readonly children: (value: Value) => ReactNode
}

export function Answered<Value>({ result, what, children }: AnsweredProps<Value>): ReactNode {
  if (result.data !== undefined) return children(result.data)
  if (result.error) return <Failed error={result.error} onRetry={() => void result.refetch()} />
  return <Loading what={what} />
}
