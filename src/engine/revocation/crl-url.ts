/** Where CRLs are. A shard's URL is written into certificates and into the shard itself, and must be the same bytes in both. */
import type { IssuerId } from '../../base/id.ts'

export function completeUrl(statusUrl: string, issuerId: IssuerId): string {
  return `${statusUrl}/crl/${issuerId}.crl`
}

export function deltaUrl(statusUrl: string, issuerId: IssuerId): string {
  return `${statusUrl}/crl/${issuerId}/delta.crl`
}

export function shardUrl(statusUrl: string, issuerId: IssuerId, shard: number): string {
  return `${statusUrl}/crl/${issuerId}/${shard}.crl`
}
