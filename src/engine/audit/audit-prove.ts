/** `audit prove`: shows to anyone that we recorded the issuance of a certificate, without showing the rest of the log. */
import { Refusal } from '../../base/errors.ts'
import type { IssuerId, SerialNumber } from '../../base/id.ts'
import { auditedBySerials, originFacts } from '../../store/audit-inventory.ts'
import { factByLogIndex } from '../../store/facts.ts'
import { subjects } from './audit.ts'
import type { VerifyContext } from './audit-verify.ts'
import { inclusionProof } from './merkle.ts'
import { latestSignedCheckpoint, storedTiles } from './sealed-tree.ts'
import { noteVerifier } from './signed-note.ts'
import { subtreeReader } from './tile.ts'
import { formatProof, verifyProof } from './tlog-proof.ts'

/**
 * @param serialNumber of a certificate in the inventory; with `issuerId` where several issuers have it
 * @returns a C2SP tlog-proof that the fact of its issuance (or import) is in the log
 * @throws Refusal `not-found` when there is no such certificate or its fact is not sealed yet, `invalid-input` when the
 *   serial number alone does not tell which one, `audit-invalid` when the log does not verify
 */
export async function proveCertificate(
  engine: VerifyContext,
  serialNumber: SerialNumber,
  issuerId: IssuerId | null = null,
): Promise<string> {
  const { db } = engine.store
  const all = await auditedBySerials(db, [serialNumber])
  const candidates = all.filter((each) => issuerId === null || each.issuerId === issuerId)
  const [certificate, another] = candidates
  if (!certificate) throw new Refusal('not-found', `the inventory has no certificate ${serialNumber}`)
  if (another) {
    const issuers = candidates.map((each) => each.issuerId).join(', ')
    throw new Refusal('invalid-input', `${serialNumber} is a serial number of ${issuers}: name the issuer`)
  }
  const subject = subjects.certificate(certificate.issuerId, certificate.serialNumber)
  const facts = await originFacts(db, [subject])
  const sealed = facts.find((each) => each.logIndex !== null)
  if (sealed && sealed.logIndex !== null) return await proveEntry(engine, sealed.logIndex)
  if (facts.length > 0) {
    throw new Refusal(
      'not-found',
      `the issuance of ${serialNumber} is on record and not sealed yet: try again in a minute`,
    )
  }
  throw new Refusal(
    'not-found',
    `nobody recorded how ${serialNumber} came to be (it is ${certificate.status})`,
  )
}

/** @throws Refusal `not-found` when the entry is not under a signed checkpoint, `audit-invalid` when it cannot be proved */
export async function proveEntry(engine: VerifyContext, index: number): Promise<string> {
  const { db } = engine.store
  const { size, note } = await latestSignedCheckpoint(db)
  const fact = await factByLogIndex(db, index)
  if (!fact || index >= size) {
    throw new Refusal('not-found', `entry ${index} is not in the log, which was signed at ${size} entries`)
  }
  const hashes = await inclusionProof(index, size, subtreeReader(size, storedTiles(db)))
  const proof = formatProof({ entry: fact.entry, index, hashes, note })
  // a proof that does not verify would put the blame on whoever shows it
  verifyProof(proof, noteVerifier(engine.audit.signer))
  return proof
}
