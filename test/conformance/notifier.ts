/** What every notifier must do. A new one calls this with a receiver of its own kind. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Refusal } from '../../src/base/errors.ts'
import type { NotifiedAlert, Notifier, NotifierMessage } from '../../src/engine/ports.ts'

export interface NotifierRig {
  readonly notifier: Notifier
  /** Every text that the receiver was given so far: bodies, subjects, addresses of calls. */
  received(): readonly string[]
  /** The receiver answers with a failure that passes, or takes messages again. */
  setFailing(isFailing: boolean): void
  /** What must be in no refusal: addresses with keys, passwords, tokens. */
  readonly secrets: readonly string[]
  close(): Promise<void>
}

export const sampleAlert: NotifiedAlert = {
  id: 17,
  rule: 'certificates-ending',
  key: 'batch run-1, weekly',
  severity: 'critical',
  summary: '4,000 weekly devices of batch run-1 may not renew in time',
  count: 4_000,
  openedAt: Date.UTC(2026, 10, 20, 12),
  details: { expectedLoss: 120 },
  runbookUrl: 'https://wiki.example/perennial/certificates-ending',
}

export function sampleMessage(change: Partial<NotifierMessage> = {}): NotifierMessage {
  return {
    id: 'notification-1',
    event: 'opened',
    source: 'Example',
    at: Date.UTC(2026, 10, 20, 12),
    alerts: [sampleAlert],
    ...change,
  }
}

const signal = new AbortController().signal

export function notifierConformance(kind: string, start: () => Promise<NotifierRig>): void {
  const withRig = (name: string, run: (rig: NotifierRig) => Promise<void>): void => {
    test(`${kind}: ${name}`, async () => {
      const rig = await start()
      try {
        await run(rig)
      } finally {
        await rig.notifier.close()
        await rig.close()
      }
    })
  }

  withRig('a message arrives, with what is wrong and how grave it is', async (rig) => {
    assert.equal(rig.notifier.kind, kind)
    await rig.notifier.notify(sampleMessage(), signal)
    const text = rig.received().join('\n')
    assert.match(text, /4,000 weekly devices of batch run/)
    assert.match(text, /critical/i)
  })

  withRig('every event is taken', async (rig) => {
    for (const event of ['opened', 'raised', 'escalated', 'resolved', 'acknowledged', 'test'] as const)
      await rig.notifier.notify(sampleMessage({ event, id: `notification-${event}` }), signal)
    assert.ok(rig.received().length >= 6)
  })

  withRig('the same message may come twice', async (rig) => {
    await rig.notifier.notify(sampleMessage(), signal)
    await rig.notifier.notify(sampleMessage(), signal)
  })

  withRig('a failure that passes is one to be asked again after', async (rig) => {
    rig.setFailing(true)
    const refused = await refusal(rig.notifier.notify(sampleMessage(), signal))
    assert.equal(refused.code, 'notify-failed')
    for (const secret of rig.secrets) assert.ok(!refused.message.includes(secret), refused.message)
    rig.setFailing(false)
    await rig.notifier.notify(sampleMessage(), signal)
  })

  withRig('many alerts, and long and hostile ones, make a message that is taken', async (rig) => {
    const summary = `<!channel> <script>alert(1)</script> & *bold* [x](https://evil.example) ${'ü'.repeat(3_000)}`
    const alerts = Array.from({ length: 60 }, (_, n) => ({ ...sampleAlert, id: n + 1, summary }))
    const given = rig.notifier.isPerAlert ? alerts.slice(0, 1) : alerts
    await rig.notifier.notify(
      sampleMessage({ alerts: given as unknown as NotifierMessage['alerts'] }),
      signal,
    )
    assert.ok(rig.received().length > 0)
  })

  withRig('one that was called off sends nothing', async (rig) => {
    const stop = new AbortController()
    stop.abort()
    await assert.rejects(rig.notifier.notify(sampleMessage(), stop.signal))
    assert.equal(rig.received().length, 0)
  })

  withRig('it may be closed twice', async (rig) => {
    await rig.notifier.close()
    await rig.notifier.close()
  })
}

export async function refusal(work: Promise<unknown>): Promise<Refusal> {
  try {
    await work
  } catch (error) {
    if (error instanceof Refusal) return error
    throw error
  }
  throw new Error('expected a refusal')
}
