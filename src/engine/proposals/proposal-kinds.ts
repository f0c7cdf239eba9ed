/** Every kind of act that can be proposed. A new one is a line here and a word in `approvalActs`. */
import { Refusal } from '../../base/errors.ts'
import { issuerCreation } from '../issuing/issuer-proposal.ts'
import { batchRevocation, issuerRevocation } from '../revocation/revoke-proposal.ts'
import type { AnyProposalKind } from './proposal.ts'

export const proposalKinds: readonly AnyProposalKind[] = [batchRevocation, issuerRevocation, issuerCreation]

/** @throws Refusal `invalid-input` */
export function proposalKindOf(name: string): AnyProposalKind {
  const kind = proposalKinds.find((each) => each.kind === name)
  if (kind) return kind
  const known = proposalKinds.map((each) => each.kind).join(', ')
  throw new Refusal('invalid-input', `"${name}" is no kind of proposal: use one of ${known}`)
}
