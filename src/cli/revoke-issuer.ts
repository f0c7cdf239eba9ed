/** `perennial revoke issuer`: everything that a CA has signed, at once. */
import { Argument, type Command } from 'commander'
import { iso } from '../base/clock.ts'
import { formatDuration } from '../base/duration.ts'
import { Refusal } from '../base/errors.ts'
import type { IssuerId } from '../base/id.ts'
import { needsApproval } from '../engine/proposals/approval-rule.ts'
import {
  previewIssuerRevocation,
  revokeIssuer,
  type IssuerImpact,
} from '../engine/revocation/revoke-issuer.ts'
import type { CliContext } from './context.ts'
import { addExamples } from './examples.ts'
import { issuerIdArgument } from './options.ts'
import { fileProposal } from './proposal.ts'
import { addOrderOptions, counted, issuerReasonOption, orderOf, type OrderOptions } from './revoke-order.ts'

export function registerIssuer(revoke: Command, cli: CliContext): void {
  addExamples(
    addOrderOptions(
      revoke
        .command('issuer')
        .description('revoke an issuing CA: nothing that it has signed is accepted any more')
        .addArgument(
          new Argument('<id>', 'name of the CA (`perennial ca list`)').argParser(issuerIdArgument),
        ),
      issuerReasonOption(),
    ).action(async (id: IssuerId, options: OrderOptions) => await issuer(cli, id, options)),
    [
      {
        say: 'What it would do, and what is needed first',
        run: 'perennial revoke issuer issuing --reason key-extracted --dry-run',
      },
    ],
  )
}

async function issuer(cli: CliContext, id: IssuerId, options: OrderOptions): Promise<void> {
  const { engine } = await cli.app()
  const { reason, note = null, dryRun = false, yes = false } = options
  const impact = await previewIssuerRevocation(engine, id)
  if (dryRun || !yes) {
    cli.output.answer({
      json: {
        dryRun: true,
        issuer: id,
        reason,
        ...impact,
      },
      text: () => [`Would revoke the issuer ${id} (${reason}):`, ...impactLines(id, impact)].join('\n'),
    })
    if (!dryRun) throw new Refusal('invalid-input', 'nothing was revoked: add --yes to do it')
    return
  }
  if (needsApproval(engine, 'revoke-issuer')) {
    await fileProposal(cli, { kind: 'revoke-issuer', payload: { id, reason, note }, why: note })
    return
  }
  const record = await revokeIssuer(engine, { ...orderOf(options), id })
  cli.output.answer({
    json: {
      issuer: id,
      reason,
      revokedAt: record.revokedAt === null ? null : iso(record.revokedAt),
      ...impact,
    },
    text: () => [`The issuer ${id} is revoked (${reason}).`, ...impactLines(id, impact)].join('\n'),
  })
}

function impactLines(id: IssuerId, { certificates, parentId, profiles, campaign }: IssuerImpact): string[] {
  const named = profiles.map(({ name }) => name).join(', ')
  return [
    `  ${counted(certificates, 'live certificate')} are accepted nowhere here any more, and OCSP calls them revoked`,
    `  the CRL of ${parentId} lists it: at once where \`perennial serve\` runs, else \`perennial crl publish\``,
    `  the campaign ${campaign} asks its devices to get new certificates`,
    ...(profiles.length === 0
      ? ['  no profile names it: their devices can be asked at once']
      : [
          `  a successor is needed before any device gets a certificate: ${named}`,
          `    perennial ca create intermediate ${id}-2`,
          ...profiles.map(
            ({ name }) => `    profiles.${name}.issuer: ${id}-2   in perennial.yaml, then restart`,
          ),
        ]),
    ...profiles.map(({ name, reissueForMs, isRenewed }) => {
      if (!isRenewed)
        return `  ${name}: certificates for life; its devices are not asked, each needs a new secret`
      return reissueForMs === 0
        ? `  ${name}: its devices need a new secret or their factory identity (profiles.${name}.reissueFor is 0)`
        : `  ${name}: its devices may renew with what they have for ${formatDuration(reissueForMs)}`
    }),
  ]
}
