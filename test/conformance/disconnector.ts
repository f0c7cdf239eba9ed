/** What every connector that ends sessions must do. Called once per connector, with a peer behind it that has sessions. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { Refusal } from '../../src/base/errors.ts'
import type { DeviceId } from '../../src/base/id.ts'
import type { Disconnector, SessionTarget } from '../../src/engine/ports.ts'

export interface DisconnectorUnderTest {
  readonly disconnector: Disconnector
  /** The device connects. @returns false when it is not let in */
  connect(device: DeviceId): Promise<boolean>
  /** Sessions of the device that are open now; given a moment, when the peer needs one. */
  sessions(device: DeviceId): Promise<number>
  /** From now on nothing gets through. */
  breakPeer(): Promise<void>
  repairPeer(): Promise<void>
  /** Passwords, tokens and keys: none may be found in an error. */
  readonly secrets?: readonly string[]
  close(): Promise<void>
}

export interface DisconnectorConformance {
  readonly name: string
  readonly open: (t: TestContext) => Promise<DisconnectorUnderTest>
  /** `bar`: the peer can keep nobody out. */
  readonly without?: readonly 'bar'[]
}

const one = 'meter-1' as DeviceId
const two = 'meter-2' as DeviceId
const never = new AbortController().signal
let cuts = 0

function target(deviceId: DeviceId, why: SessionTarget['why'] = 'revoked'): SessionTarget {
  cuts += 1
  return { deviceId, why, cutId: cuts, requestedAt: Date.UTC(2026, 10, 20, 12) }
}

export function disconnectorConformance({ name, open, without = [] }: DisconnectorConformance): void {
  const start = async (t: TestContext): Promise<DisconnectorUnderTest> => {
    const peer = await open(t)
    t.after(() => peer.close())
    return peer
  }

  test(`${name}: the sessions of the device end, and nobody else's`, async (t) => {
    const { disconnector, connect, sessions } = await start(t)
    assert.ok(disconnector.parallel >= 1)
    assert.ok((await connect(one)) && (await connect(two)))
    const ended = await disconnector.cut({ ...target(one), isBarred: true }, never)
    assert.ok(ended === null || ended === 1, `${ended} sessions were ended`)
    assert.equal(await sessions(one), 0)
    assert.equal(await sessions(two), 1)
  })

  test(`${name}: to cut twice, and a device that is not connected or not known, is no failure`, async (t) => {
    const { disconnector, connect, sessions } = await start(t)
    assert.ok(await connect(one))
    const twice = { ...target(one), isBarred: true }
    await disconnector.cut(twice, never)
    await disconnector.cut(twice, never)
    await disconnector.cut({ ...target('nobody' as DeviceId), isBarred: true }, never)
    await disconnector.cut({ ...target('nobody-else' as DeviceId, 'expired'), isBarred: false }, never)
    await disconnector.admit(target('stranger' as DeviceId, 'released'), never)
    assert.equal(await sessions(one), 0)
  })

  test(`${name}: who is cut and not barred comes back with its next certificate`, async (t) => {
    const { disconnector, connect, sessions } = await start(t)
    assert.ok(await connect(one))
    await disconnector.cut({ ...target(one, 'expired'), isBarred: false }, never)
    assert.equal(await sessions(one), 0)
    assert.ok(await connect(one))
    assert.equal(await sessions(one), 1)
  })

  // where the peer can keep nobody out there is nothing to test
  if (!without.includes('bar')) {
    test(`${name}: who is barred stays out until he is admitted`, async (t) => {
      const { disconnector, connect, sessions } = await start(t)
      assert.ok(await connect(one))
      await disconnector.cut({ ...target(one), isBarred: true }, never)
      assert.equal(await connect(one), false)
      await disconnector.admit(target(one, 'released'), never)
      await disconnector.admit(target(one, 'released'), never)
      assert.ok(await connect(one))
      assert.equal(await sessions(one), 1)
    })
  }

  test(`${name}: a peer that is down is a failure that can be repeated, and tells no secret`, async (t) => {
    const { disconnector, connect, sessions, breakPeer, repairPeer, secrets = [] } = await start(t)
    assert.ok(await connect(one))
    await breakPeer()
    const cut = { ...target(one), isBarred: true }
    await assert.rejects(disconnector.cut(cut, never), (error) => {
      assert.ok(error instanceof Refusal)
      assert.equal(error.code, 'connector-failed')
      for (const secret of secrets) assert.ok(!error.message.includes(secret), error.message)
      return true
    })
    await repairPeer()
    await disconnector.cut(cut, never)
    assert.equal(await sessions(one), 0)
  })

  test(`${name}: what is aborted before it begins is not sent`, async (t) => {
    const { disconnector, connect, sessions } = await start(t)
    assert.ok(await connect(one))
    const aborted = AbortSignal.abort()
    await assert.rejects(disconnector.cut({ ...target(one), isBarred: true }, aborted))
    assert.equal(await sessions(one), 1)
    await disconnector.close()
    await disconnector.close()
  })
}
