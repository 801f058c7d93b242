import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Context, type Span, type Tracer } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { IncomingHttpHeaders } from 'node:http'
import type { OpenEntry } from '../trail/record.ts'
import { matchRoute } from './routes.ts'
import { describeClientSpan, describeServerSpan, nameSpan } from './span-attributes.ts'
import { WatchedExporter, type ExportReport } from './watched-exporter.ts'

export interface TracingOptions {
  /** Of the collector, without `/v1/traces`. */
  endpoint: string
  headers: Record<string, string>
  version: string
  /** `http` or `https`: how clients speak to the proxy. */
  scheme: string
  /** Of the API. */
  origin: string
  /** Takes keys out of what is exported. */
  redact: (text: string) => string
}

export interface Tracing {
  /** A request came in: continues the client's trace or begins one. Returns the trace id. */
  open (entry: OpenEntry, headers: IncomingHttpHeaders): string
  /** The request goes upstream: puts our context in place of the client's into the flat headers. */
  send (entry: OpenEntry, flatHeaders: string[]): void
  close (entry: OpenEntry): void
  report (): ExportReport
  stop (): Promise<void>
}

interface Spans { server: Span, client?: Span, context: Context }

const exportTimeoutMs = 3000
const contextHeader = /^trace(parent|state)$/i
const propagator = new W3CTraceContextPropagator()
const fromHeaders = { get: (headers: unknown, name: string) => (headers as IncomingHttpHeaders)[name], keys: (headers: unknown) => Object.keys(headers as object) }
const toFlatHeaders = { set: (flat: unknown, name: string, value: string) => { (flat as string[]).push(name, value) } }

/**
 * A server span for each request and a client span for its way upstream. Loaded only when there is a collector.
 * A collector that is slow or away costs spans, which are counted, and never a request: the queue is bounded.
 */
export function createTracing (options: TracingOptions): Tracing {
  const exporter = new WatchedExporter(new OTLPTraceExporter({ url: options.endpoint + '/v1/traces', headers: options.headers, timeoutMillis: exportTimeoutMs }))
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ 'service.name': 'izuma-proxy', 'service.version': options.version }),
    spanLimits: { attributeValueLengthLimit: 2048 },
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: 1000, exportTimeoutMillis: exportTimeoutMs })]
  })
  const tracer = provider.getTracer('izuma-proxy', options.version)
  const open = new WeakMap<OpenEntry, Spans>()
  return {
    open (entry, headers) {
      const spans = begin(tracer, entry, headers)
      open.set(entry, spans)
      return spans.server.spanContext().traceId
    },
    send (entry, flatHeaders) {
      const spans = open.get(entry)
      if (spans === undefined) return
      spans.client = tracer.startSpan(entry.method, { kind: SpanKind.CLIENT, startTime: performance.now() }, spans.context)
      dropContext(flatHeaders)
      propagator.inject(trace.setSpan(spans.context, spans.client), flatHeaders, toFlatHeaders)
    },
    close (entry) {
      const spans = open.get(entry)
      if (spans !== undefined) end(spans, entry, options)
    },
    report: () => exporter.report(),
    stop: () => provider.shutdown()
  }
}

function begin (tracer: Tracer, entry: OpenEntry, headers: IncomingHttpHeaders): Spans {
  const parent = propagator.extract(ROOT_CONTEXT, headers, fromHeaders)
  const server = tracer.startSpan(entry.method, { kind: SpanKind.SERVER, startTime: entry.openedAt }, parent)
  return { server, context: trace.setSpan(parent, server) }
}

function end ({ server, client }: Spans, entry: OpenEntry, { scheme, origin, redact }: TracingOptions): void {
  const route = matchRoute(entry.path)
  const name = nameSpan(entry, route)
  const endedAt = entry.openedAt + (entry.duration_ms ?? 0)
  if (client) finish(client, name, redactAll(describeClientSpan(entry, route, origin), redact), entry.answeredAt || endedAt, 400)
  finish(server, name, redactAll(describeServerSpan(entry, route, scheme), redact), endedAt, 500)
}

type Described = ReturnType<typeof describeServerSpan>

function redactAll (attributes: Described, redact: (text: string) => string): Described {
  return Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, typeof value === 'string' ? redact(value) : value]))
}

/** A refusal is the client's fault to a server span, and an error to a client span (semantic conventions). */
function finish (span: Span, name: string, attributes: Described, endedAt: number, errorFrom: 400 | 500): void {
  const status = attributes['http.response.status_code']
  span.updateName(name)
  span.setAttributes(attributes)
  const failed = typeof status === 'number' ? status >= errorFrom : attributes['error.type'] !== undefined
  if (failed) span.setStatus({ code: SpanStatusCode.ERROR })
  span.end(endedAt)
}

function dropContext (flatHeaders: string[]): void {
  for (let index = flatHeaders.length - 2; index >= 0; index -= 2) {
    if (contextHeader.test(flatHeaders[index] as string)) flatHeaders.splice(index, 2)
  }
}
