/** The steps that act on a signed bundle: new trust anchors, a certificate, or an OCSP answer that came another way. */
import { iso } from '../base/clock.ts'
import { equalBytes, fromBase64 } from '../base/bytes.ts'
import { assert, Refusal, type RefusalCode } from '../base/errors.ts'
import { parseCertificate } from '../pki/certificate.ts'
import { decodePem } from '../pki/pem.ts'
import { contentOf, done, resting, type AgentCore, type StepResult } from './agent-core.ts'
import type { PendingBundle } from './agent-inbox.ts'
import { ocspSubject, pickOcsp } from './agent-ocsp.ts'
import { activeCredential, idleSlot, trustedNow, type AgentState, type Step } from './agent-state.ts'
import { storeChecked } from './agent-steps.ts'
import { encodeAnchors, parseAnchors } from './agent-trust.ts'
import { slots } from './keystore.ts'

type BundleStep = Step & { readonly kind: 'take-bundle' }

export async function takeBundle(core: AgentCore, step: BundleStep, state: AgentState): Promise<StepResult> {
  const { bundle } = state.inbox
  assert(bundle, 'a bundle is waiting')
  const what = `${bundle.kind} bundle ${bundle.version}`
  try {
    if (trustedNow(state.memory, core.parts.clock.now()) >= bundle.expiresAt) {
      throw new Refusal('bundle-refused', `it expired at ${iso(bundle.expiresAt)}`)
    }
    const detail = await takers[bundle.kind](core, bundle, state)
    await finish(core, bundle)
    return done(step, `${what}: ${detail}`)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    const detail = `${what} is not taken: ${error.message}`
    if (!passing.has(error.code)) {
      await finish(core, bundle)
      return { ...resting, step, outcome: 'refused', detail }
    }
    const now = core.parts.clock.now()
    const retryAt = now + core.backoff(state, { ...state.memory, failures: 3 }, now)
    await core.parts.inbox.update((inbox) =>
      isSame(inbox.bundle, bundle) ? { ...inbox, bundle: { ...bundle, retryAt } } : inbox,
    )
    return { ...resting, step, outcome: 'failed', detail, retryAt }
  }
}

/** What another try may change. */
const passing: ReadonlySet<RefusalCode> = new Set(['server-unreachable', 'keystore-failed', 'disk-full'])

/** A newer bundle may have come in the meantime: that one stays. */
async function finish(core: AgentCore, bundle: PendingBundle): Promise<void> {
  await core.parts.inbox.update((inbox) =>
    isSame(inbox.bundle, bundle) ? { ...inbox, bundle: null } : inbox,
  )
}

function isSame(one: PendingBundle | null, other: PendingBundle): boolean {
  return one?.kind === other.kind && one.version === other.version
}

/** The bundle has the whole set. It is believed when the server of today proves itself with it; until then the old one is. */
async function takeTrust(core: AgentCore, bundle: PendingBundle, state: AgentState): Promise<string> {
  const anchors = parseAnchors(bundle.certificates.join('\n'))
  const trustPem = encodeAnchors(anchors)
  const asked = { operation: 'cacerts', bearer: { kind: 'nobody' }, trustPem } as const
  const { answer } = await core.ask(asked, state.memory)
  if (answer.kind !== 'done') {
    const until = `again until ${iso(bundle.expiresAt)}`
    throw new Refusal(
      'server-unreachable',
      `with these anchors the server is not reached (${answer.detail}); ${until}`,
    )
  }
  await core.parts.anchors.replace(anchors)
  return `${anchors.length} trust anchors replace the earlier ones`
}

/** The signed answer about the certificate in use, for the TLS server of a device that reaches no responder. */
async function takeOcsp(core: AgentCore, bundle: PendingBundle, state: AgentState): Promise<string> {
  const { anchors, clock, ocsp } = core.parts
  const subject = ocspSubject(activeCredential(state), anchors.current())
  if (subject === null || ocsp === undefined) {
    throw new Refusal('bundle-refused', 'there is no certificate in use that it could be about')
  }
  const responses = bundle.certificates.map((text) => fromBase64(text) ?? new Uint8Array())
  const { der, nextUpdate } = pickOcsp(responses, subject, trustedNow(state.memory, clock.now()))
  await ocsp.replace(der)
  return `the OCSP answer is good until ${iso(nextUpdate)}`
}

const takers = { trust: takeTrust, certificate: takeCertificate, ocsp: takeOcsp } as const

/**
 * A certificate for the key in the idle slot goes the way of every new one: stored now, tried next. One for the key in
 * use is tried before it is written over the one in use.
 */
async function takeCertificate(core: AgentCore, bundle: PendingBundle, state: AgentState): Promise<string> {
  const [leaf, ...issuers] = bundle.certificates.flatMap((pem) => decodePem(pem).map(({ der }) => der))
  assert(leaf, 'a bundle has a certificate')
  const { spki, serialNumber } = parseCertificate(leaf)
  const keys = await Promise.all(slots.map(async (slot) => await core.parts.keystore.find(slot)))
  const slot = slots.find((_, index) => equalBytes(keys[index] ?? new Uint8Array(), spki))
  if (slot === undefined) {
    throw new Refusal('server-answer-invalid', 'the certificate is for no key of this device')
  }
  const received = { state, memory: state.memory, leaf, issuers }
  if (slot === idleSlot(state)) {
    await storeChecked(core, slot, received)
    await core.parts.memory.save({ ...state.memory, refusals: 0, refusedTrial: null, hold: null })
    return `certificate ${serialNumber} is stored in slot ${slot}`
  }
  const current = activeCredential(state)
  if (current && Buffer.compare(current.certificate.der, leaf) === 0) return 'that certificate is in use'
  const certificate = parseCertificate(leaf)
  const candidates = issuers.map((der) => parseCertificate(der))
  await core.check(slot, { state, memory: state.memory, certificate, candidates })
  const bearer = await core.bearerWith(slot, [leaf, ...issuers])
  const { answer } = await core.ask({ operation: 'credential', bearer }, state.memory)
  if (answer.kind === 'refused') throw new Refusal('server-refused', answer.detail)
  if (answer.kind !== 'done') throw new Refusal('server-unreachable', answer.detail)
  const held = await storeChecked(core, slot, received)
  await core.check(slot, { state, memory: state.memory, ...contentOf(held) })
  return `certificate ${serialNumber} is in use`
}
