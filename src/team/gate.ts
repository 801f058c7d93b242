import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify'
import { InFlight, type Placed } from '../in-flight.ts'
import type { OpenEntry } from '../trail/record.ts'
import type { Credential } from './credential.ts'
import type { Doorkeeper } from './doorkeeper.ts'
import type { Lease, Limits, Refusal, Usage } from './limits.ts'
import { isPublic } from './own-paths.ts'
import { classify } from './request-kind.ts'
import { limitReached, memberForbidden, memberUnknown, tooManyWrongTokens } from './refusals.ts'
import { WrongTokens, type AskFleet } from './wrong-tokens.ts'

interface Hold extends Placed { lease: Lease, credential: Credential, request: FastifyRequest }

const kHold = Symbol('izuma-proxy.team.hold')

type HeldEntry = OpenEntry & { [kHold]?: Hold }

interface GateOptions {
  doorkeeper: Doorkeeper
  limits: Limits
  log: FastifyBaseLogger
  /** Several instances count wrong tokens together. */
  askFleet?: AskFleet
}

/** The way in: who asks, may they, is it their turn. */
export class Gate {
  readonly #options: GateOptions
  readonly #holds = new InFlight<Hold>()
  readonly #wrongTokens: WrongTokens

  constructor (options: GateOptions) {
    this.#options = options
    this.#wrongTokens = new WrongTokens(network => options.log.warn({ network }, 'many wrong member tokens come from here: they are limited'), options.askFleet)
  }

  /** The `onRequest` hook. */
  readonly admit = (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void => {
    const { entry, method, target: { canonicalPath, path } } = request
    if (isPublic(method, canonicalPath, path)) return done()
    const credential = this.#options.doorkeeper.identify(request)
    if (credential === undefined) return this.#meetStranger(request, done)
    const { member, policy } = credential
    request.member = member
    entry.member = member.name
    const decision = policy.judge(method, canonicalPath)
    entry.policy_decision = decision.decision
    const usage = this.#options.limits.usage(member.name)
    usage.lastSeenMs = Date.now()
    if (decision.allowed) return this.#take(request, usage, credential, done)
    this.#options.limits.countRefusal(usage)
    done(memberForbidden(member, decision))
  }

  /** A wrong token counts against its address. */
  readonly refuseToken = ({ raw }: FastifyRequest, done: (error: Error) => void): void => {
    this.#wrongTokens.note(raw.socket.remoteAddress ?? '', performance.now(), waitMs => done(waitMs === 0 ? memberUnknown : tooManyWrongTokens(waitMs)))
  }

  /** When an entry closes, whatever ended it. */
  readonly release = (entry: HeldEntry): void => {
    const hold = entry[kHold]
    if (hold === undefined || hold.place === -1) return
    this.#holds.delete(hold)
    this.#options.limits.release(hold.lease, entry.attempts > 0)
  }

  /**
   * Cuts off what is still open with a credential that no longer holds. The rooms that know how to end a connection politely were
   * told before; this is for everything else, such as a download of an hour. Not for the logout that ended it, which is being answered.
   */
  cutOff (holds: (credential: Credential) => boolean): void {
    for (const { credential, request } of this.#holds.list()) {
      const { method, target: { canonicalPath, path } } = request
      if (!holds(credential) && !isOpenDoor(method, canonicalPath, path)) request.raw.socket.destroy()
    }
  }

  /** A wrong token is one on an open door too, which would else tell, as often as one likes, whether it is right. */
  #meetStranger (request: FastifyRequest, done: (error?: Error) => void): void {
    const { method, target: { canonicalPath, path } } = request
    if (this.#options.doorkeeper.showsToken(request)) this.refuseToken(request, done)
    else if (isOpenDoor(method, canonicalPath, path)) done()
    else done(memberUnknown)
  }

  #take (request: FastifyRequest, usage: Usage, credential: Credential, done: (error?: Error) => void): void {
    const { limits } = this.#options
    const { entry, method, target, raw } = request
    const lease = limits.open(usage, classify(method, target.canonicalPath, raw.headers))
    const hold: Hold = { lease, credential, request, place: -1 };
    (entry as HeldEntry)[kHold] = hold
    this.#holds.add(hold)
    limits.acquire(lease, refusal => refusal === undefined ? done() : done(this.#refuse(usage, refusal)))
  }

  #refuse (usage: Usage, refusal: Refusal): Error {
    this.#options.limits.countRefusal(usage)
    return limitReached(refusal)
  }
}

/** Logging in, asking whether one is, and logging out: the session's routes look at credentials themselves. */
function isOpenDoor (method: string, canonicalPath: string, path: string): boolean {
  return canonicalPath === '/_proxy/session' && path === canonicalPath && (method === 'POST' || method === 'GET' || method === 'DELETE')
}
