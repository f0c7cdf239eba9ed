/** Rules over more than one key: values that are right alone and contradict each other. */
import { isIP } from 'node:net'
import type { Settings } from '../config.ts'
import { connectorRules } from './connector-rules.ts'
import { triggerRules } from './trigger-rules.ts'

export interface Rule {
  /** Keys that the rule is about; the problem is reported where the first of them was given. */
  readonly keys: readonly string[]
  /** What contradicts, and what to do; null when all is well. */
  check(settings: Settings): string | null
}

export const rules: readonly Rule[] = [
  ...triggerRules,
  ...connectorRules,
  {
    keys: ['admin.host', 'admin.insecureExpose'],
    check: ({ admin }) =>
      isLoopback(admin.host) || admin.insecureExpose
        ? null
        : `admin.host ${admin.host} is not loopback, and the admin endpoint is plain HTTP; use 127.0.0.1, or set admin.insecureExpose: true if a firewall guards it`,
  },
  {
    keys: ['est.clientCertHeader', 'est.proxyFingerprint'],
    check: ({ est }) =>
      est.clientCertHeader && est.proxyFingerprint === null
        ? 'est.clientCertHeader needs est.proxyFingerprint: without a pinned proxy, any client could claim to be any device'
        : null,
  },
  {
    keys: ['est.proxyFingerprint', 'est.clientCertHeader'],
    check: ({ est }) =>
      est.proxyFingerprint !== null && !est.clientCertHeader
        ? 'est.proxyFingerprint has no effect without est.clientCertHeader: true; set it, or remove the fingerprint'
        : null,
  },
  {
    keys: ['est.requestTimeout', 'est.headersTimeout'],
    check: ({ est }) =>
      est.requestTimeoutMs < est.headersTimeoutMs
        ? 'est.requestTimeout is shorter than est.headersTimeout, which it contains'
        : null,
  },
  {
    keys: ['crl.lifetime', 'crl.period'],
    check: ({ crl }) =>
      crl.lifetimeMs < 2 * crl.periodMs
        ? 'crl.lifetime is shorter than two of crl.period: one CRL that comes late would have verifiers refuse every device'
        : null,
  },
  {
    keys: ['status.port', 'est.port'],
    check: ({ est, status }) => samePort('est', est, 'status', status),
  },
  {
    keys: ['admin.port', 'est.port'],
    check: ({ est, admin }) => samePort('est', est, 'admin', admin),
  },
  {
    keys: ['admin.port', 'status.port'],
    check: ({ status, admin }) => samePort('status', status, 'admin', admin),
  },
  ...(['est', 'status', 'admin'] as const).map((name): Rule => ({
    keys: ['mqtt.port', `${name}.port`],
    check: (settings) =>
      settings.mqtt.broker === 'embedded' ? samePort(name, settings[name], 'mqtt', settings.mqtt) : null,
  })),
  {
    keys: ['mqtt.url', 'mqtt.caFile', 'mqtt.certificateFile', 'mqtt.keyFile', 'mqtt.broker'],
    check: ({ mqtt }) => {
      if (mqtt.broker !== 'external') {
        return mqtt.url === null
          ? null
          : 'mqtt.url has no effect without mqtt.broker: external; set it, or remove the address'
      }
      const lacking = (['url', 'caFile', 'certificateFile', 'keyFile'] as const).find(
        (key) => mqtt[key] === null,
      )
      return lacking === undefined ? null : `mqtt.broker: external needs mqtt.${lacking}`
    },
  },
  {
    keys: ['serve.roles'],
    check: ({ serve }) => (serve.roles.length === 0 ? 'serve.roles is empty: there is nothing to run' : null),
  },
  {
    keys: ['est.names'],
    check: ({ est }) => {
      const wrong = est.names.find((name) => isIP(name) === 0 && !isHostName(name))
      return wrong === undefined ? null : `est.names: ${wrong} is neither a DNS name nor an IP address`
    },
  },
]

// RFC 1123 §2.1 host names, and a wildcard as the first label (RFC 9525 §6.3).
const dnsName =
  /^(\*\.)?([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/

export function isHostName(text: string): boolean {
  return text.length <= 253 && dnsName.test(text)
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

interface Endpoint {
  readonly host: string
  readonly port: number
}

function samePort(firstName: string, first: Endpoint, secondName: string, second: Endpoint): string | null {
  const overlap = first.host === second.host || isAnyAddress(first.host) || isAnyAddress(second.host)
  if (first.port !== second.port || first.port === 0 || !overlap) return null
  return `${firstName}.port and ${secondName}.port are both ${first.port}; give them different ports`
}
