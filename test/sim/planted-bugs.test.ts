/** Bugs as somebody might write them, put into worlds through the seams that tests have: each must be found. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { fromBase64, toBase64 } from '../../src/base/bytes.ts'
import { dayMs } from '../../src/base/clock.ts'
import type { Job } from '../../src/engine/jobs.ts'
import { certsOnly, parseCertsOnly } from '../../src/pki/cms.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { fuzz, type Plant } from '../../src/sim/fuzz.ts'
import { campaignId } from '../../src/sim/setup.ts'
import { deviceIdOf } from '../../src/sim/fleet/factory.ts'
import type { World } from '../../src/sim/world.ts'
import { findCampaign, updateCampaign } from '../../src/store/campaigns.ts'
import { deleteTargets } from '../../src/store/campaign-targets.ts'
import { setStatus } from '../../src/store/certificates.ts'
import { addCounters } from '../../src/store/counters.ts'
import { setDeviceState } from '../../src/store/devices.ts'
import { findBySerial, listCertificates } from '../../src/store/inventory.ts'
import type { Store } from '../../src/store/open.ts'
import { unitEndOf } from '../../src/store/unit-end.ts'

/** Worlds that are looked at until the bug shows. */
const mostSeeds = 40

interface Bug {
  readonly name: string
  readonly plant: () => Plant
  readonly found: RegExp
}

const calm = {
  'network.lost': 0,
  'flash.powerCut': 0,
  'clock.wrong': 0,
  'firmware.bad': 0,
  'outage.share': 0,
}

/** The store, with something done to each unit of work. */
function altered(store: Store, transaction: Store['transaction']): Store {
  return {
    engine: store.engine,
    get db() {
      return store.db
    },
    transaction,
    migrate: () => store.migrate(),
    schemaVersion: () => store.schemaVersion(),
    backup: (path) => store.backup(path),
    close: () => store.close(),
  }
}

function after(jobs: readonly Job[], name: string, then: () => Promise<void>): Job[] {
  return jobs.map((job): Job => {
    if (job.name !== name) return job
    return {
      ...job,
      async run(...parts) {
        const result = await job.run(...parts)
        await then()
        return result
      },
    }
  })
}

function isIssued(path: string, status: number): boolean {
  return status === 200 && path.endsWith('reenroll')
}

async function certificatesOf(world: World, device: number) {
  return (await listCertificates(world.store.db, { filter: { deviceId: deviceIdOf(device) }, limit: 100 }))
    .rows
}

const bugs: readonly Bug[] = [
  {
    name: 'the old certificate is retired when the new one is issued',
    found: /holds only certificates that are superseded/,
    plant: () => {
      const renewed = new Set<number>()
      return {
        values: { ...calm, 'network.replyLost': 0.6 },
        told: (told) => {
          if (isIssued(told.request.path, told.answer.status)) renewed.add(told.device)
          return told
        },
        tick: async (world) => {
          for (const device of renewed) {
            const old = (await certificatesOf(world, device)).find(
              ({ predecessorId }) => predecessorId === null,
            )
            if (old)
              await world.store.transaction((tx) =>
                setStatus(tx, old.id, { status: 'superseded', reason: null }),
              )
          }
        },
      }
    },
  },
  {
    name: 'the answer leaves before the commit',
    found: /is not in the inventory|is reserved/,
    plant: () => ({
      values: calm,
      store: (store) => {
        let units = 0
        return altered(store, async (work) => {
          units += 1
          if (units < 60 || units % 9 !== 0) return await store.transaction(work)
          class Undone extends Error {}
          let value: unknown
          try {
            await store.transaction(async (tx) => {
              value = await work(tx)
              throw new Undone()
            })
          } catch (error) {
            if (!(error instanceof Undone)) throw error
          }
          return value as never
        })
      },
    }),
  },
  {
    name: 'a brake is ignored',
    found: /runs although its brake should hold it|left for .* although its campaign had stopped/,
    plant: () => ({
      values: { ...calm, 'firmware.bad': 0.6, 'campaign.window': dayMs },
      jobs: (jobs, world) =>
        after(jobs, 'renewals', async () => {
          const { store } = world()
          const record = await findCampaign(store.db, campaignId)
          if (record?.status !== 'paused' || !/silent/.test(record.reason ?? '')) return
          await store.transaction((tx) =>
            updateCampaign(tx, campaignId, { status: 'running', pausedAt: null, reason: null }),
          )
        }),
    }),
  },
  {
    name: 'the fence of a lease is dropped',
    found: /whose lease another had taken over/,
    plant: () => ({
      values: calm,
      jobs: (jobs) =>
        jobs.map((job): Job => ({
          ...job,
          run: (engine, now, signal) => job.run(engine, now, signal, async () => {}),
        })),
    }),
  },
  {
    name: 'a retry is answered with another certificate for the same key',
    found: /was answered with .*, and then with|serial number .* was handed out twice/,
    plant: () => {
      const first = new Map<number, string>()
      return {
        values: { ...calm, 'network.twice': 0.9, 'network.replyLost': 0 },
        told: (told) => {
          const { request, answer, device } = told
          if (!isIssued(request.path, answer.status)) return told
          const known = first.get(device)
          first.set(device, answer.body)
          return known === undefined
            ? told
            : { ...told, answer: { ...answer, body: withOtherSerial(answer.body) } }
        },
      }
    },
  },
  {
    name: 'a certificate goes to another device',
    found: /got a certificate for another device/,
    plant: () => {
      let other: string | null = null
      return {
        values: calm,
        told: (told) => {
          if (!isIssued(told.request.path, told.answer.status)) return told
          const body = other
          other = told.answer.body
          return body === null ? told : { ...told, answer: { ...told.answer, body } }
        },
      }
    },
  },
  {
    name: 'what is revoked comes back',
    found: /was revoked and is active/,
    plant: () => ({
      values: calm,
      tick: async (world) => {
        for (let device = 0; device < world.ledger.devices; device++) {
          if (!(await certificatesOf(world, device)).some(({ status }) => status === 'revoked')) continue
          await world.store.transaction((tx) => setDeviceState(tx, deviceIdOf(device), 'active'))
        }
      },
    }),
  },
  {
    name: 'messages leave a campaign that stands still',
    found: /left for .* although its campaign had stopped/,
    plant: () => ({
      values: calm,
      jobs: (jobs, world) =>
        after(jobs, 'trigger.mqtt', async () => {
          const record = await findCampaign(world().store.db, campaignId)
          if (record?.status !== 'paused') return
          const channel = world().channels.byKind.get('mqtt')
          const now = world().now()
          await channel?.send(
            {
              renewalId: 1,
              idempotencyKey: 'planted',
              campaignId,
              deviceId: deviceIdOf(0),
              slot: 'default',
              certificate: 'issuing/00',
              notAfter: now,
              window: { start: now, end: now },
              issuedAt: now,
              tags: {},
              site: null,
            },
            new AbortController().signal,
          )
        }),
    }),
  },
  {
    name: 'a target is lost',
    found: /targets and has/,
    plant: () => ({
      values: calm,
      tick: async (world) => {
        if (world.tick === 5) await world.store.transaction((tx) => deleteTargets(tx, campaignId, 1))
      },
    }),
  },
  {
    name: 'a sum is not kept',
    found: /the campaign had \d+ targets and has|and the sums say/,
    plant: () => ({
      values: calm,
      tick: async (world) => {
        if (world.tick === 5)
          await world.store.transaction(async (tx) =>
            addCounters(tx, { [`campaign.${campaignId}.0.retired`]: 1 }),
          )
      },
    }),
  },
  {
    name: 'an issuance leaves no fact',
    found: /the audit log: /,
    plant: () => ({
      values: calm,
      store: (store) =>
        altered(
          store,
          async (work) =>
            await store.transaction(async (tx) => {
              const value = await work(tx)
              const { facts } = unitEndOf(tx)
              const at = facts.findIndex(({ action }) => action === 'certificate.issued')
              if (at !== -1) facts.splice(at, 1)
              return value
            }),
        ),
    }),
  },
  {
    name: 'a device is left with nothing when its renewal is confirmed',
    found: /has no live certificate/,
    plant: () => ({
      values: calm,
      tick: async (world) => {
        for (const { serialNumber } of (await certificatesOf(world, 0)).filter(
          ({ status }) => status === 'confirmed',
        )) {
          if (world.tick < 4) continue
          const [record] = await findBySerial(world.store.db, serialNumber)
          if (record)
            await world.store.transaction((tx) =>
              setStatus(tx, record.id, { status: 'superseded', reason: null }),
            )
        }
      },
    }),
  },
  {
    name: 'messages are never sent',
    found: /after 14 days without faults/,
    plant: () => ({
      values: calm,
      jobs: (jobs) => jobs.filter(({ name }) => name !== 'trigger.mqtt' && name !== 'trigger.sms'),
    }),
  },
]

/** The same certificate with its last serial digit changed: its signature is wrong, and nobody here looks at it. */
function withOtherSerial(body: string): string {
  const [der] = parseCertsOnly(fromBase64(body) as Uint8Array)
  const bytes = Buffer.from(der as Uint8Array)
  const serial = Buffer.from(parseCertificate(bytes).serialNumber, 'hex')
  const at = bytes.indexOf(serial) + serial.length - 1
  bytes[at] = ((bytes[at] ?? 0) + 1) % 256
  return toBase64(certsOnly([bytes]))
}

suite('planted bugs', () => {
  for (const { name, plant, found } of bugs) {
    test(`finds that ${name}`, { timeout: 300_000 }, async () => {
      for (let seed = 1; seed <= mostSeeds; seed++) {
        const { violations } = await fuzz({ seed: `bug ${seed}`, plant: plant() })
        if (violations.some((each) => found.test(each))) return
      }
      assert.fail(`not found in ${mostSeeds} worlds`)
    })
  }
})
