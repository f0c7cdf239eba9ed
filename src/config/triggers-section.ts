/** The `triggers` section: ways of asking a device to renew besides MQTT. */
import { choice, duration, flag, integer, optionalText, section, text } from './knob.ts'

const timeout = (who: string) =>
  duration({
    description: `How long ${who} may take to answer. Providers take seconds; what takes longer is asked again later.`,
    shortest: '1s',
    longest: '2m',
    default: '20s',
  })

const httpUrl = '^https?://[^ ]+$'

const insecureHttp = flag({
  description: 'Allow plain http to another machine. Anyone on the way reads it, passwords included.',
  default: false,
})

const webhook = section('Triggers as signed HTTP POSTs (Standard Webhooks) to a service of yours.', {
  url: optionalText({
    description: 'Where to post. Unset: no webhook. https, unless it is on this machine.',
    pattern: httpUrl,
    example: 'https://devices.example.com/renew',
  }),
  secret: optionalText({
    description:
      'Key of the signature: whsec_ and 24 to 64 bytes in base64, such as whsec_$(openssl rand -base64 32). The receiver has the same.',
    pattern: '^whsec_[A-Za-z0-9+/]+=*$',
    example: 'whsec_ and base64',
    secret: true,
  }),
  timeout: timeout('the service'),
  insecureHttp,
})

const twilio = section('The Twilio API, or a provider that speaks it.', {
  baseUrl: text({
    description: 'Where the API is.',
    pattern: httpUrl,
    example: 'https://api.twilio.com',
    default: 'https://api.twilio.com',
  }),
  accountSid: optionalText({
    description: 'The account, user name of each call.',
    pattern: '^[A-Za-z0-9]{1,64}$',
    example: 'AC and 32 hex digits',
  }),
  authToken: optionalText({
    description: 'Password of each call; receipts are signed with it as well.',
    secret: true,
  }),
})

const smpp = section('An SMSC or an aggregator that speaks SMPP 3.4; we bind as a transceiver.', {
  host: optionalText({
    description: 'Its address.',
    pattern: '^[A-Za-z0-9.:-]+$',
    example: 'smpp.example.com',
  }),
  port: integer({
    description: 'TCP port; 2775 is that of SMPP.',
    minimum: 1,
    maximum: 65535,
    default: 2775,
  }),
  insecurePlaintext: flag({
    description:
      'Speak without TLS, as many SMSCs do inside a VPN: SMPP itself hides neither password nor numbers. With TLS the name of the SMSC is verified.',
    default: false,
  }),
  systemId: text({
    description: 'Our name there; SMPP allows 15 characters.',
    maxLength: 15,
    default: 'perennial',
  }),
  password: optionalText({ description: 'Our password there; SMPP allows 8 characters.', secret: true }),
  systemType: text({
    description: 'What some SMSCs want to know about us; most want nothing.',
    maxLength: 12,
    default: '',
  }),
  maximumPerSecond: integer({
    description: 'Messages, as the contract with the provider allows; faster ones are refused by it.',
    unit: 'messages per second',
    minimum: 1,
    maximum: 1_000,
    default: 10,
  }),
  enquireInterval: duration({
    description:
      'How often the SMSC is asked whether it is there; they drop links that are silent for minutes.',
    shortest: '5s',
    longest: '10m',
    default: '30s',
  }),
})

const kannel = section('The HTTP interface of a Kannel smsbox, for those who have modems.', {
  url: optionalText({
    description: 'Its sendsms URL. https, unless it is on this machine: the password is in each call.',
    pattern: httpUrl,
    example: 'http://127.0.0.1:13013/cgi-bin/sendsms',
  }),
  username: text({ description: 'The sendsms-user of kannel.conf.', maxLength: 64, default: 'perennial' }),
  password: optionalText({
    description: 'Its password; the addresses for receipts are derived from it as well.',
    secret: true,
  }),
  smsc: optionalText({
    description: 'The smsc-id to send through. Unset: as Kannel routes.',
    pattern: '^[A-Za-z0-9._-]{1,64}$',
    example: 'modem-1',
  }),
})

const sms = section('Triggers by SMS, to the modem of a device that the network does not reach.', {
  provider: choice({
    description: 'Who sends them; none leaves out every rung of a ladder that is sms.',
    enum: ['none', 'twilio', 'smpp', 'kannel'],
    default: 'none',
  }),
  from: text({
    description: 'The sender: a number with its plus, a short code, or a name of up to 11 characters.',
    pattern: '^([+]?[0-9]{3,15}|[A-Za-z0-9 ]{1,11}|MG[0-9a-f]{32})$',
    example: '+491701234567',
    default: 'Perennial',
  }),
  numberTag: text({
    description: 'The tag of a device that holds the number of its modem (+491701234567).',
    pattern: '^[A-Za-z0-9._-]{1,64}$',
    example: 'msisdn',
    default: 'msisdn',
  }),
  template: text({
    description:
      'The text, with {renewal}, {device}, {certificate}, {notAfter}. At most 160 characters of the GSM alphabet once filled in. Firmware must take any such message as a hint: senders can be forged.',
    minLength: 1,
    maxLength: 160,
    default: 'PERENNIAL RENEW {renewal}',
  }),
  costPerMessage: integer({
    description: 'What one message costs. 0 makes them free, and the budgets empty words.',
    unit: 'thousandths of your currency',
    minimum: 0,
    maximum: 100_000,
    default: 80,
  }),
  dailyBudget: integer({
    description:
      'What all messages of a day (UTC) may cost. Low, because a wrong ladder over a large fleet is a large bill.',
    unit: 'thousandths of your currency',
    minimum: 0,
    maximum: 1_000_000_000_000,
    default: 100_000,
  }),
  campaignBudget: integer({
    description: 'What all messages of one campaign may cost.',
    unit: 'thousandths of your currency',
    minimum: 0,
    maximum: 1_000_000_000_000,
    default: 1_000_000,
  }),
  receiptsUrl: optionalText({
    description:
      'Base URL under which Twilio or Kannel reach our device port, for delivery receipts. Unset: none are asked for, and what did not arrive is found out by waiting. SMPP needs none.',
    pattern: '^https?://[^ ]+[^/ ]$',
    example: 'https://est.example.com:8443',
  }),
  timeout: timeout('the provider'),
  insecureHttp,
  twilio,
  smpp,
  kannel,
})

const ota = section(
  'Triggers as signed bundles, for devices that only an update service or a courier reaches.',
  {
    url: optionalText({
      description:
        'Where to put the bundle of a device, with {device} in it. Unset: bundles are retained messages on the ota topic of the device.',
      pattern: httpUrl,
      example: 'https://ota.example.com/devices/{device}/perennial',
    }),
    method: choice({ description: 'How.', enum: ['PUT', 'POST'], default: 'PUT' }),
    authorization: optionalText({
      description: 'The Authorization header, with its scheme: Bearer …',
      secret: true,
    }),
    lifetime: duration({
      description:
        'How long a device may take a bundle. Longer than it sleeps; short enough that a lost one is soon worthless.',
      shortest: '1h',
      longest: '365d',
      default: '14d',
    }),
    timeout: timeout('the service'),
    insecureHttp,
  },
)

export const triggersSection = section('Ways of asking a device to renew, besides MQTT.', {
  webhook,
  sms,
  ota,
})
