/**
 * Every knob, with unit, default, range and the reason for them. `profiles` and `connectivity` are maps of named
 * entries and have their own schema in `profiles.ts`.
 */
import { choice, choices, duration, flag, integer, list, optionalText, section, text } from './knob.ts'
import { approvalSection } from './approval-section.ts'
import { alertsSection } from './alerts-section.ts'
import { connectorsSection } from './connectors-section.ts'
import { operatorsSection } from './operators-section.ts'
import { crlSection } from './crl-section.ts'
import { ocspSection } from './ocsp-section.ts'
import { mqttSection } from './mqtt-section.ts'
import { renewalSection } from './renewal-section.ts'
import { sightingsSection } from './sightings-section.ts'
import { campaignsSection } from './sites.ts'
import { triggersSection } from './triggers-section.ts'

export const roles = ['est', 'status', 'mqtt', 'api', 'jobs'] as const
export type Role = (typeof roles)[number]

const host = '^[A-Za-z0-9.:-]+$'
const fingerprint = '^[0-9a-f]{64}$'

export const schema = section('Configuration of a Perennial installation.', {
  organization: text({
    description:
      'Name that goes into the subject of the CAs that `init` creates and of certificates (O=). At most 64 characters, the upper bound of X.520.',
    minLength: 1,
    maxLength: 64,
    default: 'Perennial',
  }),

  log: section('Log lines are JSON on standard error.', {
    level: choice({
      description: 'Least severe line that is written.',
      enum: ['debug', 'info', 'warn', 'error', 'silent'],
      default: 'info',
    }),
  }),

  database: section('Where the inventory and the audit log live.', {
    url: optionalText({
      description:
        'postgres://user:password@host/name for PostgreSQL, sqlite:/path for another SQLite file. Unset: perennial.db in the data directory. DATABASE_URL sets it too.',
      pattern: '^(postgres|postgresql|sqlite):',
      example: 'postgres://user:password@host/name',
      secret: true,
    }),
  }),

  est: section('The HTTPS endpoint of the devices (EST, RFC 7030).', {
    host: text({
      description: 'Address to listen on; devices come from outside.',
      pattern: host,
      example: '127.0.0.1',
      default: '0.0.0.0',
    }),
    port: integer({ description: 'TCP port.', minimum: 1, maximum: 65535, default: 8443 }),
    names: list({
      description:
        'DNS names and IP addresses in the server certificate: what devices connect to. Empty: the host name of this machine. localhost, 127.0.0.1 and ::1 are always added.',
      items: host,
      example: 'est.example.com',
      default: [],
    }),
    tlsMinVersion: choice({
      description: 'Oldest TLS version accepted. TLSv1.2 because many device stacks know nothing newer.',
      enum: ['TLSv1.2', 'TLSv1.3'],
      default: 'TLSv1.2',
    }),
    maxBody: integer({
      description:
        'Largest request body. The largest CSR in practice (ML-DSA-87, with its signature) is 12 kB in base64.',
      unit: 'bytes',
      minimum: 4_096,
      maximum: 1_048_576,
      default: 65_536,
    }),
    headersTimeout: duration({
      description:
        'From connection to the end of the request headers. Cellular handshakes take seconds; slow-loris takes minutes.',
      shortest: '1s',
      longest: '2m',
      default: '20s',
    }),
    requestTimeout: duration({
      description: 'From connection to the end of the request body.',
      shortest: '2s',
      longest: '5m',
      default: '30s',
    }),
    keepAliveTimeout: duration({
      description:
        'Idle time before a kept-alive connection is closed. Short: a device asks two or three things and leaves.',
      shortest: '1s',
      longest: '2m',
      default: '5s',
    }),
    maxConnections: integer({
      description: 'Open connections per worker process; one costs about 50 kB.',
      minimum: 10,
      maximum: 1_000_000,
      default: 10_000,
    }),
    maxConcurrent: integer({
      description:
        'Requests at work per worker process before new ones are answered 503 with Retry-After: keeps the wait of those admitted short.',
      minimum: 1,
      maximum: 100_000,
      default: 512,
    }),
    retryAfter: duration({
      description: 'Centre of the jittered Retry-After that an overloaded server sends.',
      shortest: '5s',
      longest: '1h',
      default: '2m',
    }),
    pendingRetryAfter: duration({
      description: 'Retry-After of a request that waits for manual approval (202): people take minutes.',
      shortest: '5s',
      longest: '1d',
      default: '10m',
    }),
    clientCertHeader: flag({
      description:
        'Read the device certificate from the Client-Cert header (RFC 9440) of a TLS-terminating proxy. Believed only on connections that present the certificate of proxyFingerprint.',
      default: false,
    }),
    proxyFingerprint: optionalText({
      description:
        'SHA-256 of the certificate with which that proxy connects to us, lower-case hex without colons.',
      pattern: fingerprint,
      example: '64 hex digits in lower case',
    }),
  }),

  status: section('The plain HTTP endpoint of verifiers: CA certificates (AIA), CRLs and OCSP.', {
    host: text({
      description: 'Address to listen on; verifiers come from outside.',
      pattern: host,
      example: '127.0.0.1',
      default: '0.0.0.0',
    }),
    port: integer({ description: 'TCP port.', minimum: 1, maximum: 65535, default: 8080 }),
    url: optionalText({
      description:
        'Public base URL of this endpoint. It is written into every certificate and cannot be changed there later: set it before the first real device. Unset: http:// with the first of est.names and the port.',
      pattern: '^http://[^ ]+[^/ ]$',
      example: 'http://pki.example.com (http, no slash at the end)',
    }),
  }),

  admin: section('The HTTP endpoint of operators: REST API, dashboard, health, metrics.', {
    host: text({
      description:
        'Address to listen on. Loopback, because it is plain HTTP, and health and metrics need no account.',
      pattern: host,
      example: '127.0.0.1',
      default: '127.0.0.1',
    }),
    port: integer({ description: 'TCP port.', minimum: 1, maximum: 65535, default: 8090 }),
    insecureExpose: flag({
      description:
        'Allow a host that is not loopback. Anyone who can reach it can read metrics and health, and passwords travel in the clear.',
      default: false,
    }),
    url: optionalText({
      description:
        'Base URL under which people reach this endpoint, such as that of a proxy which ends TLS in front of it and passes Host on. https makes cookies Secure. Unset: http:// with host and port.',
      pattern: '^https?://[^ /]+$',
      example: 'https://perennial.example.com (no slash at the end)',
    }),
  }),

  mqtt: mqttSection,

  triggers: triggersSection,

  serve: section('Processes.', {
    roles: choices({
      description: 'What `perennial serve` runs. `--roles` sets it too.',
      enum: roles,
      default: ['est', 'status', 'mqtt', 'api', 'jobs'],
    }),
    workers: integer({
      description: 'TLS worker processes of the est role; about one per core. `--workers` sets it too.',
      minimum: 1,
      maximum: 64,
      default: 1,
    }),
    stopTimeout: duration({
      description:
        'On a stop signal, how long requests already begun may take before the process ends anyway.',
      shortest: '1s',
      longest: '5m',
      default: '20s',
    }),
  }),

  enrollment: section('First enrolment of devices.', {
    secretLifetime: duration({
      description: 'How long a one-time enrolment secret may be used: from the print shop to the installer.',
      shortest: '5m',
      longest: '365d',
      default: '7d',
    }),
  }),

  audit: section('The audit log.', {
    sealInterval: duration({
      description: 'How often new facts are sealed into the Merkle log and a checkpoint is signed.',
      shortest: '1s',
      longest: '1h',
      default: '10s',
    }),
  }),

  renewal: renewalSection,
  campaigns: campaignsSection,
  sightings: sightingsSection,
  crl: crlSection,
  approval: approvalSection,
  connectors: connectorsSection,
  ocsp: ocspSection,
  alerts: alertsSection,

  operators: operatorsSection,

  recovery: section('After a crash.', {
    abandonAfter: duration({
      description:
        'Age at which a certificate that was reserved but never signed is abandoned. Well above the longest signing time, so that no living request is hit.',
      shortest: '30s',
      longest: '1d',
      default: '5m',
    }),
  }),
})
