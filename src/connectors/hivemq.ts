/**
 * HiveMQ by its REST API, which ends the connection of one client id. It has no list of who must stay out: that a revoked
 * certificate does not come back is for its own check of CRLs or OCSP.
 */
import type { ExtensionHost } from '../base/extension.ts'
import { callHttp, refuseBadUrl } from '../base/http-call.ts'
import type { Disconnector } from '../engine/ports.ts'

export interface HiveMqOptions {
  /** Of the REST API, such as https://hivemq.example.com:8888, no slash at the end. */
  readonly url: string
  /** The client id of a device; `{device}` stands for its id. */
  readonly clientId: string
  /** Name of the secret that is sent as the Authorization header; null = none is asked for. */
  readonly authorization: string | null
  readonly timeoutMs: number
  readonly insecureHttp: boolean
}

/** @throws Refusal `configuration-invalid` */
export async function createHiveMqDisconnector(
  { url, clientId, authorization, timeoutMs, insecureHttp }: HiveMqOptions,
  host: ExtensionHost,
): Promise<Disconnector> {
  refuseBadUrl('connectors.hivemq.url', url, 'connectors.hivemq.insecureHttp', insecureHttp)
  const header = authorization === null ? {} : { authorization: await host.secret(authorization) }
  return {
    name: 'hivemq',
    parallel: 8,
    async cut({ deviceId }, signal) {
      const client = encodeURIComponent(clientId.replaceAll('{device}', deviceId))
      const call = {
        who: 'HiveMQ',
        url: `${url}/api/v1/mqtt/clients/${client}/connection`,
        method: 'DELETE',
        headers: { 'user-agent': 'Perennial', ...header },
        timeoutMs,
        failure: 'connector-failed',
        // it is not connected
        accept: [404],
      } as const
      await callHttp(host, call, signal)
      return null
    },
    async admit() {
      return null
    },
    async close() {},
  }
}
