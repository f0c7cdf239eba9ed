import { duration, section } from './knob.ts'

export const crlSection = section(
  'Certificate revocation lists (RFC 5280 §5), served by the status endpoint.',
  {
    period: duration({
      description:
        'A new CRL of each scope is published this often. A revocation does not wait for it: it is published within seconds.',
      shortest: '10m',
      longest: '30d',
      default: '1d',
    }),
    lifetime: duration({
      description:
        'From its publication to nextUpdate. Verifiers refuse every device once their CRL is older, so it covers more than one period. The publisher may be down that long, or a verifier without a link.',
      shortest: '1h',
      longest: '365d',
      default: '7d',
    }),
  },
)
