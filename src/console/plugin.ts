import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { join } from 'node:path'
import type { MemberSummary } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import { readWebFiles, type WebFile } from './files.ts'

export interface ConsoleOptions {
  /** Where the built page is. Default: dist/console/web of this package. */
  folder?: string
}

/** From src/console and from dist/console alike. */
const builtFolder = join(import.meta.dirname, '..', '..', 'dist', 'console', 'web')

/** What the page needs and nothing else. Trusted Types (W3C) make every way from text to markup an error in the browser. */
const policy = [
  "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "font-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'", "trusted-types 'none'"
].join('; ')

const protection = {
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin'
}

/** Addresses that the page itself makes sense of: all are the one document. */
const pages = new Set(['', 'members', 'channel', 'health'])

const unrecorded = { config: { trail: false } }

/**
 *   GET /_proxy/console/    the web page
 *   GET /_proxy/members     members with their usage; admins see all, others themselves
 */
function plugConsole (app: FastifyInstance, { folder = builtFolder }: ConsoleOptions, done: () => void): void {
  let files = new Map<string, WebFile>()

  async function sendFile (request: FastifyRequest<{ Params: { '*': string } }>, reply: FastifyReply) {
    // Read when somebody looks: a sidecar never has the page in memory.
    if (files.size === 0) files = await readWebFiles(folder)
    const path = request.params['*']
    if (files.size === 0) return sendUnbuilt(reply)
    const file = files.get(pages.has(path) ? 'index.html' : path)
    if (file === undefined) throw proxyError('not_found')
    return send(request, reply, file)
  }

  app.get('/_proxy/console', unrecorded, (_request, reply) => reply.redirect('/_proxy/console/', 308))
  app.get('/_proxy/console/*', unrecorded, sendFile)
  app.get('/_proxy/members', unrecorded, (request, reply) => {
    const { name, role } = request.member
    const members = app.team.list().filter(member => role === 'admin' || member.name === name)
    return reply.header('cache-control', 'no-store').send({ object: 'list', data: members.map(describeMember) })
  })
  done()
}

function send (request: FastifyRequest, reply: FastifyReply, { type, body, gzipped, etag, cacheControl }: WebFile) {
  reply.headers({ ...protection, 'Content-Type': type, 'Cache-Control': cacheControl, ETag: etag, Vary: 'Accept-Encoding' })
  if (request.headers['if-none-match'] === etag) return reply.code(304).send()
  if (!/\bgzip\b/.test(String(request.headers['accept-encoding']))) return reply.send(body)
  return reply.header('Content-Encoding', 'gzip').send(gzipped)
}

function sendUnbuilt (reply: FastifyReply) {
  return reply.code(503).headers({ ...protection, 'Content-Type': 'text/plain; charset=utf-8', 'Cache-Control': 'no-store' })
    .send('The console has not been built. In a checkout, run: npm run build\n')
}

function describeMember ({ name, role, lastSeen, requestsToday, refusedToday, daily, open, concurrency }: MemberSummary) {
  return { object: 'member-usage', name, role, last_seen: lastSeen, requests_today: requestsToday, refused_today: refusedToday, daily, open, concurrency }
}

export default fastifyPlugin(plugConsole, { name: 'console', dependencies: ['team'] })
