/**
 * EMQX 5 by its REST API: the device is banned by its user name, which must be its id, and its clients are kicked out.
 * A ban alone does not end what is connected.
 */
import { dayMs, iso } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import type { ExtensionHost } from '../base/extension.ts'
import { callHttp, refuseBadUrl, type HttpCall } from '../base/http-call.ts'
import type { DeviceId } from '../base/id.ts'
import type { Disconnector } from '../engine/ports.ts'

export interface EmqxOptions {
  /** Of the dashboard listener, such as https://emqx.example.com:18083, no slash at the end. */
  readonly url: string
  readonly apiKey: string
  /** Name of the secret. */
  readonly apiSecret: string
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

/** Clients of one device that are asked for at one time, and how often. */
const pageSize = 100
const maxPages = 20

/** @throws Refusal `configuration-invalid` */
export async function createEmqxDisconnector(
  { url, apiKey, apiSecret, timeoutMs, insecureHttp }: EmqxOptions,
  host: ExtensionHost,
): Promise<Disconnector> {
  refuseBadUrl('connectors.emqx.url', url, 'connectors.emqx.insecureHttp', insecureHttp)
  const credentials = Buffer.from(`${apiKey}:${await host.secret(apiSecret)}`).toString('base64')
  const call = async (
    method: HttpCall['method'],
    path: string,
    signal: AbortSignal,
    { body, accept = [] }: { readonly body?: string; readonly accept?: readonly number[] } = {},
  ): Promise<string> => {
    const headers = {
      authorization: `Basic ${credentials}`,
      'user-agent': 'Perennial',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const request = { who: 'EMQX', url: `${url}/api/v5${path}`, method, headers, timeoutMs, accept }
    const failure = 'connector-failed' as const
    return await callHttp(host, { ...request, failure, ...(body === undefined ? {} : { body }) }, signal)
  }

  const kick = async (deviceId: DeviceId, signal: AbortSignal): Promise<number> => {
    let kicked = 0
    for (let page = 0; page < maxPages; page++) {
      const query = `?username=${encodeURIComponent(deviceId)}&conn_state=connected&limit=${pageSize}`
      const clients = readClients(await call('GET', `/clients${query}`, signal))
      for (const id of clients) {
        await call('DELETE', `/clients/${encodeURIComponent(id)}`, signal, { accept: [404] })
        kicked += 1
      }
      if (clients.length < pageSize) return kicked
    }
    throw new Refusal('connector-failed', `EMQX: ${deviceId} has more clients than are ended at one time`)
  }

  const ban = async (deviceId: DeviceId, why: string, signal: AbortSignal): Promise<void> => {
    const body = JSON.stringify({
      as: 'username',
      who: deviceId,
      by: 'perennial',
      reason: why,
      // without it the ban ends by itself
      until: iso(host.clock.now() + 36_500 * dayMs),
    })
    const answer = await call('POST', '/banned', signal, { body, accept: [400] })
    const { code } = readObject(answer)
    if (code !== undefined && code !== 'ALREADY_EXISTS') {
      throw new Refusal('connector-failed', 'EMQX did not take the ban')
    }
  }

  return {
    name: 'emqx',
    parallel: 8,
    async cut({ deviceId, why, isBarred }, signal) {
      // first, so that who is kicked does not come back in between
      if (isBarred) await ban(deviceId, why, signal)
      return await kick(deviceId, signal)
    },
    async admit({ deviceId }, signal) {
      await call('DELETE', `/banned/username/${encodeURIComponent(deviceId)}`, signal, { accept: [404] })
      return null
    },
    async close() {},
  }
}

function readClients(text: string): string[] {
  const { data } = readObject(text)
  if (!Array.isArray(data))
    throw new Refusal('connector-failed', 'EMQX did not answer with a list of clients')
  return data.flatMap((each: unknown) => {
    const { clientid } = (typeof each === 'object' && each !== null ? each : {}) as { clientid?: unknown }
    return typeof clientid === 'string' ? [clientid] : []
  })
}

function readObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {}
  } catch {
    return {}
  }
}
