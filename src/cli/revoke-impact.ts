/** What a revocation would do, as `--dry-run` shows it: the same for every kind. */
import { printable } from '../base/text.ts'
import type { RevocationImpact } from '../engine/revocation/impact.ts'
import type { CliContext } from './context.ts'
import type { Json } from './output.ts'
import { counted, type Reason } from './revoke-order.ts'

export interface ShownImpact {
  readonly reason: Reason
  /** Of what: `SN-0001`, `what fits`. */
  readonly what: string
  /** More members of the JSON answer, and more lines. */
  readonly json?: { readonly [key: string]: Json }
  readonly lines?: readonly string[]
}

export function showImpact(cli: CliContext, impact: RevocationImpact, shown: ShownImpact): void {
  const { reason, what, json = {}, lines = [] } = shown
  cli.output.answer({
    json: { dryRun: true, reason, ...impactJson(impact), ...json },
    text: () =>
      [
        `Would revoke ${counted(impact.certificates, 'certificate')} of ${printable(what)} (${reason}):`,
        ...lines,
        ...impactLines(impact),
      ].join('\n'),
  })
}

export function impactLines(impact: RevocationImpact): string[] {
  const { devices, outOfService, liveSessions, openRenewals, crls } = impact
  const sites = [...impact.sites].sort(([, a], [, b]) => b - a)
  const entries = crls.reduce((sum, growth) => sum + growth.entries, 0)
  const bytes = crls.reduce((sum, growth) => sum + growth.bytes, 0)
  return [
    `  ${counted(devices, 'device')}, ${outOfService} of them out of service already`,
    `  ${counted(liveSessions, 'device')} heard from within the last minute: their sessions are cut`,
    `  ${counted(openRenewals, 'open renewal')} given up`,
    `  CRLs grow by ${entries === 1 ? '1 entry' : `${entries.toLocaleString('en-US')} entries`}, ${counted(bytes, 'byte')}`,
    ...crls
      .slice(0, 10)
      .map((each) => `    ${each.issuerId}, shard ${each.shard}: ${counted(each.bytes, 'byte')}`),
    ...(crls.length > 10 ? [`    and ${crls.length - 10} more shards`] : []),
    ...sites.slice(0, 10).map(([site, count]) => `  ${printable(site)}: ${counted(count, 'device')}`),
    ...(sites.length > 10 ? [`  and ${sites.length - 10} more sites`] : []),
  ]
}

export function impactJson({ sites, crls, ...sums }: RevocationImpact): { readonly [key: string]: Json } {
  return {
    ...sums,
    sites: Object.fromEntries([...sites].sort(([, a], [, b]) => b - a)),
    crls,
  }
}
