/** How an agent reaches its server: EST, and MQTT before it where the device has a broker. */
import type { Clock } from '../base/clock.ts'
import type { Random } from '../base/random.ts'
import type { AnchorFile } from './agent-anchors.ts'
import type { AgentConfig } from './agent-config.ts'
import type { AgentTransport, TransportAnswer, TransportRequest } from './agent-transport.ts'
import { EstTransport } from './est-transport.ts'
import { brokerConnector } from './mqtt-connector.ts'
import { MqttTransport } from './mqtt-transport.ts'

export interface TransportHost {
  readonly anchors: AnchorFile
  readonly clock: Clock
  readonly random: Random
}

export function openTransport(
  config: AgentConfig,
  { anchors, clock, random }: TransportHost,
): AgentTransport {
  const { server: url, label, mqtt, deviceId } = config
  const trustPem = () => anchors.pem()
  const est = new EstTransport({ url, label, clock, trustPem })
  if (mqtt === null) return est
  const connector = brokerConnector({ url: mqtt.url, trustPem, clock })
  const { topicPrefix } = mqtt
  return eitherTransport(new MqttTransport({ connector, deviceId, topicPrefix, clock, random }), est)
}

/**
 * Certificates over MQTT, and over EST when that does not answer; the other way round what EST alone has: the server's
 * clock, its CA certificates. What the first one has refused is refused.
 */
export function eitherTransport(mqtt: AgentTransport, est: AgentTransport): AgentTransport {
  const first = (request: TransportRequest): readonly AgentTransport[] => {
    if (request.operation === 'renewal-info' || 'trustPem' in request) return [est]
    return request.operation === 'cacerts' ? [est, mqtt] : [mqtt, est]
  }
  const { report, deliver, listen, close } = mqtt
  return {
    async ask(request) {
      const details: string[] = []
      let answer: TransportAnswer | null = null
      let isOutOfTime = false
      for (const transport of first(request)) {
        answer = await transport.ask(request)
        if (answer.kind !== 'failed') return answer
        isOutOfTime ||= answer.isOutOfTime === true
        details.push(answer.detail)
      }
      return { serverNow: null, ...answer, kind: 'failed', detail: details.join('; '), isOutOfTime }
    },
    ...(report ? { report: async (each) => await report.call(mqtt, each) } : {}),
    ...(deliver ? { deliver: (receive) => deliver.call(mqtt, receive) } : {}),
    ...(listen ? { listen: (bearer, signal) => listen.call(mqtt, bearer, signal) } : {}),
    ...(close ? { close: async () => await close.call(mqtt) } : {}),
  }
}
