import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { bundleKey, makeBundle } from '../../test/helpers/agent-bundle.ts'
import { Rig, work } from '../../test/helpers/agent-rig.ts'
import { makeCertificate, san } from '../../test/helpers/certificates.ts'
import { dayMs, hourMs } from '../base/clock.ts'
import type { OtaBundle, OtaPayload } from '../pki/ota-bundle.ts'
import { encodePem } from '../pki/pem.ts'
import { readSetup } from './open-agent.ts'

const pemOf = ({ certificate }: { certificate: { der: Uint8Array } }): string =>
  encodePem('CERTIFICATE', certificate.der)

async function newRig(): Promise<Rig> {
  return await new Rig({ config: { bundleKeys: [bundleKey] } }).enrolled()
}

function bundleOf(rig: Rig, payload: OtaPayload, version = 1): OtaBundle {
  const now = rig.clock.now()
  return { device: 'device-1', version, notBefore: now - hourMs, expiresAt: now + 2 * dayMs, payload }
}

/** It comes, and the agent does what it can. */
async function give(rig: Rig, bundle: OtaBundle): Promise<void> {
  const agent = await rig.boot()
  await agent.receive({ kind: 'bundle', payload: await makeBundle(bundle) })
  await agent.settle('keep')
}

async function anchors(rig: Rig): Promise<string[]> {
  return ((await readSetup(rig.directory))?.anchors ?? []).map((certificate) => pemOf({ certificate }))
}

const seconds = (at: number): number => Math.floor(at / 1000) * 1000

const warnings = (rig: Rig): string =>
  rig.events
    .filter(({ level }) => level === 'warn')
    .map(({ message }) => message)
    .join('\n')

suite('a trust bundle', () => {
  test('replaces the anchors when the server proves itself with the new ones', async () => {
    const rig = await newRig()
    const next = makeCertificate({ subject: 'CN=Next Root' })
    const certificates = [pemOf(rig.server.root), pemOf(next)]
    await give(rig, bundleOf(rig, { kind: 'trust', certificates }))
    assert.deepEqual(await anchors(rig), certificates)
  })

  test('with which the server cannot be verified is not taken, tried again, and dropped when it expires', async () => {
    const rig = await newRig()
    const stranger = makeCertificate({ subject: 'CN=Stranger' })
    const before = await anchors(rig)
    await give(rig, bundleOf(rig, { kind: 'trust', certificates: [pemOf(stranger)] }))
    assert.deepEqual(await anchors(rig), before)
    const agent = await rig.boot()
    const { bundle } = (await agent.state()).inbox
    assert.ok(bundle?.retryAt && bundle.retryAt > rig.clock.at)
    assert.equal((await agent.step()).step.kind, 'wait', 'it holds nothing up')
    rig.clock.at += 2 * dayMs
    await agent.settle('keep')
    assert.equal((await agent.state()).inbox.bundle, null)
    assert.deepEqual(await anchors(rig), before)
    assert.match(warnings(rig), /not taken/)
    await rig.toRenewal()
    await work(rig, await rig.boot())
    assert.equal(rig.server.issued.length, 2)
  })

  test('of certificates that are no anchors, or of nothing that is a certificate, is dropped', async () => {
    const rig = await newRig()
    const before = await anchors(rig)
    for (const [index, pem] of [
      pemOf(rig.server.issuing),
      encodePem('CERTIFICATE', Buffer.from('x')),
    ].entries()) {
      await give(rig, bundleOf(rig, { kind: 'trust', certificates: [pem] }, index + 1))
    }
    assert.deepEqual(await anchors(rig), before)
    assert.equal((await (await rig.boot()).state()).inbox.bundle, null)
  })

  test('that is older than one that was taken changes nothing, and neither does a forged one', async () => {
    const rig = await newRig()
    const next = makeCertificate({ subject: 'CN=Next Root' })
    const certificates = [pemOf(rig.server.root), pemOf(next)]
    await give(rig, bundleOf(rig, { kind: 'trust', certificates }, 5))
    await give(rig, bundleOf(rig, { kind: 'trust', certificates: [pemOf(rig.server.root)] }, 4))
    const text = Buffer.from(
      await makeBundle(bundleOf(rig, { kind: 'trust', certificates: [pemOf(next)] }, 9)),
    )
    await (
      await rig.boot()
    ).receive({ kind: 'bundle', payload: Buffer.from(text.toString().replace(':9', ':10')) })
    await work(rig, await rig.boot())
    assert.deepEqual(await anchors(rig), certificates)
    assert.match(warnings(rig), /older than 5/)
    assert.match(warnings(rig), /does not fit/)
  })
})

suite('a certificate bundle', () => {
  /** A certificate for that key, as the server's issuing CA would make it. */
  function certificateFor(rig: Rig, spki: Uint8Array, subject = 'CN=device-1,O=Example') {
    return makeCertificate({
      subject,
      issuer: rig.server.issuing,
      keys: { spki, privateKey: rig.server.root.keys.privateKey },
      notBefore: seconds(rig.clock.at - hourMs),
      notAfter: seconds(rig.clock.at + 60 * dayMs),
      extensions: [san('uri:urn:example:device-1')],
    })
  }

  test('for the key of the request that waits is stored, tried, and used when the server lets it in', async () => {
    const rig = await newRig()
    const serial = await rig.activeSerial()
    await rig.toRenewal()
    rig.server.says = ({ operation }) =>
      operation === 'reenroll' ? { kind: 'failed', detail: 'no way there', serverNow: rig.clock.at } : null
    const agent = await rig.boot()
    assert.equal((await agent.settle('keep')).outcome, 'failed')
    const idle = (await agent.state()).slots.b
    assert.ok(idle.kind === 'requested')
    const made = certificateFor(rig, idle.csr.spki)
    rig.server.adopt(made.certificate)
    const certificates = [pemOf(made), pemOf(rig.server.issuing)]
    await give(rig, bundleOf(rig, { kind: 'certificate', certificates }))
    assert.equal(await rig.activeSerial(), made.certificate.serialNumber)
    assert.notEqual(made.certificate.serialNumber, serial)
  })

  test('for the key in use is tried before it is written', async () => {
    const rig = await newRig()
    const state = await (await rig.boot()).state()
    assert.ok(state.slots.a.kind === 'stored')
    const serial = await rig.activeSerial()
    const unknown = certificateFor(rig, state.slots.a.certificate.spki)
    const chain = (made: typeof unknown): string[] => [pemOf(made), pemOf(rig.server.issuing)]
    await give(rig, bundleOf(rig, { kind: 'certificate', certificates: chain(unknown) }))
    assert.equal(await rig.activeSerial(), serial)
    const known = certificateFor(rig, state.slots.a.certificate.spki)
    rig.server.adopt(known.certificate)
    await give(rig, bundleOf(rig, { kind: 'certificate', certificates: chain(known) }, 2))
    assert.equal(await rig.activeSerial(), known.certificate.serialNumber)
  })

  test('for no key of the device, of a stranger, or with other names is dropped', async () => {
    const rig = await newRig()
    const serial = await rig.activeSerial()
    const state = await (await rig.boot()).state()
    assert.ok(state.slots.a.kind === 'stored')
    const { spki } = state.slots.a.certificate
    const wrong = [
      certificateFor(rig, makeCertificate().keys.spki),
      makeCertificate({
        subject: 'CN=device-1,O=Example',
        keys: { spki, privateKey: makeCertificate().keys.privateKey },
      }),
      certificateFor(rig, spki, 'CN=device-2,O=Example'),
    ]
    for (const [index, made] of wrong.entries()) {
      rig.server.adopt(made.certificate)
      const certificates = [pemOf(made), pemOf(rig.server.issuing)]
      await give(rig, bundleOf(rig, { kind: 'certificate', certificates }, index + 1))
      assert.equal(await rig.activeSerial(), serial)
      assert.equal((await (await rig.boot()).state()).inbox.bundle, null)
    }
  })
})
