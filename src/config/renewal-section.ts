/** `renewal:`: how renewals are opened, stepped and ended. */
import { duration, flag, integer, section } from './knob.ts'

export const renewalSection = section('Renewals, with and without a campaign.', {
  automatic: flag({
    description:
      'Open a renewal for every certificate whose renewal window has opened, without a campaign. Off: only campaigns ask devices.',
    default: true,
  }),
  sweepInterval: duration({
    description: 'How often live certificates are searched for those that are due. Renewal windows are days.',
    shortest: '1m',
    longest: '1d',
    default: '1h',
  }),
  tickInterval: duration({
    description:
      'How often due renewals are looked at, and campaigns admit devices. A pause takes effect within it.',
    shortest: '1s',
    longest: '10m',
    default: '10s',
  }),
  spread: integer({
    description:
      'Share of the renewal window over which the devices are spread that no campaign asks. The rest is for repeats and people.',
    unit: 'percent',
    minimum: 0,
    maximum: 90,
    default: 50,
  }),
  maximumPerMinute: integer({
    description:
      'Most triggers per minute to devices that no campaign asks: what the network and the signer bear beside the daily work.',
    minimum: 1,
    maximum: 10_000_000,
    default: 1_000,
  }),
  keepRetired: duration({
    description:
      'A certificate that is no longer live stays in the inventory this long after its end, for questions and revocation lists; then only the audit log knows it.',
    shortest: '1d',
    longest: '50y',
    default: '180d',
  }),
  maxClockJump: duration({
    description:
      'A clock that moves further forward than this between two passes is not believed: no device is asked and nothing retired until it is plausible again or `perennial doctor --accept-clock` is run.',
    shortest: '1h',
    longest: '365d',
    default: '30d',
  }),
})
