/**
 * `perennial/client`: the REST API as typed functions, one for each operation of the OpenAPI document. Nothing of Node, so
 * that the dashboard uses it as the command line does.
 */
import { createCaller, type ClientOptions } from './call.ts'
import { operationsOf, type Operations } from './generated/operations.ts'

export { ApiProblem, type CallOptions, type ClientOptions } from './call.ts'
export type { Operations } from './generated/operations.ts'
export type * from './generated/schemas.ts'

export type Client = Operations

export function createClient(options: ClientOptions): Client {
  return operationsOf(createCaller(options))
}

interface ListPage<Item> {
  readonly items: readonly Item[]
  readonly next: string | null
}

/**
 * Every item of a list, page by page as they are asked for. A page may be short, or empty, and not be the last.
 * @param read asks for the page behind `after`: `(after) => client.listDevices({ filter, ...after })`
 */
export async function* everyItem<Item>(
  read: (after: { readonly after?: string }) => Promise<ListPage<Item>>,
): AsyncGenerator<Item> {
  let next: string | null = null
  do {
    const page: ListPage<Item> = await read(next === null ? {} : { after: next })
    yield* page.items
    next = page.next
  } while (next !== null)
}
