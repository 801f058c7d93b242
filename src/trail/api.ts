import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import { proxyError } from '../errors.ts'
import { buildBundle, type Related } from './bundle.ts'
import { renderBundle } from './bundle-markdown.ts'
import { explain } from './explanations/explain.ts'
import type { Explanation } from './explanations/rule.ts'
import { isId } from './identifiers.ts'
import { findPlaces } from './places.ts'
import { parseListQuery, type Conditions, type Extras, type ListQuery } from './query/parse.ts'
import type { TrailItem } from './query/reader.ts'
import { Reading } from './reading.ts'
import { Tail } from './tail.ts'

/**
 * The trail over HTTP, for the page and for scripts. Members see their own records, admins all.
 *
 *   GET /_proxy/trail                 list; with `Accept: text/event-stream` as the next
 *   GET /_proxy/trail/tail            live, as server-sent events
 *   GET /_proxy/trail/series          counts, errors and percentiles over time; `buckets=60`
 *   GET /_proxy/trail/bundle          support bundle of what a list would give, e.g. `?id__in=…,…` (100 records at most)
 *   GET /_proxy/trail/{id}            one record, with its explanation; by our id or by the API's X-Request-ID
 *   GET /_proxy/trail/{id}/bundle     support bundle; as Markdown with `Accept: text/markdown` or `format=markdown`
 */
export interface TrailApiOptions {
  settings: Pick<Settings, 'trail' | 'trailJournal' | 'trailSync'>
}

export interface TrailDetail extends TrailItem {
  explanation: Explanation | null
}

const mostBundled = 100
const mostTails = 50
const mostBuckets = 500
/** What a page asks for again and again needs no record of its own. */
const quietly = { config: { trail: false } }

async function trailApi (app: FastifyInstance, { settings }: TrailApiOptions): Promise<void> {
  const reading = new Reading(findPlaces(settings).store, (what, message) => app.log.warn(what, message))
  const tails = new Set<Tail>()
  app.health.onDrain(() => { for (const tail of tails) tail.end() })
  app.addHook('preClose', async () => { for (const tail of tails) tail.end() })
  app.addHook('onClose', () => reading.stop())

  app.get('/_proxy/trail', quietly, async (request, reply) => {
    if (wantsEvents(request)) return beginTail(app, reading, tails, request, reply)
    return sendJson(reply, await reading.list(readQuery(request)))
  })
  app.get('/_proxy/trail/tail', { ...quietly, exposeHeadRoute: false }, (request, reply) => beginTail(app, reading, tails, request, reply))
  app.get('/_proxy/trail/series', quietly, async (request, reply) => {
    let buckets = 60
    const query = readQuery(request, { buckets: value => { buckets = parseBuckets(value) } })
    return sendJson(reply, await reading.series({ filters: query.filters, text: query.text, buckets }))
  })
  app.get('/_proxy/trail/bundle', async (request, reply) => {
    const format = chooseFormat(request)
    const query = readQuery(request, { format: () => {} })
    const { data } = await reading.list({ ...query, limit: Math.min(query.limit, mostBundled) })
    return sendBundle(reply, format, await bundle(reading, request, data))
  })
  app.get<{ Params: { id: string } }>('/_proxy/trail/:id', quietly, async (request, reply) => {
    const [item] = await findItems(reading, request, request.params.id)
    return sendJson(reply, { ...item as TrailItem, explanation: explain(item as TrailItem) } satisfies TrailDetail)
  })
  app.get<{ Params: { id: string } }>('/_proxy/trail/:id/bundle', async (request, reply) => {
    const items = await findItems(reading, request, request.params.id)
    return sendBundle(reply, chooseFormat(request), await bundle(reading, request, items))
  })
}

function queryOf ({ raw }: FastifyRequest): string {
  const url = raw.url as string
  const mark = url.indexOf('?')
  return mark < 0 ? '' : url.slice(mark + 1)
}

function readQuery (request: FastifyRequest, extras?: Extras): ListQuery {
  return confine(request, parseListQuery(queryOf(request), extras))
}

/** A member sees what that member did. */
function confine<T extends Conditions> ({ member }: FastifyRequest, conditions: T): T {
  if (member.role === 'admin') return conditions
  return { ...conditions, filters: [...conditions.filters, { field: 'member', op: 'in', values: [member.name] }] }
}

async function findItems (reading: Reading, { member }: FastifyRequest, id: string): Promise<TrailItem[]> {
  // The API's ids are of the same form; whatever else they may become, they are short and plain.
  const items = isId(id) || /^[\w.-]{8,128}$/.test(id) ? await reading.find(id) : []
  const visible = items.filter(item => member.role === 'admin' || item.member === member.name)
  if (visible.length === 0) throw proxyError('not_found', { message: 'The trail has no such request.' })
  return visible
}

function parseBuckets (value: string): number {
  const buckets = Number(value)
  if (!/^\d{1,4}$/.test(value) || buckets < 1 || buckets > mostBuckets) throw new Error(`Must be a whole number from 1 to ${mostBuckets}.`)
  return buckets
}

/** Settings are for whoever runs the proxy, as in `status`. */
async function bundle (reading: Reading, { member }: FastifyRequest, items: TrailItem[]) {
  const requests: Array<{ item: TrailItem, related: Related }> = []
  for (const item of items) requests.push({ item, related: await reading.findRelated(item) })
  const proxies = await reading.findProxies(items.map(({ id }) => id))
  return buildBundle(requests, member.role === 'admin' ? proxies : proxies.map(proxy => ({ ...proxy, settings: null })), Date.now())
}

type Format = 'json' | 'markdown'

function chooseFormat (request: FastifyRequest): Format {
  const asked = new URLSearchParams(queryOf(request)).get('format')
  if (asked === 'markdown' || asked === 'json') return asked
  if (asked !== null) throw proxyError('validation_error', { fields: [{ name: 'format', message: 'Must be json or markdown.' }] })
  return /\btext\/markdown\b/.test(request.headers.accept ?? '') ? 'markdown' : 'json'
}

function sendBundle (reply: FastifyReply, format: Format, content: ReturnType<typeof buildBundle>): FastifyReply {
  if (format === 'json') return sendJson(reply, content)
  return reply.header('content-type', 'text/markdown; charset=utf-8').header('cache-control', 'no-store').header('x-content-type-options', 'nosniff').send(renderBundle(content))
}

function sendJson (reply: FastifyReply, body: object): FastifyReply {
  return reply.header('content-type', 'application/json; charset=utf-8').header('cache-control', 'no-store').send(JSON.stringify(body))
}

function wantsEvents ({ headers, method }: FastifyRequest): boolean {
  return method === 'GET' && /\btext\/event-stream\b/.test(headers.accept ?? '')
}

async function beginTail (app: FastifyInstance, reading: Reading, tails: Set<Tail>, request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
  if (tails.size >= mostTails) throw proxyError('concurrency_limited', { message: 'Too many tails of the trail are open.', retryAfter: 5 })
  const query = readQuery(request)
  const lastSeen = request.headers['last-event-id']
  const cursor = await reading.beginTail(typeof lastSeen === 'string' && isId(lastSeen) ? lastSeen : query.after)
  reply.hijack()
  request.entry.outcome = 'own'
  const raw = reply.raw
  raw.writeHead(200, { ...reply.getHeaders() as Record<string, string>, 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store', 'x-accel-buffering': 'no' })
  const tail = new Tail(reading, query, cursor, raw)
  const forget = app.team.onRevoked(request.member, tail.end)
  tails.add(tail)
  raw.once('close', () => {
    tails.delete(tail)
    forget()
  })
  tail.begin()
  return reply
}

export default fp(trailApi, { name: 'trail-api', dependencies: ['health', 'trail', 'team'] })
