import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Member } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import { createCredential, findCredential, type Credential } from './credential.ts'
import { isFromOwnPage, sessionMs, type Session, type SessionSigner } from './session.ts'
import type { SessionFile } from './session-file.ts'
import type { TeamState } from './team-state.ts'

/** Safe by RFC 9110 §9.2.1: they change nothing, so a forged one does no harm. */
const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Who the console's cookie stands for. Only on the proxy's own paths, only from its own pages, and with X-CSRF-Token where something may change. */
export function identifyBySession (state: TeamState, signer: SessionSigner, file: SessionFile, { method, raw: { headers } }: FastifyRequest): Credential | undefined {
  const value = headers.cookie === undefined ? undefined : readCookie(headers.cookie, signer.cookieName)
  if (value === undefined || !isFromOwnPage(headers)) return undefined
  const session = signer.read(value, Date.now())
  if (session === undefined || file.isEnded(session.id)) return undefined
  if (!safeMethods.has(method) && !signer.isCsrfToken(session.id, headers['x-csrf-token'] as string | undefined)) return undefined
  return findSessionCredential(state, session)
}

function readCookie (header: string, name: string): string | undefined {
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=')
    if (pair.slice(0, equals).trim() === name) return decode(pair.slice(equals + 1).trim())
  }
  return undefined
}

function decode (value: string): string | undefined {
  try {
    return decodeURIComponent(value)
  } catch {
    return undefined
  }
}

function findSessionCredential (state: TeamState, { member, digestStart, expiresMs, id }: Session): Credential | undefined {
  const login = state.roster.findByDigestStart(member, digestStart, Date.now())
  if (login === undefined) return undefined
  return createCredential(login.member, { ...login, expiresMs: Math.min(login.expiresMs, expiresMs), session: id })
}

interface SessionRoutesOptions {
  state: TeamState
  signer: () => SessionSigner
  file: SessionFile
  /** Gives the error for a wrong token, counted against its address. */
  refuse (request: FastifyRequest, done: (error: Error) => void): void
  /** A session was logged out of. */
  onEnded (session: string, expiresMs: number): void
}

/** `POST`, `GET` and `DELETE /_proxy/session`: log in with a token, ask who one is, log out. */
export async function serveSession (app: FastifyInstance, { state, signer, file, refuse, onEnded }: SessionRoutesOptions): Promise<void> {
  // Cookies are for these routes alone: nobody else pays for them.
  await app.register(fastifyCookie, { hook: false })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit: 4096 }, parseJson)

  app.post('/_proxy/session', async (request, reply) => {
    if (!isFromOwnPage(request.raw.headers)) throw proxyError('origin_not_allowed')
    const login = (request.member as Member | null) === null ? findByBody(state, request.body) : findCredential(request.member)
    if (login === undefined) throw await new Promise<Error>(resolve => { refuse(request, resolve) })
    if (login.digest === '' || login.session !== '') return sendWho(reply, signer(), login)
    request.entry.member = login.member.name
    const mine = signer()
    const session = mine.create(login.member.name, login.digest, Date.now())
    await save(app, file)
    reply.setCookie(mine.cookieName, mine.sign(session), cookieOptions(request, sessionMs / 1000))
    return sendWho(reply, mine, findSessionCredential(state, session) ?? login)
  })

  app.get('/_proxy/session', (request, reply) => sendWho(reply, signer(), credentialOf(request)))

  app.delete('/_proxy/session', async (request, reply) => {
    const { session, expiresMs } = credentialOf(request)
    if (session !== '') {
      file.end(session, expiresMs, Date.now())
      onEnded(session, expiresMs)
      await save(app, file)
      // Last, because it cuts off what was asked with the session: this request too, if its answer takes long.
      state.sweep()
    }
    return reply.setCookie(signer().cookieName, '', cookieOptions(request, 0)).code(204).send()
  })
}

function parseJson (_request: FastifyRequest, body: string | Buffer, done: (error: Error | null, body?: unknown) => void): void {
  try {
    done(null, JSON.parse(body as string))
  } catch {
    done(proxyError('validation_error', { fields: [{ name: 'token', message: 'The body is not JSON such as {"token":"izp_…"}.' }] }))
  }
}

function findByBody (state: TeamState, body: unknown): Credential | undefined {
  const token = (body as { token?: unknown } | null | undefined)?.token
  return typeof token === 'string' ? state.roster.findByToken(token, Date.now()) : undefined
}

function credentialOf ({ member }: FastifyRequest): Credential {
  const credential = (member as Member | null) === null ? undefined : findCredential(member)
  if (credential === undefined) throw proxyError('member_unknown')
  return credential
}

function sendWho (reply: FastifyReply, signer: SessionSigner, { member, session, digest, expiresMs }: Credential): FastifyReply {
  return reply.header('cache-control', 'no-store').send({
    object: 'session',
    member: { name: member.name, role: member.role },
    via: session !== '' ? 'session' : digest === '' ? 'certificate' : 'token',
    expires_at: expiresMs === Infinity ? null : new Date(expiresMs).toISOString(),
    csrf_token: session === '' ? null : signer.csrfToken(session)
  })
}

function cookieOptions ({ raw }: FastifyRequest, maxAge: number) {
  return { path: '/_proxy/', httpOnly: true, sameSite: 'strict' as const, secure: 'encrypted' in raw.socket, maxAge }
}

async function save (app: FastifyInstance, file: SessionFile): Promise<void> {
  try {
    await file.save()
  } catch (err) {
    app.log.warn({ err }, 'sessions of the console could not be saved: they end with this process')
  }
}
