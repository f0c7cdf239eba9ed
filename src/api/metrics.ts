/**
 * Prometheus metrics. Labels are closed sets (protocol, operation, result, issuer): never a device, so that a fleet of
 * millions has as many series as a fleet of ten.
 */
import type { Clock } from '../base/clock.ts'
import type { EngineObserver } from '../engine/context.ts'
import type { PlatformFigures } from '../engine/inventory/platform-figures.ts'
import { registerPlatformMetrics } from './platform-metrics.ts'
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Metrics of one process as JSON: what a worker sends to the process that answers /metrics. */
export type MetricsSnapshot = Awaited<ReturnType<Registry['getMetricsAsJSON']>>

export interface MetricsOptions {
  readonly version: string
}

/** Asked at each scrape. */
export interface WatchedServer {
  readonly inFlight: () => number
  readonly openConnections: () => number
}

/** Metrics of a process: one instance in each, or CPU and memory count twice. Its methods never throw. */
export class Metrics {
  readonly registry = new Registry()
  readonly #requests: Counter
  readonly #seconds: Histogram
  readonly #handshakeFailures: Counter
  /** For `openApp`: what the engine tells of its keys and its linter. */
  readonly observer: EngineObserver

  constructor(options: MetricsOptions) {
    const registers = [this.registry]
    collectDefaultMetrics({ register: this.registry })
    // gauges with the name of a counter: promtool refuses them, and the same stands in those by type
    for (const what of ['handles', 'requests', 'resources'])
      this.registry.removeSingleMetric(`nodejs_active_${what}_total`)
    this.#requests = new Counter({
      name: 'perennial_requests_total',
      help: 'Answered requests of devices by result: issued, repeated, pending, answered, error, or a refusal code.',
      labelNames: ['protocol', 'operation', 'result'],
      registers,
    })
    this.#seconds = new Histogram({
      name: 'perennial_request_seconds',
      help: 'From the headers of a request to its answer, body and durable commit included, TLS handshake excluded.',
      labelNames: ['protocol', 'operation'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10],
      registers,
    })
    this.#handshakeFailures = new Counter({
      name: 'perennial_tls_handshake_failures_total',
      help: 'Connections of devices that ended before the TLS handshake did.',
      registers,
    })
    this.#buildInfo(options.version)
    this.observer = keyObserver(registers)
  }

  /** @param seconds 0 for an answer given before the body was read: not counted as a latency */
  answered(protocol: string, operation: string, result: string, seconds: number): void {
    this.#requests.inc({ protocol, operation, result })
    if (seconds > 0) this.#seconds.observe({ protocol, operation }, seconds)
  }

  watchServer({ inFlight, openConnections }: WatchedServer): void {
    this.#gauge('perennial_requests_in_flight', 'Requests at work.', inFlight)
    this.#gauge('perennial_open_connections', 'Open connections of devices.', openConnections)
  }

  /** Of the whole installation: given to one of its processes. */
  watchPlatform(read: () => Promise<PlatformFigures>, clock: Pick<Clock, 'now'>): void {
    registerPlatformMetrics(this.registry, read, clock)
  }

  handshakeFailed(): void {
    this.#handshakeFailures.inc()
  }

  /** @param read answers of this process so far, by result */
  watchOcsp(read: () => ReadonlyMap<string, number>): void {
    const counter = new Counter({
      name: 'perennial_ocsp_answers_total',
      help: 'OCSP answers by result: good, revoked, unknown, several (more than one certificate was asked about), or the name of an OCSP error.',
      labelNames: ['result'],
      registers: [],
      collect() {
        this.reset()
        for (const [result, count] of read()) this.inc({ result }, count)
      },
    })
    this.registry.registerMetric(counter)
  }

  snapshot(): Promise<MetricsSnapshot> {
    return this.registry.getMetricsAsJSON()
  }

  #gauge(name: string, help: string, read: () => number): void {
    const gauge = new Gauge({
      name,
      help,
      registers: [],
      collect() {
        this.set(read())
      },
    })
    this.registry.registerMetric(gauge)
  }

  #buildInfo(version: string): void {
    const info = new Gauge({
      name: 'perennial_build_info',
      help: 'Always 1; the labels say what is running.',
      labelNames: ['version', 'node', 'openssl'],
      aggregator: 'first',
      registers: [this.registry],
    })
    info.set({ version, node: process.versions.node, openssl: process.versions.openssl }, 1)
  }
}

/** Keys and rules of the linter are closed sets. */
function keyObserver(registers: Registry[]): EngineObserver {
  const signatures = new Histogram({
    name: 'perennial_signature_seconds',
    help: 'Signatures with the keys of CAs, by key and whether one was given.',
    labelNames: ['key', 'result'],
    buckets: [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.01, 0.05, 0.25, 1, 5],
    registers,
  })
  const lint = new Counter({
    name: 'perennial_lint_failures_total',
    help: 'Certificates that were not signed because they would break a rule of the linter, by rule.',
    labelNames: ['rule'],
    registers,
  })
  return {
    signed: ({ key, isGood, ms }) =>
      signatures.observe({ key, result: isGood ? 'signed' : 'failed' }, ms / 1000),
    lintFailed: (rule) => lint.inc({ rule }),
  }
}

/** The text of /metrics over all processes. */
export async function renderMetrics(
  snapshots: readonly MetricsSnapshot[],
): Promise<{ contentType: string; text: string }> {
  const merged = AggregatorRegistry.aggregate([...snapshots])
  return { contentType: merged.contentType, text: await merged.metrics() }
}
