/**
 * Signed answers that are given again: in the memory of the process by the text of the request, and in the store by what is
 * asked, where every other process finds them, and this one after a restart. An answer is good for as long as nothing of
 * its issuer was revoked; after that its certificate is looked up again, and the answer stays if it still says the truth.
 */
import type { Instant } from '../../base/clock.ts'
import { secondMs } from '../../base/clock.ts'
import type { IssuerId } from '../../base/id.ts'
import {
  deleteLapsedOcspAnswers,
  findOcspAnswer,
  putOcspAnswers,
  type StoredOcspAnswer,
} from '../../store/ocsp-answers.ts'
import type { OcspCertStatus } from '../../pki/ocsp-response.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import { ocspBackdateMs, ocspFreshMs } from './ocsp-settings.ts'

/** What it says of the certificate that was asked about; of more than one, `several`. */
export type OcspWord = OcspCertStatus['kind'] | 'several'

/** A response that is signed. One object for as long as it is given. */
export interface SignedOcsp {
  readonly kind: 'signed'
  readonly der: Uint8Array
  readonly producedAt: Instant
  readonly nextUpdate: Instant
  readonly says: OcspWord
  /** True when the answer is for one client only: it repeats a nonce. */
  readonly hasNonce: boolean
}

export interface KeptAnswer {
  readonly issuerId: IssuerId
  /** What it says, as text: compared with what is so now. */
  readonly standing: string
  readonly answer: SignedOcsp
  /** `revocationMark` of the issuer at a moment when the standing was not yet looked up. */
  mark: number
}

/** Answers of one process, about 1 kB each. */
const maxKept = 20_000
/** That wait to be stored; what is beyond is signed again by whoever is asked. */
const maxWaiting = 5_000
const lapsedBatch = 500

interface Answers {
  readonly kept: Map<string, KeptAnswer>
  readonly waiting: Map<string, StoredOcspAnswer>
}

const ofEngines = new WeakMap<Engine, Answers>()

function answersOf(engine: Engine): Answers {
  let answers = ofEngines.get(engine)
  if (!answers) ofEngines.set(engine, (answers = { kept: new Map(), waiting: new Map() }))
  return answers
}

/** @param question how it came: the same text is the same question */
export function keptAnswer(engine: Engine, question: string): KeptAnswer | null {
  return answersOf(engine).kept.get(question) ?? null
}

export function keepAnswer(engine: Engine, question: string, answer: KeptAnswer): void {
  const { kept } = answersOf(engine)
  if (kept.size >= maxKept && !kept.has(question)) kept.delete(kept.keys().next().value as string)
  kept.set(question, answer)
}

/** Given again as it is: not near its end, and not from a node whose clock is further ahead than ours can be behind. */
export function isFreshAnswer({ nextUpdate, producedAt }: SignedOcsp, now: Instant): boolean {
  return nextUpdate - now >= ocspFreshMs && producedAt <= now + 2 * ocspBackdateMs
}

/** @param question SHA-256 of the CertID */
export async function storedAnswer(
  { store }: Engine,
  question: Uint8Array,
  { standing, says }: { readonly standing: string; readonly says: OcspWord },
): Promise<SignedOcsp | null> {
  const stored = await findOcspAnswer(store.db, question)
  if (stored?.standing !== standing) return null
  const { der, producedAt, nextUpdate } = stored
  return { kind: 'signed', der, producedAt, nextUpdate, says, hasNonce: false }
}

/** Stored within a second, by `storeAnswers`: nobody waits for it. */
export function storeLater(engine: Engine, answer: StoredOcspAnswer): void {
  const { waiting } = answersOf(engine)
  if (waiting.size < maxWaiting) waiting.set(Buffer.from(answer.question).toString('latin1'), answer)
}

/** Every process that answers writes down what it has signed, and deletes what has lapsed. */
export const storeAnswers: Job = {
  name: 'ocsp-answers',
  intervalMs: secondMs,
  isShared: true,
  async run(engine, now) {
    const { waiting } = answersOf(engine)
    const answers = [...waiting.values()]
    waiting.clear()
    const deleted = await engine.store.transaction(async (tx) => {
      await putOcspAnswers(tx, answers)
      return await deleteLapsedOcspAnswers(tx, now, lapsedBatch)
    })
    return { worked: answers.length + deleted, isBehind: deleted === lapsedBatch }
  },
}
