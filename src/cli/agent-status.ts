/** What `perennial agent status` shows. */
import { join } from 'node:path'
import type { Agent } from '../agent/agent.ts'
import { activeCredential, nextStep, trustedNow } from '../agent/agent-state.ts'
import { renewalInstant } from '../agent/renewal-due.ts'
import { timeHintAt } from '../agent/agent-memory.ts'
import type { SlotState } from '../agent/credential-slots.ts'
import { iso } from '../base/clock.ts'
import { formatName } from '../pki/name-text.ts'
import type { CliContext } from './context.ts'
import { FoundProblems } from './failure.ts'
import type { Json } from './output.ts'
import { formatFields } from './table.ts'
import { ago, describeLeft, instant } from './time.ts'

/** @throws FoundProblems when there is no certificate in use, or it has expired */
export async function showStatus(
  cli: CliContext,
  { directory, agent }: { readonly directory: string; readonly agent: Agent },
): Promise<void> {
  const now = cli.clock.now()
  const state = await agent.state()
  const { config, memory, active, slots } = state
  const credential = activeCredential(state)
  const next = nextStep(state, now)
  const renewalAt = credential && renewalInstant(config, credential.certificate)
  const why = 'why' in next ? next.why : `a renewal is under way: ${next.kind}`
  const nextAt = next.kind === 'wait' ? next.until : next.kind === 'stuck' ? null : now
  const offsetMs = timeHintAt(memory, now)?.offsetMs ?? null
  cli.output.answer({
    json: {
      directory,
      deviceId: config.deviceId,
      server: config.server,
      label: config.label,
      active: active === null || credential === null ? null : { slot: active, ...slotJson(credential) },
      certificateFile: active === null ? null : join(directory, `${active}.pem`),
      keyFile: active === null ? null : join(directory, `${active}.key`),
      trustFile: join(directory, 'trust.pem'),
      renewalAt: renewalAt === null ? null : iso(renewalAt),
      next: { step: next.kind, at: nextAt === null ? null : iso(nextAt), why },
      slots: { a: slotJson(slots.a), b: slotJson(slots.b) },
      failures: memory.failures,
      serverClockOffsetMs: offsetMs,
      attempts: memory.attempts.map(({ at, ...rest }) => ({ at: iso(at), ...rest })),
    },
    text: () =>
      [
        ...formatFields(
          [
            ['Device', config.deviceId],
            ['Server', config.label === null ? config.server : `${config.server} (${config.label})`],
            [
              'Active',
              credential && active ? `${credential.certificate.serialNumber}, slot ${active}` : null,
            ],
            ['Subject', credential && formatName(credential.certificate.subject)],
            ['Not after', credential && endOf(credential.certificate.notAfter, now)],
            ['Files', active && `${join(directory, `${active}.pem`)}, ${active}.key`],
            ['Other slot', active && slots[active === 'a' ? 'b' : 'a'].kind],
            ['Next', nextAt === null ? why : `${instant(nextAt)}: ${why}`],
          ],
          cli.output.style,
        ),
        ...memory.attempts
          .slice(-5)
          .map(({ at, step, outcome, detail }) => `  ${ago(at, now)}: ${step} ${outcome}: ${detail}`),
      ].join('\n'),
  })
  if (credential === null || trustedNow(memory, now) > credential.certificate.notAfter)
    throw new FoundProblems()
}

function endOf(notAfter: number, now: number): string {
  return `${instant(notAfter)} (${describeLeft(notAfter, now)})`
}

function slotJson(state: SlotState): { readonly [key: string]: Json } {
  if (state.kind !== 'stored') return { state: state.kind }
  const { certificate, fingerprint, isRetired } = state
  return {
    state: isRetired ? 'retired' : 'stored',
    serialNumber: certificate.serialNumber,
    subject: formatName(certificate.subject),
    notBefore: iso(certificate.notBefore),
    notAfter: iso(certificate.notAfter),
    fingerprint,
  }
}
