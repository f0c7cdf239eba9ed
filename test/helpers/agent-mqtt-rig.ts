/** A device with a broker, and its server behind that broker; every packet is an effect at which the power may fail. */
import { openKeystore } from '../../src/agent/agent-keystore.ts'
import { activeCredential } from '../../src/agent/agent-state.ts'
import type { Agent } from '../../src/agent/agent.ts'
import type { AgentTransport, CertificateBearer } from '../../src/agent/agent-transport.ts'
import type { MqttConnector } from '../../src/agent/mqtt-connector.ts'
import { MqttTransport } from '../../src/agent/mqtt-transport.ts'
import { eitherTransport } from '../../src/agent/open-transport.ts'
import { iso } from '../../src/base/clock.ts'
import type { DeviceId } from '../../src/base/id.ts'
import { defaultTopicPrefix, deviceTopic, type TopicLeaf } from '../../src/base/mqtt-topics.ts'
import { seededRandom } from '../../src/base/random.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { parsePublicKey } from '../../src/pki/key.ts'
import { isProof, requestToSign, statusToSign } from '../../src/pki/mqtt-proof.ts'
import { encodePem } from '../../src/pki/pem.ts'
import { Rig, type RigOptions } from './agent-rig.ts'
import { MemoryBroker } from './memory-broker.ts'

export const deviceId = 'device-1' as DeviceId

export function topic(leaf: TopicLeaf): string {
  return deviceTopic(defaultTopicPrefix, deviceId, leaf)
}

export class MqttRig extends Rig {
  readonly broker = new MemoryBroker()
  /** What devices have reported, in order: `stored`, `confirmed` … with the first digits of the certificate. */
  readonly reports: { readonly state: string; readonly certificate: string }[] = []
  #mqtt: MqttTransport | null = null
  /** Requests that came over MQTT. */
  requests = 0

  constructor({ config = {}, ...options }: RigOptions = {}) {
    const mqtt = { url: 'mqtts://broker.example:8883', topicPrefix: defaultTopicPrefix }
    super({ ...options, config: { mqtt, ...config } })
    this.broker.onPublish = async (message) => await this.#serve(message.topic, message.payload)
  }

  override makeTransport(): AgentTransport {
    const { clock } = this
    const mqtt = new MqttTransport({
      connector: this.#connector(),
      deviceId,
      topicPrefix: defaultTopicPrefix,
      clock,
      random: seededRandom('mqtt'),
    })
    this.#mqtt = mqtt
    return eitherTransport(mqtt, this.est)
  }

  /** The device that was booted last connects as itself, and hears what the broker has for it. */
  async contact(agent: Agent): Promise<void> {
    const { directory, write } = this
    const state = await agent.state()
    const current = activeCredential(state)
    if (current === null || state.active === null) return
    const keystore = openKeystore(state.config, { directory, write, random: seededRandom('keys'), pin: null })
    const slot = state.active
    const bearer: CertificateBearer = {
      kind: 'certificate',
      identity: {
        chainPem: encodePem('CERTIFICATE', current.certificate.der),
        ...(await keystore.tls(slot)),
      },
      sign: async (data) => (await keystore.sign(slot, data)).signature,
    }
    await this.#mqtt?.ask({ operation: 'credential', bearer })
  }

  /** A trigger about the certificate that is given, as the platform publishes it. */
  trigger(serialNumber: string, { startMs = 0, endMs = 0, issuedMs = 0 } = {}): string {
    const now = this.clock.now()
    const window = { start: iso(now + startMs), end: iso(now + endMs) }
    const issuedAt = iso(now + issuedMs)
    return JSON.stringify({
      v: 1,
      kind: 'renew',
      renewal: 1,
      certificate: `issuing/${serialNumber}`,
      window,
      issuedAt,
    })
  }

  #connector(): MqttConnector {
    return {
      connect: async (request) => {
        const onMessage = async (name: string, payload: Uint8Array) => {
          await this.effect(async () => await request.onMessage(name, payload))
        }
        const connection = await this.effect(async () => await this.broker.connect({ ...request, onMessage }))
        return {
          ...connection,
          publish: async (name, payload) =>
            await this.effect(async () => await connection.publish(name, payload)),
        }
      },
    }
  }

  /** The platform's side of the broker. */
  async #serve(name: string, payload: Uint8Array): Promise<void> {
    const message = JSON.parse(Buffer.from(payload).toString())
    const { clientToken } = message
    if (name === topic('status')) {
      const { state, certificate, signature } = message
      const held = this.server.find(certificate)
      const signed = statusToSign({ deviceId, clientToken, state, certificate })
      if (!held || !isProof(parsePublicKey(held.spki), signed, Buffer.from(signature, 'base64'))) return
      this.reports.push({ state, certificate })
      if (state === 'confirmed') await this.server.ask({ operation: 'credential', bearer: proven(held.der) })
      return
    }
    if (name !== topic('csr')) return
    this.requests++
    const csr = Buffer.from(message.csr, 'base64')
    const der = Buffer.from(message.certificate, 'base64')
    const key = parsePublicKey(parseCertificate(der).spki)
    const signed = requestToSign({ deviceId, clientToken, csr })
    if (!isProof(key, signed, Buffer.from(message.signature, 'base64'))) return
    const answer = await this.server.ask({ operation: message.operation, bearer: proven(der), csr })
    if (answer.kind === 'done') {
      const certificate = Buffer.from(answer.certificates[0] as Uint8Array).toString('base64')
      const chain = [Buffer.from(this.server.issuing.certificate.der).toString('base64')]
      await this.answer('csr/accepted', { v: 1, clientToken, certificate, chain })
    } else {
      const retryAfterSeconds = answer.kind === 'later' ? Math.ceil(answer.afterMs / 1000) : undefined
      const code = answer.kind === 'later' ? 'too-early' : 'certificate-retired'
      await this.answer('csr/rejected', {
        v: 1,
        clientToken,
        code,
        message: answer.detail,
        retryAfterSeconds,
      })
    }
  }

  async answer(leaf: 'csr/accepted' | 'csr/rejected', body: object): Promise<void> {
    await this.broker.publish(topic(leaf), JSON.stringify(body))
  }
}

function proven(der: Uint8Array): CertificateBearer {
  const unused = async (): Promise<never> => await Promise.reject(new Error('only the server asks'))
  return {
    kind: 'certificate',
    identity: { chainPem: encodePem('CERTIFICATE', der), tls: { connect: unused } },
    sign: unused,
  }
}
