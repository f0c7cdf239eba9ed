import assert from 'node:assert/strict'
import { chmodSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { JumpingClock, Rig, work } from '../../test/helpers/agent-rig.ts'
import { AgentServer } from '../../test/helpers/agent-server.ts'
import { dayMs, hourMs, iso, minuteMs } from '../base/clock.ts'
import { Refusal } from '../base/errors.ts'
import { activeCredential } from './agent-state.ts'

suite('renewal', () => {
  test('happens by itself in the loop, many times, and the old certificate serves until the new one did', async () => {
    const rig = await new Rig({ validityMs: 9 * dayMs, renewBeforeMs: 4 * dayMs }).enrolled()
    rig.clock.endAt = rig.clock.at + 36 * dayMs
    await (await rig.boot()).run(rig.clock.stop.signal)
    await rig.activeSerial()
    // 9 days of life, renewed after 6 to 6.45 of them
    assert.equal(rig.server.issued.length, 1 + 5)
    const lines = rig.events.filter(({ event }) => event === 'wait').map(({ message }) => message)
    assert.match(lines[0] ?? '', /^the renewal is due on 2026-11-26T/)
  })

  test('takes the CA certificates that came with the time, and asks again when they are another chain', async () => {
    const rig = await new Rig({ config: { hints: false } }).enrolled()
    await rig.toRenewal()
    rig.server.asked.length = 0
    await work(rig, await rig.boot())
    const once = ['cacerts by certificate', 'reenroll by certificate', 'credential by certificate']
    assert.deepEqual(rig.server.asked, once)

    await rig.toRenewal()
    rig.server.asked.length = 0
    const { der } = rig.server.root.certificate
    rig.server.says = ({ operation, bearer }) =>
      operation === 'cacerts' && bearer.kind === 'certificate'
        ? { kind: 'done', certificates: [der], serverNow: rig.server.now }
        : null
    await work(rig, await rig.boot())
    assert.deepEqual(rig.server.asked, [
      'reenroll by certificate',
      'cacerts by nobody',
      'credential by certificate',
    ])
    assert.equal(rig.server.issued.length, 3)
  })

  test('comes too early: waits as long as the server says, with the key that it has', async () => {
    const rig = await new Rig({ renewBeforeMs: 10 * dayMs }).enrolled()
    await rig.toRenewal()
    const agent = await rig.boot()
    const first = await agent.settle('keep')
    assert.equal(first.outcome, 'waiting')
    assert.match(first.detail, /too early/)
    const opensAt = (rig.server.issued[0]?.certificate.notAfter ?? 0) - 10 * dayMs
    assert.ok(first.retryAt !== null && first.retryAt >= opensAt && first.retryAt <= opensAt + hourMs)
    rig.clock.at = first.retryAt - 1
    assert.equal((await agent.step()).step.kind, 'wait')
    rig.clock.at = first.retryAt
    assert.equal((await agent.step()).step.kind, 'request')
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('an outage is survived with growing, bounded pauses', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.says = () => ({ kind: 'failed', detail: 'no route', serverNow: null })
    const agent = await rig.boot()
    const pauses: number[] = []
    for (let i = 0; i < 14; i++) {
      const { retryAt, outcome } = await agent.step()
      assert.equal(outcome, 'failed')
      assert.ok(retryAt !== null)
      pauses.push(retryAt - rig.clock.at)
      rig.clock.at = retryAt
    }
    assert.ok(Math.min(...pauses) >= minuteMs)
    assert.ok(Math.max(...pauses) > hourMs && Math.max(...pauses) <= 6 * hourMs, String(pauses))
    rig.server.says = null
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('a trial that fails leaves the old certificate active; the next one that works swaps', async () => {
    const rig = await new Rig().enrolled()
    const before = await rig.activeSerial()
    await rig.toRenewal()
    const agent = await rig.boot()
    const first = rig.server.issued[0]?.certificate
    rig.server.says = ({ operation, bearer }) => {
      const isTrial = operation === 'credential' && bearer.kind === 'certificate'
      return isTrial ? { kind: 'failed', detail: 'reset', serverNow: null } : null
    }
    const failed = await agent.settle('keep')
    assert.deepEqual([failed.step.kind, failed.outcome], ['try', 'failed'])
    assert.equal(await rig.activeSerial(), before)
    assert.ok(first && rig.server.accepts(first))
    rig.server.says = null
    await work(rig, await rig.boot())
    assert.notEqual(await rig.activeSerial(), before)
  })

  test('a server that refuses the new certificate is asked about the old one: retired, so the new one is used', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    const agent = await rig.boot()
    rig.server.says = ({ operation, bearer }) => {
      const [first, second] = rig.server.issued
      if (operation !== 'credential' || bearer.kind !== 'certificate' || !first || !second) return null
      // the answer is lost, what it stands for is not
      second.status = 'confirmed'
      first.status = 'superseded'
      return { kind: 'refused', detail: 'alert', serverNow: null }
    }
    assert.equal((await agent.settle('keep')).outcome, 'refused')
    rig.server.says = null
    rig.clock.at += dayMs
    const { step, isActivated } = await (await rig.boot()).step()
    assert.deepEqual([step.kind, isActivated], ['request', true])
    assert.equal(await rig.activeSerial(), rig.server.issued[1]?.certificate.serialNumber)
  })

  test('a server that refuses the new certificate and wants the old one gets another key in the end', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.says = ({ operation, bearer }) =>
      operation === 'credential' && bearer.kind === 'certificate' && rig.server.issued.length === 2
        ? { kind: 'refused', detail: 'alert', serverNow: null }
        : null
    await work(rig, await rig.boot())
    assert.equal(rig.server.issued.length, 3)
    assert.equal(await rig.activeSerial(), rig.server.issued[2]?.certificate.serialNumber)
  })

  test('a certificate of a stranger, for another key or with other names is not stored', async () => {
    const stranger = new AgentServer(new JumpingClock())
    const rig = await new Rig().enrolled()
    const before = await rig.activeSerial()
    await rig.toRenewal()
    const wrong = [
      stranger.root.certificate.der,
      rig.server.issuing.certificate.der,
      rig.server.issued[0]!.certificate.der,
    ]
    for (const der of wrong) {
      rig.server.says = ({ operation }) =>
        operation === 'reenroll' ? { kind: 'done', certificates: [der], serverNow: rig.clock.at } : null
      const result = await (await rig.boot()).settle('renew')
      assert.equal(result.outcome, 'refused')
      assert.match(result.detail, /not ours/)
      assert.equal(await rig.activeSerial(), before)
    }
  })
})

suite('enrolment', () => {
  test('a wrong secret changes nothing, and the right one goes on with the same key', async () => {
    const rig = await new Rig().setUp()
    for (let i = 0; i < 5; i++) {
      const { outcome } = await (await rig.boot('wrong')).settle('enrol')
      assert.equal(outcome, 'refused')
    }
    const [held] = Object.values((await (await rig.boot()).state()).slots)
    assert.equal(held?.kind, 'requested')
    assert.equal((await (await rig.boot()).settle('enrol')).isActivated, true)
    assert.equal(rig.server.issued[0]?.spkiHash, held.spkiHash)
  })

  test('a device that slept past its end comes back with a new secret; until then it keeps asking', async () => {
    const rig = await new Rig().enrolled()
    rig.clock.at += 200 * dayMs
    const { outcome } = await (await rig.boot()).settle('keep')
    assert.equal(outcome, 'refused')
    const held = (await (await rig.boot()).state()).slots.b
    assert.equal(held.kind, 'requested')
    rig.server.newSecret('secret-2')
    assert.equal((await (await rig.boot('secret-2')).settle('enrol')).isActivated, true)
    assert.equal(await rig.activeSerial(), rig.server.issued[1]?.certificate.serialNumber)
    await rig.toRenewal()
    await work(rig, await rig.boot())
    assert.equal(await rig.activeSerial(), rig.server.issued[2]?.certificate.serialNumber)
  })

  test('a storage that loses what is written is not worn out by trying', async () => {
    const rig = await new Rig().setUp()
    let writes = 0
    const forgets = await rig.boot('secret-1', async () => void writes++)
    const result = await forgets.settle('enrol')
    assert.equal(result.outcome, 'failed')
    assert.match(result.detail, /does not keep/)
    assert.equal(result.retryAt, rig.clock.at + hourMs)
    assert.ok(writes <= 24, `${writes} writes`)
  })

  test('without a certificate the loop says what to do', async () => {
    const rig = await new Rig().setUp()
    const run = (await rig.boot()).run(rig.clock.stop.signal)
    await assert.rejects(run, (error) => error instanceof Refusal && error.code === 'not-found')
  })

  test('keys and directory are private, and an open directory is refused', async () => {
    const rig = await new Rig().enrolled()
    assert.equal(statSync(join(rig.directory, 'a.key')).mode & 0o777, 0o600)
    chmodSync(rig.directory, 0o750)
    await assert.rejects(
      rig.boot(),
      (error) => error instanceof Refusal && error.code === 'data-directory-invalid',
    )
    chmodSync(rig.directory, 0o700)
    chmodSync(join(rig.directory, 'a.key'), 0o640)
    await assert.rejects((await rig.boot()).state(), /open to other users/)
  })
})

suite('clock', () => {
  test('a jump of ten years ahead starts no renewal: the server is asked for the time first', async () => {
    const rig = await new Rig({ validityMs: 90 * dayMs, renewBeforeMs: 90 * dayMs }).enrolled()
    const agent = await rig.boot()
    rig.clock.at += 3650 * dayMs
    rig.server.clockOffsetMs = -3650 * dayMs
    assert.equal((await agent.step()).step.kind, 'ask-time')
    assert.equal((await agent.step()).step.kind, 'ask-hint')
    const { step } = await agent.step()
    assert.equal(step.kind, 'wait')
    assert.match(step.kind === 'wait' ? step.why : '', /by the clock of the server$/)
    assert.equal(rig.server.issued.length, 1)
    assert.ok(
      rig.events.some(({ event, message }) => event === 'clock' && /this device says 2036/.test(message)),
    )
  })

  test('a jump back before the certificate is noticed, and the renewal still comes in time', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.clockOffsetMs = 3650 * dayMs
    rig.clock.at -= 3650 * dayMs
    const agent = await rig.boot()
    assert.equal((await agent.step()).step.kind, 'ask-time')
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('a server that told a wrong time once does not keep away a device whose own clock is right', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.server.clockOffsetMs = 3650 * dayMs
    const agent = await rig.boot()
    await agent.step()
    rig.server.clockOffsetMs = 0
    const asked: (number | undefined)[] = []
    rig.server.says = ({ at }) => {
      asked.push(at)
      // as of that time its own certificate is long over
      return at === undefined ? null : { kind: 'failed', detail: 'path-invalid', serverNow: null }
    }
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
    assert.ok(asked.length > 0 && asked.every((at) => at === undefined), 'the system clock comes first')
  })

  test('a clock that hides the server is not corrected by what nobody proves', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    rig.clock.at -= 3650 * dayMs
    rig.server.clockOffsetMs = 3650 * dayMs
    rig.server.says = ({ at }) =>
      at === undefined
        ? { kind: 'failed', detail: 'not yet valid', serverNow: null, isOutOfTime: true }
        : null
    const agent = await rig.boot()
    const { step, outcome } = await agent.step()
    assert.deepEqual([step.kind, outcome], ['ask-time', 'failed'], 'nobody proves the time')
  })

  test('a clock that is behind does not sleep over what the server asks for', async () => {
    const rig = await new Rig({ validityMs: 90 * dayMs, renewBeforeMs: 90 * dayMs }).enrolled()
    const agent = await rig.boot()
    rig.clock.at += 40 * dayMs
    const serial = activeCredential(await agent.state())?.certificate.serialNumber
    const window = { start: iso(rig.clock.at), end: iso(rig.clock.at + dayMs) }
    const trigger = {
      v: 1,
      kind: 'renew',
      certificate: `issuing/${serial}`,
      window,
      issuedAt: iso(rig.clock.at),
    }
    rig.server.clockOffsetMs = 30 * dayMs
    rig.clock.at -= 30 * dayMs
    await agent.receive({ kind: 'renew', payload: Buffer.from(JSON.stringify(trigger)) })
    assert.equal((await agent.step()).step.kind, 'ask-time')
    // drawn from the window, which is over after a day
    rig.clock.at += dayMs
    await work(rig, agent)
    assert.equal(rig.server.issued.length, 2)
  })

  test('a hold that a clock of the future has set does not outlive the correction of that clock', async () => {
    const rig = await new Rig().enrolled()
    await rig.toRenewal()
    const right = rig.clock.at
    rig.clock.at += 3650 * dayMs
    rig.server.says = () => ({ kind: 'failed', detail: 'certificate has expired', serverNow: null })
    assert.equal((await (await rig.boot()).step()).outcome, 'failed')
    rig.server.says = null
    rig.clock.at = right
    await work(rig, await rig.boot())
    assert.equal(rig.server.issued.length, 2)
  })
})
