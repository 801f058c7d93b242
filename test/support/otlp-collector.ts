import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface CollectedSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  name: string
  kind: number
  startTimeUnixNano: string
  endTimeUnixNano: string
  attributes: Record<string, unknown>
  status: { code?: number }
  resource: Record<string, unknown>
}

type Attributes = Array<{ key: string, value: Record<string, unknown> }>
interface Scope { spans: Array<Omit<CollectedSpan, 'attributes' | 'resource'> & { attributes: Attributes }> }
interface Body { resourceSpans: Array<{ resource: { attributes: Attributes }, scopeSpans: Scope[] }> }

/** An OTLP/HTTP collector that understands JSON and keeps what it is sent; `status` is what it answers. */
export async function startCollector (t: Test) {
  const spans: CollectedSpan[] = []
  const requests: Array<{ url: string | undefined, headers: NodeJS.Dict<string | string[]>, text: string }> = []
  const control = { status: 200 }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      requests.push({ url: request.url, headers: request.headers, text })
      if (control.status === 200) spans.push(...readSpans(JSON.parse(text) as Body))
      response.writeHead(control.status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => new Promise(resolve => {
    server.closeAllConnections()
    server.close(resolve)
  }))
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, spans, requests, control }
}

function readSpans ({ resourceSpans }: Body): CollectedSpan[] {
  return resourceSpans.flatMap(({ resource, scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans.map(span =>
    ({ ...span, attributes: readAttributes(span.attributes), resource: readAttributes(resource.attributes) }))))
}

function readAttributes (attributes: Attributes): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
}
