/** Rules of the `connectors` section over more than one key. */
import type { Settings } from '../config.ts'
import { secureUrlProblem } from '../base/secure-url.ts'
import type { Rule } from './rules.ts'

export const connectorRules: readonly Rule[] = [
  {
    keys: ['connectors.mosquitto.dynsec', 'mqtt.broker'],
    check: ({ connectors, mqtt }) =>
      connectors.mosquitto.dynsec && mqtt.broker !== 'external'
        ? 'connectors.mosquitto.dynsec is about the broker at mqtt.url: it needs mqtt.broker: external'
        : null,
  },
  {
    keys: ['connectors.emqx.url', 'connectors.emqx.apiKey', 'connectors.emqx.apiSecret'],
    check: ({ connectors: { emqx } }) => {
      const { url, apiKey, apiSecret } = emqx
      const given = [url, apiKey, apiSecret].filter((each) => each !== null).length
      return given === 0 || given === 3
        ? null
        : 'connectors.emqx needs url, apiKey and apiSecret together, or none of them'
    },
  },
  {
    keys: ['connectors.webhook.url', 'connectors.webhook.secret'],
    check: ({ connectors: { webhook } }) =>
      (webhook.url === null) === (webhook.secret === null)
        ? null
        : 'connectors.webhook needs url and secret together: the receiver could not tell our messages from forged ones',
  },
  {
    keys: ['connectors.hivemq.clientId'],
    check: ({ connectors: { hivemq } }) =>
      hivemq.clientId.includes('{device}')
        ? null
        : 'connectors.hivemq.clientId has no {device}: every device would be the same client',
  },
  ...(['emqx', 'hivemq', 'webhook'] as const).map((name): Rule => ({
    keys: [`connectors.${name}.url`, `connectors.${name}.insecureHttp`],
    check: (settings) => insecure(settings, name),
  })),
]

function insecure({ connectors }: Settings, name: 'emqx' | 'hivemq' | 'webhook'): string | null {
  const { url, insecureHttp } = connectors[name]
  const problem = url === null ? null : secureUrlProblem(url, insecureHttp)
  return problem === null
    ? null
    : `connectors.${name}.url: ${problem}, or set connectors.${name}.insecureHttp if a wall guards it`
}
