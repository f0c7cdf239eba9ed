/** The figures of a real installation, on both stores: they are true, they are bounded, and they are not read for every scrape. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { enrolDevice, forEachEngine, registerDevice, testActor } from '../../test/helpers/app.ts'
import { dayMs, minuteMs, secondMs } from '../base/clock.ts'
import type { DeviceId } from '../base/id.ts'
import { alertsJob } from '../engine/alerts/alert-job.ts'
import { sealJob } from '../engine/audit/seal.ts'
import type { Engine } from '../engine/context.ts'
import { platformFigures } from '../engine/inventory/platform-figures.ts'
import { publishNow } from '../engine/revocation/crl-publish.ts'
import { revokeDevice } from '../engine/revocation/revoke.ts'
import { enqueueTask } from '../store/tasks.ts'
import { insertNotification, settleNotification } from '../store/notifications.ts'
import { Metrics, renderMetrics } from './metrics.ts'

const always = new AbortController().signal
const noFence = async (): Promise<void> => {}

function watch(engine: Engine): { readonly scrape: () => Promise<string>; readonly reads: () => number } {
  const metrics = new Metrics({ version: '1' })
  let reads = 0
  const read = async () => {
    reads++
    return await platformFigures(engine, engine.clock.now())
  }
  metrics.watchPlatform(read, engine.clock)
  return {
    scrape: async () => (await renderMetrics([await metrics.snapshot()])).text,
    reads: () => reads,
  }
}

function series(text: string): string[] {
  return text.split('\n').flatMap((line) => {
    const [name = ''] = line.split(/ (?=[^ ]*$)/)
    return line.startsWith('perennial_') ? [name] : []
  })
}

forEachEngine((start) => {
  test('devices, certificates, CRLs, the audit log, tasks, alerts and messages', async () => {
    const { engine, clock } = await start()
    const { scrape, reads } = watch(engine)
    for (const id of ['M-1', 'M-2', 'M-3']) await enrolDevice(engine, id)
    await registerDevice(engine, 'M-4')
    await revokeDevice(engine, 'M-3' as DeviceId, { reason: 'keyCompromise', actor: testActor })
    await publishNow(engine)
    await sealJob(minuteMs).run(engine, clock.now(), always, noFence)
    await engine.store.transaction(async (tx) => {
      const at = clock.now()
      await enqueueTask(tx, { kind: 'odd', key: null, payload: '{}', runAt: at, createdAt: at })
      const id = await insertNotification(tx, {
        notifier: 'ops.mail',
        event: 'test',
        alertId: null,
        message: '{}',
        createdAt: at,
      } as Parameters<typeof insertNotification>[1])
      await settleNotification(tx, { id, notifier: 'ops.mail', status: 'waiting', detail: 'x', now: at })
      await settleNotification(tx, { id, notifier: 'ops.mail', status: 'sent', detail: null, now: at })
    })
    await clock.advance(30 * secondMs)
    const text = await scrape()
    for (const line of [
      'perennial_devices{state="active"} 2',
      'perennial_devices{state="quarantined"} 1',
      'perennial_devices{state="registered"} 1',
      'perennial_database_up 1',
      // with those of the two CAs
      'perennial_certificates{status="issued"} 4',
      'perennial_certificates{status="revoked"} 1',
      'perennial_crl_entries{issuer="issuing",kind="complete"} 1',
      'perennial_audit_unsealed_age_seconds 0',
      'perennial_tasks{kind="odd",status="ready"} 1',
      'perennial_task_oldest_due_age_seconds{kind="odd"} 30',
      'perennial_notifications_total{notifier="ops.mail",result="sent"} 1',
      'perennial_device_clocks_off 0',
    ])
      assert.ok(text.split('\n').includes(line), `${line}\n${text}`)
    assert.match(text, /^perennial_audit_entries [1-9]/m)
    assert.match(text, /^perennial_issuer_not_after_seconds\{issuer="root"\} \d{10}$/m)
    assert.doesNotMatch(text, /M-[1-4]/, 'no device is a label')
    await scrape()
    assert.equal(reads(), 1)
    await clock.advance(10 * secondMs)
    await scrape()
    assert.equal(reads(), 2)
  })

  test('a larger fleet has no more series', async () => {
    const { engine, clock } = await start()
    const { scrape } = watch(engine)
    const grow = async (from: number, to: number) => {
      for (let n = from; n < to; n++)
        await enrolDevice(engine, `G-${n}`, { batch: `run-${n}`, cohort: `c-${n}`, site: `s-${n}` })
      await publishNow(engine)
      await clock.advance(20 * secondMs)
      return series(await scrape())
    }
    assert.deepEqual(await grow(1, 9), await grow(9, 17))
  })

  test('open alerts by rule and severity', async () => {
    const { engine, clock } = await start({ settings: {} })
    const { scrape } = watch(engine)
    const { record } = await enrolDevice(engine, 'A-1')
    const job = alertsJob()
    await clock.advance(record.notAfter + dayMs - clock.now())
    while ((await job.run(engine, clock.now(), always, noFence)).isBehind === true);
    assert.match(await scrape(), /^perennial_alerts\{rule="certificates-ended",severity="critical"\} 1$/m)
  })

  test('a database that is away takes its own figures with it, and no others', async () => {
    const { engine, clock } = await start()
    const metrics = new Metrics({ version: '1' })
    let isAway = true
    const read = async () => {
      if (isAway) throw new Error('away')
      return await platformFigures(engine, clock.now())
    }
    metrics.watchPlatform(read, clock)
    const scrape = async () => (await renderMetrics([await metrics.snapshot()])).text
    const away = await scrape()
    assert.match(away, /^perennial_database_up 0$/m)
    assert.match(away, /^perennial_build_info/m)
    assert.doesNotMatch(away, /^perennial_(devices|audit_entries|certificates_expired)\b/m)
    isAway = false
    await clock.advance(10 * secondMs)
    assert.match(await scrape(), /^perennial_database_up 1$[^]*^perennial_devices\{/m)
  })
})
