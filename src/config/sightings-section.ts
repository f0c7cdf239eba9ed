import { optionalText, section } from './knob.ts'

export const sightingsSection = section(
  'Sightings of devices that others report: proxies, brokers and clouds that authenticate with our certificates.',
  {
    token: optionalText({
      description:
        'Bearer token of POST /perennial/v1/sightings on the device port. Whoever has it can say that a new certificate is in use, upon which the old one is retired. Unset: nobody may.',
      minLength: 16,
      maxLength: 512,
      pattern: '^[!-~]+$',
      secret: true,
    }),
  },
)
