/** What every trigger channel must do. Called once per channel, with a real peer (broker, provider, web server) behind it. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { dayMs } from '../../src/base/clock.ts'
import { Refusal, type RefusalCode } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/id.ts'
import type { Trigger, TriggerChannel } from '../../src/engine/ports.ts'

export interface TriggerChannelUnderTest {
  readonly channel: TriggerChannel
  /**
   * What the peer has got since the start, oldest first, each as text in which the names of the trigger can be found.
   * Resolves when there are `count`, or after a moment with what there is: the suite then says what is missing.
   */
  received(count: number): Promise<readonly string[]>
  /** From now on nothing gets through: the peer is stopped, or answers that it cannot. */
  breakPeer(): Promise<void>
  repairPeer(): Promise<void>
  /** The peer takes connections and never answers, if that can be played. */
  stallPeer?(): Promise<void>
  /** What still stands at the peer for this device (a retained message), null when nothing does; absent: nothing ever stands. */
  standing?(deviceId: DeviceId): Promise<string | null>
  /** Passwords, tokens and keys of the channel: none may be found in an error. */
  readonly secrets?: readonly string[]
  /** What makes a device one that this channel cannot reach, such as a missing number. */
  readonly unreachable?: Partial<Trigger>
  close(): Promise<void>
}

export interface TriggerConformance {
  readonly name: string
  /** A fresh channel with a fresh peer at each call. */
  readonly open: (t: TestContext) => Promise<TriggerChannelUnderTest>
  /** What cannot be played with this channel; its tests are left out. */
  readonly without?: readonly ('stallPeer' | 'unreachable')[]
}

const sentAt = Date.UTC(2026, 10, 20, 12)

/** A trigger for the device `meter-1`, which has all that a channel may ask for. */
export function sampleTrigger(changes: Partial<Trigger> = {}): Trigger {
  const renewalId = changes.renewalId ?? 4711
  return {
    renewalId,
    idempotencyKey: `${renewalId}.0.1`,
    campaignId: 'spring',
    deviceId: 'meter-1' as DeviceId,
    slot: 'default',
    certificate: 'issuing/0a1b2c3d4e5f60718293a4b5c6d7e8f901',
    notAfter: sentAt + 90 * dayMs,
    window: { start: sentAt, end: sentAt + 60 * dayMs },
    issuedAt: sentAt,
    tags: { msisdn: '+491701234567' },
    site: 'berlin',
    ...changes,
  }
}

export function triggerConformance({ name, open, without = [] }: TriggerConformance): void {
  const start = async (t: TestContext): Promise<TriggerChannelUnderTest> => {
    const peer = await open(t)
    t.after(() => peer.close())
    return peer
  }
  const never = new AbortController().signal

  test(`${name}: a trigger arrives, and names the renewal and the certificate`, async (t) => {
    const { channel, received } = await start(t)
    assert.ok(channel.parallel >= 1)
    const trigger = sampleTrigger()
    const { reference } = await channel.send(trigger, never)
    assert.ok(reference === null || reference.length > 0)
    const [message, ...others] = await received(1)
    assert.ok(message !== undefined, 'nothing arrived')
    assert.match(message, /4711/)
    assert.ok(message.includes(trigger.certificate), `${message} does not name ${trigger.certificate}`)
    assert.deepEqual(others, [])
  })

  test(`${name}: as many at one time as it offers, each to its own device`, async (t) => {
    const { channel, received } = await start(t)
    const count = Math.min(channel.parallel, 16)
    const triggers = Array.from({ length: count }, (_, i) =>
      sampleTrigger({ renewalId: 90_000 + i, deviceId: `meter-${i}` as DeviceId }),
    )
    await Promise.all(triggers.map((trigger) => channel.send(trigger, never)))
    const messages = await received(count)
    assert.equal(messages.length, count)
    for (const { renewalId } of triggers) {
      assert.equal(messages.filter((message) => message.includes(String(renewalId))).length, 1)
    }
  })

  test(`${name}: the same trigger twice does no harm`, async (t) => {
    const { channel, received, standing } = await start(t)
    const trigger = sampleTrigger()
    await channel.send(trigger, never)
    const [first] = await received(1)
    await channel.send(trigger, never)
    for (const message of await received(2)) {
      const isSame = message === first || message.includes(trigger.idempotencyKey)
      assert.ok(isSame, `${message} is neither the first message nor carries ${trigger.idempotencyKey}`)
    }
    if (standing) assert.match((await standing(trigger.deviceId)) ?? 'nothing', /4711/)
  })

  test(`${name}: a peer that is down is a refusal without secrets, and the next attempt gets through`, async (t) => {
    const { channel, received, breakPeer, repairPeer, secrets = [] } = await start(t)
    await breakPeer()
    const refusal = await refusalOf(channel.send(sampleTrigger(), never), 'trigger-failed')
    for (const secret of secrets) {
      assert.ok(!textOf(refusal).includes(secret), 'a secret is in the error')
    }
    await repairPeer()
    await channel.send(sampleTrigger({ renewalId: 4712 }), never)
    const messages = await received(1)
    assert.ok(
      messages.some((message) => message.includes('4712')),
      'nothing arrived after the repair',
    )
  })

  test(`${name}: a send that was aborted before it began sends nothing`, async (t) => {
    const { channel, received } = await start(t)
    await assert.rejects(channel.send(sampleTrigger({ renewalId: 4713 }), AbortSignal.abort()))
    await channel.send(sampleTrigger({ renewalId: 4714 }), never)
    const messages = await received(1)
    assert.deepEqual(
      messages.filter((message) => message.includes('4713')),
      [],
    )
    assert.equal(messages.length, 1)
  })

  const abortsLate = async (t: TestContext) => {
    const { channel, stallPeer, repairPeer } = await start(t)
    assert.ok(stallPeer, 'say without: stallPeer')
    await stallPeer()
    const stop = new AbortController()
    const sending = channel.send(sampleTrigger(), stop.signal)
    setImmediate(() => stop.abort())
    await assert.rejects(sending)
    await repairPeer()
  }
  if (!without.includes('stallPeer')) {
    test(`${name}: an abort ends a send whose peer never answers`, abortsLate)
  }

  const tellsUnreachable = async (t: TestContext) => {
    const { channel, received, unreachable } = await start(t)
    assert.ok(unreachable, 'say without: unreachable')
    await refusalOf(channel.send(sampleTrigger(unreachable), never), 'trigger-impossible')
    await channel.send(sampleTrigger(), never)
    assert.equal((await received(1)).length, 1)
  }
  if (!without.includes('unreachable')) {
    test(`${name}: a device that cannot be reached this way is told from a failure`, tellsUnreachable)
  }

  test(`${name}: what stands can be taken back, more than once`, async (t) => {
    const { channel, standing } = await start(t)
    const trigger = sampleTrigger()
    await channel.retract?.(trigger.deviceId, never)
    await channel.send(trigger, never)
    await channel.retract?.(trigger.deviceId, never)
    await channel.retract?.(trigger.deviceId, never)
    if (standing) assert.equal(await standing(trigger.deviceId), null)
  })

  test(`${name}: closing twice is closing once, and a closed channel sends nothing`, async (t) => {
    const { channel, received } = await start(t)
    await channel.send(sampleTrigger(), never)
    await received(1)
    await Promise.all([channel.close(), channel.close()])
    await channel.close()
    await refusalOf(channel.send(sampleTrigger({ renewalId: 4715 }), never), 'trigger-failed')
    const late = (await received(1)).filter((message) => message.includes('4715'))
    assert.deepEqual(late, [])
  })
}

async function refusalOf(work: Promise<unknown>, code: RefusalCode): Promise<Refusal> {
  const outcome = await work.then(
    () => 'success',
    (error: unknown) => error,
  )
  assert.ok(outcome instanceof Refusal, `expected a refusal ${code}, got ${String(outcome)}`)
  assert.equal(outcome.code, code)
  return outcome
}

/** Everything that a log line would show of the error. */
function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return [error.message, error.stack ?? '', textOf(error.cause ?? '')].join('\n')
}
