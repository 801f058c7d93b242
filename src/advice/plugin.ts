import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Settings } from '../config/table.ts'
import type { TrailRecord } from '../trail/record.ts'
import { Adviser } from './matcher.ts'
import type { Advice } from './rule.ts'
import { serializeItem, serializeList } from './structured-field.ts'

/** trail: why an answer probably is what it is. */
export type Explain = (record: Pick<TrailRecord, 'outcome' | 'status' | 'error_type' | 'path' | 'query' | 'close_code' | 'async_status' | 'kind'>) => { rule: string, likely: string, next: string } | null

export interface AdviceOptions {
  settings: Pick<Settings, 'channel'>
  explain: Explain
}

const headerName = 'X-Proxy-Advice'
const pages = '/_proxy/pages/'
const none: readonly string[] = Object.freeze([])
/** What is remembered of what was logged; members and rules are few. */
const maxRemembered = 1000

/**
 * Statuses that the API's documentation explains in one way for a path, whatever their body says: it isn't here yet when headers are
 * written. The trail explains all others.
 */
const toldByStatus = new Set([401, 413, 426, 429])

/** Notes on requests and answers, in a header, the log and the trail. Nothing is blocked, and nothing that goes on is changed. */
function advice (app: FastifyInstance, { settings, explain }: AdviceOptions, done: () => void): void {
  const adviser = new Adviser({ sharesChannel: settings.channel !== 'off' })
  const items = new Map<string, string>()
  const log = makeLog(app)
  app.decorate('advice', { header: request => describe(request, items, explain) })
  app.decorateRequest('advice', null as never)
  app.addHook('onRequest', function adviseOnRequest (request, reply, next) {
    const { target } = request
    const found = adviser.advise({ method: request.method, canonicalPath: pathOf(target.canonicalPath), query: target.query, notes: target.notes })
    request.advice = found.length === 0 ? none : found.map(({ code }) => code)
    for (const one of found) {
      if (!items.has(one.code)) items.set(one.code, serializeItem(one.code, one.text))
      log(request, one)
    }
    if (found.length > 0) note(request, reply, items)
    next()
  })
  done()
}

/** A whole list is judged as the list it is. */
function pathOf (canonicalPath: string): string {
  return canonicalPath.startsWith(pages) ? canonicalPath.slice(pages.length - 1) : canonicalPath
}

/** The guard's notes are on the entry already. */
function note ({ entry, target, advice }: FastifyRequest, reply: FastifyReply, items: ReadonlyMap<string, string>): void {
  const codes = advice.filter(code => !target.notes.includes(code))
  entry.notes = (entry.notes === '' ? codes : [entry.notes, ...codes]).join(',')
  // For answers that Fastify sends; whoever writes onto the raw response asks for the header.
  reply.header(headerName, serializeList(advice.map(code => items.get(code) ?? code)))
}

function describe ({ entry, advice }: FastifyRequest, items: Map<string, string>, explain: Explain): string | undefined {
  const given = advice ?? none
  const told = entry.outcome === 'answered' && toldByStatus.has(entry.status ?? 0)
    ? explain({ outcome: 'answered', status: entry.status, error_type: null, path: entry.path, query: entry.query, close_code: null, async_status: null, kind: entry.kind })
    : null
  if (given.length === 0 && told === null) return undefined
  const codes = told === null ? given : [...given, told.rule]
  if (told !== null && !items.has(told.rule)) items.set(told.rule, serializeItem(told.rule, `${told.likely} ${told.next}`))
  return serializeList(codes.map(code => items.get(code) ?? code))
}

/** Each piece of advice once for each member. */
function makeLog (app: FastifyInstance): (request: FastifyRequest, given: Advice) => void {
  const logged = new Set<string>()
  return ({ entry }, { code, text, source }) => {
    const what = `${code} ${entry.member}`
    if (logged.has(what)) return
    if (logged.size >= maxRemembered) logged.clear()
    logged.add(what)
    app.log.info({ rule: code, advice: text, source: source.url, member: entry.member, request_id: entry.id }, 'advice on a request')
  }
}

export default fastifyPlugin(advice, { name: 'advice', dependencies: ['trail', 'guard', 'team'] })
