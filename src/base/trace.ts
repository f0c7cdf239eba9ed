/**
 * Traces, through the OpenTelemetry API alone: whoever runs us and wants them loads an SDK before us (docs/operations.md).
 * Without one every call here does nothing, at a fraction of a microsecond. What devices send never decides about a trace:
 * their `traceparent` is not read.
 */
import { SpanKind, SpanStatusCode, trace, type Attributes, type Span } from '@opentelemetry/api'
import { Refusal } from './errors.ts'

// a proxy: an SDK that registers itself later is found
const tracer = trace.getTracer('perennial')

/** Closed sets and identifiers; never a secret, a key or what somebody has typed. */
export type TraceAttributes = Attributes

/**
 * A span as long as the work. A refusal is an answer, and its code an attribute; anything else thrown makes the span an
 * error, of which only the name is told: its text may hold what is nobody's business.
 */
export async function traced<Value>(
  name: string,
  attributes: TraceAttributes,
  work: (span: Pick<Span, 'setAttribute'>) => Promise<Value>,
): Promise<Value> {
  return await tracer.startActiveSpan(name, { attributes }, async (span) => await within(span, work))
}

/** The same for a request from outside. */
export async function tracedRequest<Value>(
  name: string,
  attributes: TraceAttributes,
  work: (span: Pick<Span, 'setAttribute'>) => Promise<Value>,
): Promise<Value> {
  const options = { attributes, kind: SpanKind.SERVER, root: true }
  return await tracer.startActiveSpan(name, options, async (span) => await within(span, work))
}

async function within<Value>(span: Span, work: (span: Span) => Promise<Value>): Promise<Value> {
  try {
    return await work(span)
  } catch (error) {
    if (error instanceof Refusal) span.setAttribute('perennial.refusal', error.code)
    else
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : 'thrown' })
    throw error
  } finally {
    span.end()
  }
}
