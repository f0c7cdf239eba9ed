/** The `mqtt` section: the broker in this process, or the way to another one. */
import { defaultTopicPrefix } from '../base/mqtt-topics.ts'
import { choice, duration, integer, optionalText, section, text } from './knob.ts'

export const mqttSection = section(
  'MQTT: how devices are asked to renew, and a second way for them to do it.',
  {
    broker: choice({
      description:
        'Which broker is used, the one in this process (embedded, for installations on one machine), yours at mqtt.url (external), or no MQTT at all (none).',
      enum: ['embedded', 'external', 'none'],
      default: 'embedded',
    }),
    host: text({
      description: 'Address that the embedded broker listens on; devices come from outside.',
      pattern: '^[A-Za-z0-9.:-]+$',
      example: '127.0.0.1',
      default: '0.0.0.0',
    }),
    port: integer({
      description: 'TCP port of the embedded broker; 8883 is MQTT over TLS.',
      minimum: 1,
      maximum: 65535,
      default: 8883,
    }),
    url: optionalText({
      description:
        'The external broker, mqtts://host:port. Always TLS, because a trigger tells who holds which certificate.',
      pattern: '^mqtts://[^ /]+$',
      example: 'mqtts://broker.example.com:8883',
    }),
    caFile: optionalText({
      description: 'PEM file of the CA certificates that the external broker is verified with.',
      example: '/etc/perennial/broker-ca.pem',
    }),
    certificateFile: optionalText({
      description:
        'PEM file of the certificate, leaf first, with which we connect to the external broker. It is read again at each connection.',
      example: '/etc/perennial/platform.pem',
    }),
    keyFile: optionalText({
      description: 'PEM file of the private key of that certificate.',
      example: '/etc/perennial/platform.key',
    }),
    topicPrefix: text({
      description:
        'What the topics begin with; a device has <prefix>/devices/<device id>/… Devices must use the same one.',
      pattern: '^[A-Za-z0-9._:-]+(/[A-Za-z0-9._:-]+)*$',
      maxLength: 128,
      example: 'perennial/v1',
      default: defaultTopicPrefix,
    }),
    maxMessage: integer({
      description:
        'Largest message of a device. The largest request (ML-DSA-87, with its certificate and chain) is 60 kB.',
      unit: 'bytes',
      minimum: 4_096,
      maximum: 1_048_576,
      default: 65_536,
    }),
    maxConnections: integer({
      description: 'Open connections of the embedded broker; one costs about 60 kB.',
      minimum: 10,
      maximum: 1_000_000,
      default: 10_000,
    }),
    maxInFlight: integer({
      description:
        'Messages that the broker has not acknowledged. Beyond it publishing waits, so that a slow broker costs time and not memory.',
      minimum: 1,
      maximum: 10_000,
      default: 1_000,
    }),
    publishTimeout: duration({
      description:
        'How long a message may wait for its acknowledgement before the attempt has failed and is repeated later.',
      shortest: '1s',
      longest: '5m',
      default: '30s',
    }),
    mosquittoLog: optionalText({
      description:
        'Log file of a Mosquitto broker (with connection messages). Each connection that it reports is a sign of life of the device, and no proof of which certificate it used.',
      example: '/var/log/mosquitto/mosquitto.log',
    }),
  },
)
