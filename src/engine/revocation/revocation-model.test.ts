/**
 * Revoked never becomes good, never authenticates and never renews: whatever happens to a device and in whatever order, over
 * EST, over MQTT with a connection and with a signature, in OCSP and in the CRL. Only a hold is taken back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { array, assert as property, asyncProperty, constantFrom } from 'fast-check'
import { dayMs, hourMs } from '../../base/clock.ts'
import { Refusal } from '../../base/errors.ts'
import type { CertificateId, DeviceId } from '../../base/id.ts'
import {
  enrolDevice,
  enrolled,
  forEachEngine,
  freshSecret,
  issuingId,
  renew,
  renewalCsr,
  requestOf,
  testActor,
  testSettings,
  type Enrolled,
  type TestEngine,
} from '../../../test/helpers/app.ts'
import { createKey } from '../../../test/helpers/ca.ts'
import { certId, ocspRequest, readOcsp } from '../../../test/helpers/ocsp.ts'
import { parseCrl } from '../../pki/crl-read.ts'
import { setStatus } from '../../store/certificates.ts'
import { isHeld } from '../../store/holds.ts'
import { findCertificate } from '../../store/inventory.ts'
import { openCase, openCaseOf } from '../cases/case.ts'
import { closeCase } from '../cases/verdict.ts'
import { admitConnection } from '../inventory/device-connection.ts'
import { enroll } from '../issuing/enroll.ts'
import { createJobs } from '../jobs.ts'
import { noteSighting } from '../renewals/sighting.ts'
import { currentCrl } from './crl.ts'
import { crlJob } from './crl-publish.ts'
import { answerOcsp } from './ocsp.ts'
import { revokeCertificate, revokeDevice } from './revoke.ts'

const id = 'SN-1' as DeviceId

/** Holds are allowed, and renewal is always open. */
const profiles = [...testSettings().profiles.values()]
  .filter(({ name }) => name === 'industrial')
  .map((profile) =>
    Object.assign({}, profile, {
      hold: true,
      validityMs: 90 * dayMs,
      renewBeforeMs: 89 * dayMs,
      jitterMs: 0,
    }),
  )

const commands = [
  'renew',
  'renew-while-revoked',
  'use',
  'retire',
  'secret',
  'revoke-newest',
  'revoke-oldest',
  'revoke-device',
  'hold',
  'case',
  'clear',
  'publish',
  'hours',
] as const
type Command = (typeof commands)[number]

class Model {
  readonly #rig: TestEngine
  readonly #held: Enrolled[] = []
  /** Revoked for good at some moment. */
  readonly #gone = new Set<CertificateId>()

  constructor(rig: TestEngine) {
    this.#rig = rig
  }

  async begin(): Promise<void> {
    this.#held.push(await enrolDevice(this.#rig.engine, id))
  }

  /** What is refused is refused: the invariants are looked at afterwards. */
  async run(command: Command): Promise<void> {
    try {
      await this.#do(command)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
    }
    await this.#look()
  }

  async #do(command: Command): Promise<unknown> {
    const { engine, clock } = this.#rig
    const [newest, oldest] = [this.#held.at(-1) as Enrolled, this.#held[0] as Enrolled]
    const theft = { reason: 'keyCompromise', actor: testActor } as const
    switch (command) {
      case 'renew':
        return this.#held.push(await renew(engine, newest))
      case 'renew-while-revoked': {
        // both are under way at one time, and either may be first
        const [renewed] = await Promise.allSettled([renew(engine, newest), revokeDevice(engine, id, theft)])
        if (renewed.status === 'fulfilled') this.#held.push(renewed.value)
        return undefined
      }
      case 'use':
        return await noteSighting(engine, newest.certificate)
      case 'retire':
        return await engine.store.transaction((tx) =>
          setStatus(tx, oldest.record.id, { status: 'superseded', reason: null }),
        )
      case 'secret': {
        const key = createKey()
        const request = requestOf(await freshSecret(engine, id), key.csr())
        return this.#held.push(enrolled(await enroll(engine, request), key))
      }
      case 'revoke-newest':
        return await revokeCertificate(engine, newest.record, theft)
      case 'revoke-oldest':
        return await revokeCertificate(engine, oldest.record, { ...theft, reason: 'superseded' })
      case 'revoke-device':
        return await revokeDevice(engine, id, theft)
      case 'hold':
        return await revokeDevice(engine, id, { ...theft, reason: 'certificateHold' })
      case 'case':
        return await openCase(engine, { deviceId: id, actor: testActor })
      case 'clear': {
        const { id: number } = await openCaseOf(engine, id)
        return await closeCase(engine, { id: number, verdict: 'cleared', actor: testActor })
      }
      case 'publish':
        return await createJobs(engine, [crlJob]).pass(crlJob.name)
      case 'hours':
        return await clock.advance(3 * hourMs)
    }
  }

  async #look(): Promise<void> {
    const { engine } = this.#rig
    for (const device of this.#held) {
      const record = await findCertificate(engine.store.db, device.record.id)
      assert.ok(record)
      if (record.status === 'revoked' && !isHeld(record)) this.#gone.add(record.id)
      const isOut = record.status === 'revoked'
      if (this.#gone.has(record.id)) assert.ok(isOut && !isHeld(record), 'revoked for good stays so')
      if (isOut) await this.#isOut(device)
      assert.equal((await this.#ocsp(device)).startsWith('good'), !isOut)
    }
  }

  /** Over every way there is. */
  async #isOut({ peer, certificate, key }: Enrolled): Promise<void> {
    const { engine, clock } = this.#rig
    const csr = () => renewalCsr(createKey(), certificate)
    const ways: readonly (readonly [string, () => Promise<unknown>])[] = [
      ['EST reenroll', () => enroll(engine, requestOf(peer, csr(), { operation: 'reenroll' }))],
      ['EST enroll', () => enroll(engine, requestOf(peer, csr(), { operation: 'enroll' }))],
      ['its own key again', () => enroll(engine, requestOf(peer, key.csr(), { operation: 'reenroll' }))],
      ['an MQTT session', () => admitConnection(engine, { address: '', certificate }, clock.now())],
    ]
    for (const [way, work] of ways) {
      await assert.rejects(
        work(),
        (error) => error instanceof Refusal && error.code.startsWith('device-'),
        way,
      )
    }
    assert.equal(await noteSighting(engine, certificate), null, 'it is no sign of life')
  }

  async #ocsp({ record }: Enrolled): Promise<string> {
    const issuer = await this.#rig.engine.issuers.find(issuingId)
    assert.ok(issuer)
    const request = ocspRequest([certId(issuer.certificate, record.serialNumber)])
    return readOcsp((await answerOcsp(this.#rig.engine, request)).der).singles[0] ?? ''
  }

  /** After a last pass, every CRL that is in force lists what is out, and nothing else. */
  async end(): Promise<void> {
    const { engine, clock } = this.#rig
    await clock.advance(hourMs)
    await createJobs(engine, [crlJob]).pass(crlJob.name)
    for (const kind of ['shard', 'complete'] as const) {
      const published = await currentCrl(engine, { issuerId: issuingId, kind, shard: 0 })
      assert.ok(published)
      const crl = parseCrl(published.der)
      for (const { record } of this.#held) {
        const { status } = (await findCertificate(engine.store.db, record.id)) ?? {}
        assert.equal(crl.find(record.serialNumber) !== null, status === 'revoked', `${kind} and ${status}`)
      }
    }
  }
}

forEachEngine((start) => {
  test('revoked never becomes good, never authenticates, never renews', async () => {
    await property(
      asyncProperty(array(constantFrom(...commands), { minLength: 4, maxLength: 14 }), async (steps) => {
        const rig = await start({ profiles })
        const model = new Model(rig)
        await model.begin()
        for (const step of steps) await model.run(step)
        await model.end()
        await rig.close()
      }),
      { numRuns: 12 },
    )
  })
})
