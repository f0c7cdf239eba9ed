/**
 * Which wave a device is in. Every wave, the canary first of all, is a sample of the whole: over hardware, firmware and
 * site in their proportions, and the first has each of them at least once, as far as it has room. The order depends on the names of campaign and device only, so that it can be repeated and
 * explained. Inside a wave, the certificate that ends first comes first.
 */
import { createHash } from 'node:crypto'
import { dayMs, type Instant } from '../../base/clock.ts'
import type { WaveDefinition } from './campaign-definition.ts'

export interface Orderable {
  readonly deviceId: string
  readonly notAfter: Instant
  readonly hardware: string | null
  readonly firmware: string | null
  readonly site: string | null
}

/** Devices in each wave of the definition; the sum is `total`. A wave that the ones before it have used up has 0. */
export function waveSizes(waves: readonly WaveDefinition[], total: number): number[] {
  let left = total
  return waves.map(({ percentage, minimum }) => {
    const share = percentage === null ? left : Math.ceil((total * percentage) / 100)
    const size = Math.min(left, Math.max(share, minimum))
    left -= size
    return size
  })
}

/**
 * @param sizes devices in each wave; their sum is at least the number of devices
 * @returns for each wave, positions in `devices`, in the order in which they are let in
 */
export function drawWaves(
  campaignId: string,
  devices: readonly Orderable[],
  sizes: readonly number[],
): Uint32Array[] {
  const order = coveringFirst(spread(campaignId, devices), devices, sizes[0] ?? 0)
  let from = 0
  return sizes.map((size) => {
    const wave = order.slice(from, from + size)
    from += size
    return urgentFirst(wave, devices)
  })
}

/**
 * Positions in an order in which every stretch holds each stratum in its proportion: the device of rank r among n of its
 * stratum stands at (r + u) / n, where u is the stratum's own offset.
 */
function spread(campaignId: string, devices: readonly Orderable[]): Uint32Array {
  const strata = new Map<string, number>()
  const stratumOf = new Uint32Array(devices.length)
  const hashes = new Float64Array(devices.length)
  for (const [at, device] of devices.entries()) {
    const key = `${device.hardware ?? ''}\0${device.firmware ?? ''}\0${device.site ?? ''}`
    let stratum = strata.get(key)
    if (stratum === undefined) strata.set(key, (stratum = strata.size))
    stratumOf[at] = stratum
    hashes[at] = fractionOf(`${campaignId}\0${device.deviceId}`)
  }
  const sizes = new Uint32Array(strata.size)
  for (const stratum of stratumOf) sizes[stratum] = (sizes[stratum] as number) + 1
  const offsets = Float64Array.from(strata.keys(), (key) => fractionOf(`${campaignId}\0stratum\0${key}`))

  const ranked = sortedBy(devices.length, (a, b) => {
    return (
      (stratumOf[a] as number) - (stratumOf[b] as number) || (hashes[a] as number) - (hashes[b] as number)
    )
  })
  const places = new Float64Array(devices.length)
  let rank = 0
  let before = -1
  for (const at of ranked) {
    const stratum = stratumOf[at] as number
    rank = stratum === before ? rank + 1 : 0
    before = stratum
    places[at] = (rank + (offsets[stratum] as number)) / (sizes[stratum] as number)
  }
  return sortedBy(devices.length, (a, b) => (places[a] as number) - (places[b] as number) || a - b)
}

/**
 * What goes wrong goes wrong with a firmware on a hardware, or at a site: a sample in proportion may miss the rare ones, which
 * nobody would hear of before the last wave. So they come first: each pair once, then each site, as far as there is room.
 */
function coveringFirst(order: Uint32Array, devices: readonly Orderable[], room: number): Uint32Array {
  const taken = new Set<number>()
  const covered = new Set<string>()
  const kinds = [
    ({ hardware, firmware }: Orderable) => `kind\0${hardware ?? ''}\0${firmware ?? ''}`,
    ({ site }: Orderable) => `site\0${site ?? ''}`,
  ]
  for (const kindOf of kinds) {
    // a site is covered as well by who was taken for the hardware
    for (const at of taken) covered.add(kindOf(devices[at] as Orderable))
    for (const at of order) {
      if (taken.size >= room) break
      const kind = kindOf(devices[at] as Orderable)
      if (covered.has(kind)) continue
      covered.add(kind)
      taken.add(at)
    }
  }
  return Uint32Array.from([...taken, ...order.filter((at) => !taken.has(at))])
}

/** By the day on which the certificate ends: inside one day, the spread stays. */
function urgentFirst(wave: Uint32Array, devices: readonly Orderable[]): Uint32Array {
  const days = Float64Array.from(wave, (at) => Math.floor((devices[at]?.notAfter ?? 0) / dayMs))
  const order = sortedBy(wave.length, (a, b) => (days[a] as number) - (days[b] as number) || a - b)
  return order.map((at) => wave[at] as number)
}

function sortedBy(length: number, compare: (a: number, b: number) => number): Uint32Array {
  return Uint32Array.from({ length }, (_, at) => at).sort(compare)
}

/** In [0, 1), the same for the same text for ever. */
function fractionOf(text: string): number {
  return createHash('sha256').update(text).digest().readUIntBE(0, 6) / 2 ** 48
}
