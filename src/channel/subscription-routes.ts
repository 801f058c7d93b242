import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { proxyError } from '../errors.ts'
import { passAccepted } from './device-request-routes.ts'
import { readResource } from './paths.ts'
import { answerOwn, passAnswer, readBody, sendOn, type AnswerHygiene } from './reply.ts'
import { subscriptionPath } from './restore.ts'
import type { ChannelRoom } from './room.ts'

/** Subscriptions belong to the key: the API's is made with the first member and let go with the last. */
export function serveSubscriptions (app: FastifyInstance, room: ChannelRoom, hygiene: AnswerHygiene): void {
  const { subscriptions, calls } = room

  /** Sent on each time: a device that registers anew has lost its subscriptions, and only the API knows. */
  async function subscribe (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { device, path } = readTarget(request)
    const body = await readBody(request, room.parts.limits.bodyBytes)
    room.touch()
    const answer = await sendOn(request, reply, hygiene, { body })
    if (answer.status < 300) subscriptions.add(request.member.name, device, path)
    return await passAccepted(room, request, reply, hygiene, answer)
  }

  async function unsubscribe (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { device, path } = readTarget(request)
    const { name } = request.member
    if (subscriptions.heldByOthers(name, device, path)) {
      subscriptions.remove(name, device, path)
      return keepForOthers(request, reply)
    }
    const answer = await sendOn(request, reply, hygiene, {})
    if (answer.status < 300 || answer.status === 404) subscriptions.remove(name, device, path)
    return passAnswer(request, reply, hygiene, answer)
  }

  /** All of a device: those that only this member holds, when others hold some too. */
  async function unsubscribeDevice (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const { device } = readTarget(request)
    const { name } = request.member
    const { own, others } = subscriptions.onDevice(name, device)
    if (others) {
      for (const path of own) await release(request, device, path)
      return keepForOthers(request, reply)
    }
    const answer = await sendOn(request, reply, hygiene, {})
    if (answer.status < 300 || answer.status === 404) own.forEach(path => subscriptions.remove(name, device, path))
    return passAnswer(request, reply, hygiene, answer)
  }

  async function release ({ member, entry }: FastifyRequest, device: string, path: string): Promise<void> {
    if (!subscriptions.heldByOthers(member.name, device, path)) await calls.call({ method: 'DELETE', path: subscriptionPath(device, path) }, entry.id)
    subscriptions.remove(member.name, device, path)
  }

  /** Whether somebody else holds a subscription must not change between the look and the deed. */
  function inTurn (work: (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply>) {
    return (request: FastifyRequest, reply: FastifyReply) => room.parts.sharing.turns.take(`subscriptions:${readTarget(request).device}`, () => work(request, reply))
  }

  app.put('/v2/subscriptions/:device/*', inTurn(subscribe))
  app.delete('/v2/subscriptions/:device/*', inTurn(unsubscribe))
  app.delete('/v2/subscriptions/:device', inTurn(unsubscribeDevice))
}

function keepForOthers (request: FastifyRequest, reply: FastifyReply): FastifyReply {
  request.entry.notes = request.entry.notes === '' ? 'subscription_shared' : `${request.entry.notes},subscription_shared`
  return answerOwn(request, reply, 204)
}

function readTarget ({ target }: FastifyRequest): { device: string, path: string } {
  const resource = readResource(target.canonicalPath)
  if (resource.device === '') throw proxyError('validation_error', { fields: [{ name: 'device-id', message: 'It is missing.' }] })
  return resource
}
