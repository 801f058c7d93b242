import type { FastifyInstance, FastifyReply } from 'fastify'
import { failingParts, type Health, type Overview } from './health.ts'

/** Probes that go well leave no record. */
const unrecorded = { config: { trail: false } }

/** The two probes, the same on both listeners. */
export function serveProbes (app: FastifyInstance, health: Health, isListening = () => true): void {
  app.get('/_proxy/livez', unrecorded, (_request, reply) => sendJson(reply, '{"object":"health","state":"ok"}'))
  app.get('/_proxy/readyz', unrecorded, (_request, reply) => {
    const overview = health.overview()
    const ready = overview.ready && isListening()
    return sendJson(reply.code(ready ? 200 : 503), JSON.stringify(describeReadiness(overview, ready)))
  })
}

export function sendJson (reply: FastifyReply, body: string): FastifyReply {
  return reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-store').send(body)
}

/** Anybody may probe, so the parts show their state and reason; their details are for `status`. */
function describeReadiness (overview: Overview, ready: boolean) {
  const failing = Object.entries(failingParts(overview)).map(([name, { state, ready, details }]) =>
    [name, { state, ready, ...(typeof details?.['reason'] === 'string' && { reason: details['reason'] }) }])
  return { object: 'readiness', ready, state: overview.state, draining: overview.draining, failing: Object.fromEntries(failing) as Record<string, unknown> }
}
