/** Writes down the state of a world at the end of each virtual day. */
import { countersOfCampaign, countersWithoutCampaign } from '../store/renewal-lists.ts'
import { renewalStatuses, type RenewalStatus } from '../store/renewal-record.ts'
import type { Series } from './result.ts'
import { campaignId } from './setup.ts'
import type { World } from './world.ts'

/** Devices that are asked whether they can be reached. */
const sample = 20_000

type Lists = { -readonly [Name in keyof Series]: number[] }

export class Recorder {
  readonly series: Lists = {
    open: [],
    alive: [],
    planned: [],
    triggered: [],
    issued: [],
    confirmed: [],
    retired: [],
    escalated: [],
    abandoned: [],
    fieldList: [],
    dark: [],
    requests: [],
    certificates: [],
    messages: [],
    sms: [],
    visits: [],
    ends: [],
    peakRequests: [],
  }
  day99: number | null = null
  readonly #world: World
  #before = { requests: 0, certificates: 0, messages: 0, sms: 0, visits: 0 }
  #atTick = 0
  #peak = 0

  constructor(world: World) {
    this.#world = world
  }

  /** At the end of a tick. */
  tick(): void {
    const { requests } = this.#world.server
    this.#peak = Math.max(this.#peak, requests - this.#atTick)
    this.#atTick = requests
  }

  /** At the end of a day, and once before the first. */
  async day(day: number): Promise<void> {
    const { series } = this
    const { ledger, history } = this.#world
    const states = await statesOf(this.#world)
    for (const status of renewalStatuses) series[status].push(states[status])
    series.fieldList.push(states.escalated)
    const open = ledger.devices - ledger.total('renewed')
    series.open.push(open)
    if (this.day99 === null && open <= ledger.devices / 100) this.day99 = day
    series.alive.push(ledger.aliveAfter(day - 1))
    series.ends.push(ledger.endsOn(day))
    series.dark.push(this.#dark())
    this.#sinceYesterday()
    history.note(`day ${day} ${JSON.stringify(states)} ${open}`)
  }

  #sinceYesterday(): void {
    const { server, channels, ledger, certificates } = this.#world
    const { requests } = server
    const { messages, sms } = channels
    const now = { requests, certificates, messages, sms, visits: ledger.total('visited') }
    for (const name of ['requests', 'certificates', 'messages', 'sms', 'visits'] as const) {
      this.series[name].push(now[name] - this.#before[name])
    }
    this.series.peakRequests.push(this.#peak)
    this.#before = now
    this.#peak = 0
  }

  #dark(): number {
    const { ledger, network } = this.#world
    const now = this.#world.now()
    const step = Math.max(1, Math.ceil(ledger.devices / sample))
    let dark = 0
    let looked = 0
    for (let device = 0; device < ledger.devices; device += step, looked++) {
      if (network.isDark(device, now)) dark += 1
    }
    return Math.round((dark * ledger.devices) / looked)
  }
}

/** Renewals by state, of the campaign and of none. */
export async function statesOf({ store }: World): Promise<Record<RenewalStatus, number>> {
  const sums: Record<RenewalStatus, number> = { ...(await countersWithoutCampaign(store.db)) }
  for (const counts of (await countersOfCampaign(store.db, campaignId)).values()) {
    for (const status of renewalStatuses) sums[status] += counts[status]
  }
  return sums
}
