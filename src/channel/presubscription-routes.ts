import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { proxyError } from '../errors.ts'
import { isSame, loadLists, readPresubscriptions, refreshBase, replaceList, saveLists, unite, viewOf, type Lists, type Presubscription } from './presubscriptions.ts'
import { answerOwn, passAnswer, readBody, sendOn, type AnswerHygiene } from './reply.ts'
import type { ChannelRoom } from './room.ts'

const path = '/v2/subscriptions'

/** Pre-subscriptions: a list for each member, whose union is what the API has. */
export function servePresubscriptions (app: FastifyInstance, room: ChannelRoom, hygiene: AnswerHygiene): void {
  const { state, limits, sharing } = room.parts

  /** One after the other: each reads what upstream has, and writes the whole anew. */
  function inTurn<T> (work: () => Promise<T>): Promise<T> { return sharing.turns.take('presubscriptions', work) }

  /** What upstream has now; anything but a list is the API's refusal, and passed on as a failure of upstream. */
  async function look (request: FastifyRequest): Promise<{ upstream: Presubscription[], lists: Lists }> {
    const { status, text } = await room.calls.call({ method: 'GET', path }, request.entry.id)
    const upstream = status === 200 ? readPresubscriptions(text) : undefined
    if (upstream === undefined) throw proxyError('upstream_invalid_response', { message: `The API did not tell the present pre-subscriptions (status ${status}).` })
    return { upstream, lists: refreshBase(loadLists(state), upstream) }
  }

  async function get (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const answer = await sendOn(request, reply, hygiene, {})
    if (answer.status !== 200) return passAnswer(request, reply, hygiene, answer)
    const text = await answer.body.text()
    const upstream = readPresubscriptions(text)
    if (upstream === undefined) return passAnswer(request, reply, hygiene, answer, text)
    const view = viewOf(refreshBase(loadLists(state), upstream), request.member.name)
    return passAnswer(request, reply, hygiene, answer, JSON.stringify(view))
  }

  async function put (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const entries = readPresubscriptions((await readBody(request, limits.bodyBytes)).toString())
    if (entries === undefined) throw proxyError('validation_error', { fields: [{ name: 'presubscription', message: 'An array of objects is expected.' }] })
    return await inTurn(() => replace(request, reply, entries))
  }

  async function remove (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    return await inTurn(() => replace(request, reply, []))
  }

  async function replace (request: FastifyRequest, reply: FastifyReply, entries: Presubscription[]): Promise<FastifyReply> {
    const { upstream, lists } = await look(request)
    const next = replaceList(lists, request.member.name, entries)
    const union = unite(next)
    if (isSame(union, upstream)) {
      saveLists(state, loadLists(state), next)
      return answerOwn(request, reply, 204)
    }
    const answer = await sendOn(request, reply, hygiene, { method: 'PUT', path, body: JSON.stringify(union) })
    if (answer.status < 300) saveLists(state, loadLists(state), next)
    return passAnswer(request, reply, hygiene, answer)
  }

  app.get(path, { exposeHeadRoute: false }, get)
  app.put(path, put)
  app.delete(path, remove)
}
