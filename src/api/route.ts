/**
 * A route of the REST API is one typed object: what it is called, who may use it, what it takes and gives, and what it does.
 * The same schemas validate, document (openapi.ts) and type it. docs/api.md says how to add one.
 */
import { Type, type Static, type TObject, type TProperties, type TSchema } from 'typebox'
import type { Instant } from '../base/clock.ts'
import type { Engine } from '../engine/context.ts'
import type { DeviceScope, Permission } from '../engine/operators/permissions.ts'
import type { Caller } from './caller.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/**
 * What a scoped caller gets. `device`: the handler is given the scope and shows and touches nothing outside of it.
 * `shared`: nothing about single devices, every holder of the permission sees it all. `fleet`: only for callers whose
 * permission is for the whole fleet.
 */
export type RouteScope = 'device' | 'shared' | 'fleet'

/** What a handler is given. */
export interface Call<Params = unknown, Query = unknown, Body = unknown> {
  readonly engine: Engine
  readonly caller: Caller
  /** For facts: `operator:NAME`. */
  readonly actor: string
  readonly connection: ConnectionFacts
  /** Another permission, for the whole fleet. */
  readonly may: (permission: Permission) => boolean
  /** The part of the fleet for which the caller has the route's permission. */
  readonly scope: DeviceScope
  readonly now: Instant
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** `dryRun=true`: `engine` takes back what its transactions write. False where the route has no `dryRun`. */
  readonly isDryRun: boolean
  /** Throws when the caller may not any more: for what goes on for long. */
  readonly recheck: () => Promise<void>
  /** Refuses unless the caller has edited this very version. `current` is what the route's GET answers. */
  readonly requireMatch: (current: unknown) => void
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal
}

/** What logging in and out needs of the request. */
export interface ConnectionFacts {
  /** Of a listener that comes back: the last event that it was told. */
  readonly lastEventId: string | undefined
  /** Of the session cookie; null without one. */
  readonly sessionId: string | null
  /** The browser speaks https, here or at a proxy in front of us. */
  readonly isSecure: boolean
}

/** An answer that needs more than its value. */
export class Answer<Value> {
  readonly value: Value
  readonly headers: Readonly<Record<string, string>>
  constructor(value: Value, headers: Readonly<Record<string, string>>) {
    this.value = value
    this.headers = headers
  }
}

/** Bytes that are sent as they come, such as an export. */
export class StreamedAnswer {
  readonly contentType: string
  readonly chunks: AsyncIterable<string | Uint8Array>
  readonly headers: Readonly<Record<string, string>>
  constructor(
    contentType: string,
    chunks: AsyncIterable<string | Uint8Array>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.contentType = contentType
    this.chunks = chunks
    this.headers = headers
  }
}

export interface Example {
  readonly summary: string
  readonly params?: Readonly<Record<string, string>>
  readonly query?: Readonly<Record<string, string | number | boolean>>
  readonly body?: unknown
  /** Default: the route's own. Not 4xx: examples are what works. */
  readonly status?: number
}

interface RouteFacts {
  readonly method: Method
  /** Below `/api/v1`, as OpenAPI writes it: `/devices/{id}`. */
  readonly path: `/${string}`
  /** Name of the function in the generated client: `listDevices`. */
  readonly operationId: string
  /** One line, no full stop. */
  readonly summary: string
  readonly description?: string
  /** `anyone`: without an account, such as logging in. A test holds the short list of them. */
  readonly permission: Permission | 'anyone'
  readonly scope: RouteScope
  /** At least one; each is executed by a test. */
  readonly examples: readonly [Example, ...Example[]]
  /** Of an answer that is fine. Default: 204 without `response`, else 200. */
  readonly status?: 200 | 201 | 202 | 204
  /** Its answer goes on until the caller goes: nothing for a test that waits for its end. */
  readonly isEndless?: boolean
  /** Takes `dryRun=true`. Only where every effect is in the engine's transactions. */
  readonly dryRun?: boolean
  /** An edit: the request must carry If-Match with the ETag of the matching GET. */
  readonly ifMatch?: boolean
  /** The answer shows a secret once: it is not kept for repeats of its Idempotency-Key. */
  readonly hasSecretAnswer?: boolean
  /** A dangerous act: the operator has given his password within the last minutes, or the token is made for such acts. */
  readonly stepUp?: boolean
  /** Media types of a body that the handler reads as it comes (`body` is then a stream) instead of JSON. */
  readonly streams?: readonly string[]
  /** Media types of a `StreamedAnswer`. */
  readonly answersStream?: readonly string[]
}

export interface RouteDefinition<
  Params extends TProperties,
  Query extends TProperties,
  Body extends TSchema,
  Response extends TSchema,
> extends RouteFacts {
  /** Properties of the object schemas; unknown ones are refused by name. */
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  readonly response?: Response
  handler(
    call: Call<Static<TObject<Params>>, Static<TObject<Query>>, Static<Body>>,
  ): Promise<Static<Response> | Answer<Static<Response>> | StreamedAnswer>
}

/** A route whose types have been checked and forgotten. */
export interface Route extends RouteFacts {
  readonly params: TObject
  readonly query: TObject
  readonly body: TSchema | null
  readonly response: TSchema | null
  readonly handler: (call: Call<never, never, never>) => Promise<unknown>
}

export function route<
  Params extends TProperties = {},
  Query extends TProperties = {},
  Body extends TSchema = TSchema,
  Response extends TSchema = TSchema,
>(definition: RouteDefinition<Params, Query, Body, Response>): Route {
  return {
    ...definition,
    params: object(definition.params ?? {}),
    query: object(definition.query ?? {}),
    body: definition.body ?? null,
    response: definition.response ?? null,
    handler: (call) => definition.handler(call),
  }
}

/** An object that has these properties and no other. With `$id` it is a named schema of the OpenAPI document. */
export function object<Properties extends TProperties>(
  properties: Properties,
  options: { readonly $id?: string; readonly description?: string } = {},
): TObject<Properties> {
  return Type.Object(properties, { ...options, additionalProperties: false })
}
