/**
 * Renewal hints as retained messages: a device that waits for its turn finds on its own topic when to renew, without asking. Each
 * waiting device gets one when it is planned and a new one about every hour, because windows move with the load of their
 * campaign. The device's trigger takes over when it is asked.
 */
import { hourMs, secondMs, type Instant } from '../../base/clock.ts'
import { deviceTopic } from '../../base/mqtt-topics.ts'
import { openCampaigns, listWaves } from '../../store/campaigns.ts'
import { findCertificate } from '../../store/inventory.ts'
import { plannedRenewals } from '../../store/planned-renewals.ts'
import type { RenewalRecord } from '../../store/renewal-record.ts'
import type { Engine } from '../context.ts'
import type { Job } from '../jobs.ts'
import type { MqttLink } from '../ports.ts'
import { isClockTrusted } from './clock-guard.ts'
import { hintMessage, renewalInfo } from './renewal-info.ts'

/** Messages of one pass. */
const batch = 500
const intervalMs = 10 * secondMs
/** From the beginning of one round through all that wait to that of the next. */
const roundMs = hourMs

interface Wave {
  readonly campaignId: string
  readonly wave: number
}

interface Round {
  readonly startedAt: Instant
  /** Still to be done, the first one under way. */
  readonly waves: readonly Wave[]
  /** The last renewal of the first wave that is done. */
  readonly after: number
}

/**
 * The round is kept in memory: after a restart it begins again, which a broker that lost what it retained needs.
 * @param prefix first levels of all topics
 */
export function publishHintsJob(link: MqttLink, prefix: string): Job {
  let round: Round | null = null
  return {
    name: 'publish-hints',
    intervalMs,
    async run(engine, now, signal) {
      // a window that a wrong clock moves would send all who wait at one instant
      if (!link.isConnected || !(await isClockTrusted(engine, now))) return { worked: 0 }
      if (round === null || (round.waves.length === 0 && now >= round.startedAt + roundMs)) {
        round = { startedAt: now, waves: await wavesOf(engine), after: 0 }
      }
      let worked = 0
      while (worked < batch && round.waves.length > 0 && !signal.aborted) {
        const [wave, ...rest] = round.waves as [Wave, ...Wave[]]
        const some = await plannedRenewals(engine.store.db, {
          ...wave,
          after: round.after,
          limit: batch - worked,
        })
        for (const renewal of some) {
          await publish(engine, { link, prefix, renewal, now, signal })
          round = { ...round, after: renewal.id }
          worked++
        }
        if (some.length === 0) round = { ...round, waves: rest, after: 0 }
      }
      return { worked, isBehind: worked >= batch }
    },
  }
}

/** Those without a campaign, then the waves of every campaign that was started. */
async function wavesOf({ store }: Engine): Promise<Wave[]> {
  const waves: Wave[] = [{ campaignId: '', wave: 0 }]
  for (const { id } of await openCampaigns(store.db)) {
    waves.push(...(await listWaves(store.db, id)).map(({ wave }) => ({ campaignId: id, wave })))
  }
  return waves
}

interface Publication {
  readonly link: MqttLink
  readonly prefix: string
  readonly renewal: RenewalRecord
  readonly now: Instant
  readonly signal: AbortSignal
}

/** @throws Refusal `trigger-failed` when the broker does not take it: the pass comes again from here */
async function publish(engine: Engine, { link, prefix, renewal, now, signal }: Publication): Promise<void> {
  const certificate = await findCertificate(engine.store.db, renewal.certificateId)
  const payload = certificate && hintMessage(certificate, await renewalInfo(engine, certificate, { now }))
  if (payload === null) return
  const topic = deviceTopic(prefix, renewal.deviceId, 'hint')
  await link.publish({ topic, payload, retain: true }, signal)
}
