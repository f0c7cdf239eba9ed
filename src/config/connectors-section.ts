/** The `connectors` section: brokers and services that are told whose sessions to end. */
import { duration, flag, optionalText, section, text } from './knob.ts'

const timeout = (who: string) =>
  duration({
    description: `How long ${who} may take to answer; after that it is asked again, ever later.`,
    shortest: '1s',
    longest: '2m',
    default: '10s',
  })

const insecureHttp = flag({
  description: 'Allow plain http to another machine. Anyone on the way reads it, passwords included.',
  default: false,
})

const url = (description: string, example: string) =>
  optionalText({ description, pattern: '^https?://[^ ]+[^/ ]$', example })

export const connectorsSection = section(
  'Who has sessions of our devices besides us. After a revocation, and when a certificate ends, they are told to end them.',
  {
    mosquitto: section('A Mosquitto with the dynamic security plugin: the external broker at mqtt.url.', {
      dynsec: flag({
        description:
          'Disable and enable the clients of devices over $CONTROL/dynamic-security/v1; our own client needs the right to.',
        default: false,
      }),
      timeout: timeout('the plugin'),
    }),
    emqx: section('EMQX 5 by its REST API. The user name of a device there is its id.', {
      url: url('Where the API is. Unset: no EMQX.', 'https://emqx.example.com:18083'),
      apiKey: optionalText({ description: 'API key, as its dashboard makes them.', maxLength: 200 }),
      apiSecret: optionalText({ description: 'Secret of that key.', secret: true }),
      timeout: timeout('EMQX'),
      insecureHttp,
    }),
    hivemq: section('HiveMQ by its REST API. It keeps nobody out: have it check CRLs or OCSP.', {
      url: url('Where the API is. Unset: no HiveMQ.', 'https://hivemq.example.com:8888'),
      clientId: text({
        description: 'MQTT client id of a device; {device} stands for its id.',
        minLength: 1,
        maxLength: 200,
        default: '{device}',
      }),
      authorization: optionalText({
        description: 'Authorization header of each call, such as Bearer … or Basic …',
        secret: true,
      }),
      timeout: timeout('HiveMQ'),
      insecureHttp,
    }),
    webhook: section('Any other, by signed HTTP POSTs (Standard Webhooks).', {
      url: url('Where to post. Unset: no webhook.', 'https://devices.example.com/sessions'),
      secret: optionalText({
        description:
          'Key of the signature: whsec_ and 24 to 64 bytes in base64, such as whsec_$(openssl rand -base64 32). The receiver has the same.',
        pattern: '^whsec_[A-Za-z0-9+/]+=*$',
        example: 'whsec_ and base64',
        secret: true,
      }),
      timeout: timeout('the service'),
      insecureHttp,
    }),
  },
)
