/** `perennial api`: every operation of the REST API of a server, by the names of its OpenAPI document. */
import { Argument, type Command } from 'commander'
import { routes } from '../api/routes.ts'
import type { Route } from '../api/route.ts'
import { nearest } from '../base/did-you-mean.ts'
import { Refusal } from '../base/errors.ts'
import { everyItem, type CallOptions, type Client } from '../client/client.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { addListOptions, rowLimit, type ListOptions } from './options.ts'
import type { Json } from './output.ts'
import { asking, clientOf, findContext } from './remote-contexts.ts'
import { formatFields, type Column } from './table.ts'

interface ApiOptions extends ListOptions {
  readonly context?: string
  readonly body?: string
  readonly ifMatch?: string
}

type Item = { readonly [key: string]: Json }
type Operation = (input: object, options?: CallOptions) => Promise<unknown>

/** Logging in with a password is for pages; a program has a token. */
const operations: ReadonlyMap<string, Route> = new Map(
  routes.filter(({ permission }) => permission !== 'anyone').map((each) => [each.operationId, each]),
)

export function registerApi(program: Command, cli: CliContext): void {
  const api = program.command('api')
  addExamples(
    addListOptions(
      api
        .summary('ask the REST API of a server: any of its operations, from any machine')
        .description(
          [
            'Ask the server that you logged in to (`perennial login`). Without an operation: which there are. Parameters of',
            'path and query are given as name=value; lists are read to their end, or to --limit.',
          ].join('\n'),
        )
        .addArgument(new Argument('[operation]', 'its name in the OpenAPI document, such as listDevices'))
        .argument('[parameters...]', 'name=value')
        .option('--context <name>', 'which server (default: the one in use)')
        .option('--body <file>', 'JSON, or what the operation takes; - is standard input')
        .option('--if-match <etag>', 'for an edit: the ETag of what was read'),
    ).action(async (name: string | undefined, parameters: readonly string[], options: ApiOptions) =>
      name === undefined ? await listOperations(cli) : await call(cli, name, { parameters, options }),
    ),
    [
      { say: 'Which operations there are', run: 'perennial api' },
      {
        say: 'What expires within 30 days at one site',
        run: "perennial api listCertificates filter='expires<30d site=kl'",
        notRun: 'needs a server that was logged in to',
      },
      {
        say: 'Pause a campaign',
        run: `echo '{"reason":"a bad batch"}' | perennial api pauseCampaign id=spring --body -`,
        notRun: 'needs a server that was logged in to',
      },
    ],
  )
}

async function listOperations(cli: CliContext): Promise<void> {
  await cli.output.list<Route>({
    columns: [
      { title: 'OPERATION', value: (row) => row.operationId },
      { title: 'REQUEST', value: (row) => `${row.method} ${row.path}`, shrink: true },
      { title: 'PARAMETERS', value: (row) => parameterNames(row).join(' '), shrink: true },
      { title: 'WHAT', value: (row) => row.summary, shrink: true },
    ],
    rows: operations.values(),
    json: (row) => ({
      operation: row.operationId,
      method: row.method,
      path: row.path,
      parameters: parameterNames(row),
      hasBody: takesBody(row),
      permission: row.permission,
      summary: row.summary,
    }),
    empty: '',
  })
}

function parameterNames({ params, query, dryRun }: Route): string[] {
  const names = [...Object.keys(params.properties), ...Object.keys(query.properties)]
  return [...new Set([...names, ...(dryRun === true ? ['dryRun'] : [])])]
}

function takesBody({ body, streams }: Route): boolean {
  return body !== null || streams !== undefined
}

interface Given {
  readonly parameters: readonly string[]
  readonly options: ApiOptions
}

async function call(cli: CliContext, name: string, given: Given): Promise<void> {
  const route = requireOperation(name)
  const input = await inputOf(cli, route, given)
  const context = await findContext(cli, given.options.context)
  const client = clientOf(context, cli.random)
  const operation = operationOf(client, name)
  await asking(context.url, async () => {
    if (isList(route)) return await printList(cli, route, { operation, input, options: given.options })
    let etag: string | null = null
    const answer = await operation(input, { onEtag: (told) => void (etag = told) })
    if (answer instanceof Response) return await printStream(cli, answer)
    printValue(cli, answer as Json)
    if (etag !== null) cli.output.note(`ETag: ${etag}`)
  })
}

function requireOperation(name: string): Route {
  const route = operations.get(name)
  if (route) return route
  const near = nearest(name, operations.keys())
  const hint = near === null ? '`perennial api` lists them' : `did you mean ${near}?`
  throw new Refusal('not-found', `there is no operation ${name}: ${hint}`)
}

/** Operations that take nothing have their options first. */
function operationOf(client: Client, name: string): Operation {
  const operation = client[name as keyof Client] as unknown as (...args: unknown[]) => Promise<unknown>
  return operation.length < 2
    ? async (_input, options) => await operation(options)
    : async (input, options) => await operation(input, options)
}

async function inputOf(cli: CliContext, route: Route, { parameters, options }: Given): Promise<object> {
  const known = parameterNames(route)
  const input: Record<string, unknown> = {}
  for (const parameter of parameters) {
    const [, name = '', value = ''] = /^([A-Za-z]+)=(.*)$/s.exec(parameter) ?? []
    if (!known.includes(name)) {
      const which = known.length === 0 ? 'takes no parameters' : `takes ${known.join(', ')}`
      throw new Refusal('invalid-input', `"${parameter}": ${route.operationId} ${which}, each as name=value`)
    }
    input[name] = value
  }
  const missing = Object.keys(route.params.properties).filter((name) => !(name in input))
  if (missing.length > 0)
    throw new Refusal(
      'invalid-input',
      `${route.operationId} needs ${missing.map((one) => `${one}=…`).join(' ')}`,
    )
  if (options.ifMatch !== undefined) input['ifMatch'] = options.ifMatch
  if (options.body !== undefined) input['body'] = await bodyOf(cli, route, options.body)
  return input
}

async function bodyOf(cli: CliContext, route: Route, file: string): Promise<unknown> {
  if (!takesBody(route)) throw new Refusal('invalid-input', `${route.operationId} takes no body`)
  const bytes = await cli.readInput(file)
  if (route.streams !== undefined) return bytes
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8')) as unknown
  } catch (cause) {
    throw new Refusal('malformed', `${file} is not JSON`, { cause })
  }
}

/** The most that the API gives at once. */
const pageSize = 1_000

interface ListCall {
  readonly operation: Operation
  readonly input: object
  readonly options: ListOptions
}

async function printList(
  cli: CliContext,
  route: Route,
  { operation, input, options }: ListCall,
): Promise<void> {
  const limit = rowLimit(cli, options)
  await cli.output.list<Item>({
    columns: columnsOf(route),
    rows: everyItem<Item>(
      async (after) =>
        (await operation({ limit: pageSize, ...input, ...after })) as {
          items: readonly Item[]
          next: string | null
        },
    ),
    json: (row) => row,
    empty: 'Nothing fits.',
    limit,
  })
}

interface SchemaNode {
  readonly type?: string
  readonly items?: SchemaNode
  readonly properties?: Readonly<Record<string, SchemaNode>>
  readonly anyOf?: readonly SchemaNode[]
}

function isList({ response }: Route): boolean {
  const { items, next } = (response as SchemaNode | null)?.properties ?? {}
  return items?.type === 'array' && next !== undefined
}

/** A column for each member that is one value. */
function columnsOf({ response }: Route): Column<Item>[] {
  const members = (response as SchemaNode).properties?.['items']?.items?.properties ?? {}
  return Object.entries(members)
    .filter(([, schema]) => isScalar(schema))
    .map(([name]) => ({ title: titleOf(name), value: (row) => textOf(row[name] ?? null), shrink: true }))
}

function isScalar({ type, anyOf }: SchemaNode): boolean {
  return anyOf === undefined ? type !== 'object' && type !== 'array' : anyOf.every(isScalar)
}

/** `expiresAt` → `EXPIRES AT`. */
function titleOf(name: string): string {
  return name.replaceAll(/(?<=[a-z])(?=[A-Z])/g, ' ').toUpperCase()
}

function textOf(value: Json): string | number | null {
  if (value === null || typeof value === 'string' || typeof value === 'number') return value
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : JSON.stringify(value)
}

function printValue(cli: CliContext, value: Json): void {
  cli.output.answer({
    json: value,
    text: () => {
      if (value === null) return 'Done.'
      if (typeof value !== 'object' || Array.isArray(value)) return JSON.stringify(value, null, 2)
      return formatFields(
        Object.entries(value).map(([name, member]) => [name, textOf(member ?? null)]),
        cli.output.style,
      ).join('\n')
    },
  })
}

async function printStream(cli: CliContext, { body }: Response): Promise<void> {
  const decoder = new TextDecoder()
  for await (const chunk of body ?? []) {
    const bytes = chunk as Uint8Array
    // an archive or DER is no text
    if (bytes.includes(0)) cli.output.raw(bytes)
    else await cli.output.stream(decoder.decode(bytes, { stream: true }))
  }
}
