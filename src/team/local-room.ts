import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { MemberSummary, TeamService } from '../decorations.ts'
import { createLocal } from './local-member.ts'
import { memberForbidden } from './refusals.ts'

/** The room without a team: everybody who can reach the proxy is `local`, and has nobody to share with. */
export function plugLocal (app: FastifyInstance, deny: readonly string[]): void {
  const { member, policy } = createLocal(deny)
  const summary: MemberSummary = { ...member, lastSeen: null, requestsToday: 0, refusedToday: 0, daily: null, open: 0, concurrency: null }
  app.decorate('team', {
    judge: (_member, method, path) => policy.judge(method, path),
    onRevoked: () => () => {},
    maySeeDevice: () => true,
    seesAllDevices: () => true,
    list: () => [summary],
    acquire: (_member, done) => { done(undefined, () => {}) },
    reload: () => {}
  } satisfies TeamService)
  app.health.register('team', () => ({ state: 'ok', ready: true, details: { members: 'local only' } }))
  app.addHook('onRequest', (request, _reply, done) => {
    const { entry, target, method } = request
    request.member = member
    entry.member = member.name
    if (deny.length === 0) {
      entry.policy_decision = 'allow'
      return done()
    }
    const decision = policy.judge(method, target.canonicalPath)
    entry.policy_decision = decision.decision
    done(decision.allowed ? undefined : memberForbidden(member, decision))
  })
  app.register(serveLocalSession)
}

/** The console asks who it is here too, and gets `local`; there is nothing to log in to or out of. */
async function serveLocalSession (app: FastifyInstance): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => { payload.resume().once('end', () => done(null)) })
  app.route({
    method: ['GET', 'POST', 'DELETE'],
    url: '/_proxy/session',
    handler: (request, reply) => request.method === 'DELETE' ? reply.code(204).send() : sendLocal(request, reply)
  })
}

function sendLocal ({ member }: FastifyRequest, reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').send({ object: 'session', member, via: 'local', expires_at: null, csrf_token: null })
}
