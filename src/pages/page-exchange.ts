import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { UpstreamAnswer } from '../decorations.ts'
import { isRefusal, proxyError } from '../errors.ts'
import type { OpenEntry, Outcome } from '../trail/record.ts'
import type { ListRequest } from './list-request.ts'
import { acceptedEncoding } from './page-body.ts'

/** One page on its way: its own entry in the trail, its share of the member's limits. */
export interface PageExchange {
  answer: UpstreamAnswer
  entry: OpenEntry
  /** Ends it, whatever came of it. A second call does nothing. */
  close (outcome: Partial<Outcome>): void
}

/** Who asks for which list; `signal` is aborted when nobody waits for it any more. */
export interface PageContext {
  app: FastifyInstance
  request: FastifyRequest
  list: ListRequest
  signal: AbortSignal
}

/**
 * Sends the request for one page, in the order of every request: policy, limits, record, upstream. The policy is asked each time: a
 * long list outlives a change of it.
 * @throws ProxyError
 */
export async function sendForPage (context: PageContext, query: string): Promise<PageExchange> {
  const { app, request, list, signal } = context
  const decision = app.team.judge(request.member, 'GET', list.canonicalPath)
  if (!decision.allowed) throw proxyError('member_forbidden', { message: `The policy of the member ${request.member.name} forbids this: ${decision.rule}.` })
  const release = await acquire(context)
  const entry = openEntry(context, query, decision.decision)
  const close = makeClose(app, entry, release)
  try {
    await record(app, entry)
    signal.throwIfAborted()
    entry.sentAt = performance.now()
    const answer = await app.upstream.send({ method: 'GET', path: `${list.path}?${query}`, headers: describeHeaders(request), signal, onSent: () => { entry.attempts++ } })
    noteAnswer(entry, answer)
    return { answer, entry, close }
  } catch (error) {
    close({ outcome: signal.aborted ? 'client_aborted' : isRefusal(error) ? 'refused' : 'failed', ...describeError(error) })
    throw error
  }
}

function acquire ({ app, request, signal }: PageContext): Promise<(sent: boolean) => void> {
  return new Promise((resolve, reject) => {
    app.team.acquire(request.member, (error, release) => {
      if (error === undefined && !signal.aborted) return resolve(release)
      release(false)
      reject(error ?? signal.reason as Error)
    })
  })
}

function openEntry ({ app, request, list }: PageContext, query: string, decision: string): OpenEntry {
  const { id, member, region, client_address: address, client_agent: agent, trace_id: traceId } = request.entry
  return app.trail.open({
    kind: 'page',
    parent_id: id,
    member,
    method: 'GET',
    path: list.path,
    query,
    region,
    key_fingerprint: app.accessKey.current()?.fingerprint ?? '',
    client_address: address,
    client_agent: agent,
    policy_decision: decision,
    trace_id: traceId
  })
}

function record (app: FastifyInstance, entry: OpenEntry): Promise<void> {
  return new Promise((resolve, reject) => app.trail.record(entry, error => error === undefined ? resolve() : reject(error)))
}

function makeClose (app: FastifyInstance, entry: OpenEntry, release: (sent: boolean) => void): PageExchange['close'] {
  return outcome => {
    if (entry.closed) return
    entry.answeredAt = performance.now()
    app.trail.close(entry, outcome)
    release(entry.attempts > 0)
  }
}

/** Only what the API needs to know: the client's own headers were for the proxy. */
function describeHeaders ({ entry }: FastifyRequest): Record<string, string> {
  return { Accept: 'application/json', 'Accept-Encoding': acceptedEncoding, ...(entry.client_agent !== '' && { 'User-Agent': entry.client_agent }) }
}

function noteAnswer (entry: OpenEntry, { status, headers }: UpstreamAnswer): void {
  entry.status = status
  entry.ttfb_ms = performance.now() - entry.openedAt
  const requestId = headers['x-request-id']
  if (requestId !== undefined) entry.upstream_request_id = String(requestId).slice(0, 128)
}

export function describeError (error: unknown): Partial<Outcome> {
  const { type, message } = error as { type?: unknown, message?: unknown }
  return { error_type: typeof type === 'string' ? type : 'internal_error', error_message: typeof message === 'string' ? message : null }
}
