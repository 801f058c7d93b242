import Fastify, { type FastifyInstance } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import type { Test } from 'tap'
import { loadSettings } from '../../src/config/load.ts'
import fleet from '../../src/fleet/plugin.ts'
import { joinFleet } from '../../src/team/fleet-room.ts'
import type { FleetLease } from '../../src/team/fleet-lease.ts'
import type { FleetLimits } from '../../src/team/limits-fleet.ts'
import { noKeyLimits, noMemberLimits } from '../../src/team/limits-local.ts'
import type { KeyLimits, Kind, MemberLimits, Refusal } from '../../src/team/limits.ts'
import { waitFor } from './wait-for.ts'

export interface Attempt { lease: FleetLease, refusal: Refusal | undefined, admitted: boolean }

export interface LimitsInstance {
  app: FastifyInstance
  limits: FleetLimits
  /** Resolves when it was let in or refused. */
  attempt (member: string, kind?: Kind): Promise<Attempt>
  release (attempt: Attempt, sent?: boolean): void
  /** Ends as kill -9 would: nothing is said to Redis. */
  vanish (): Promise<void>
}

interface FleetOptions {
  members?: Record<string, Partial<MemberLimits>>
  key?: Partial<KeyLimits>
  /** How far each instance's clock is off, milliseconds. */
  skewsMs?: number[]
  /** Default: with the limits shared. */
  alone?: boolean
}

/** Several instances' limits on one Redis, in this process; each by a way of its own if there are several. */
export async function startLimits (t: Test, url: string | readonly string[], count: number, options: FleetOptions = {}): Promise<LimitsInstance[]> {
  const instances = await Promise.all(Array.from({ length: count }, (_, index) => startOne(t, typeof url === 'string' ? url : url[index] as string, options, options.skewsMs?.[index] ?? 0)))
  if (options.alone !== true) await untilShared(instances, count)
  return instances
}

export async function untilShared (instances: LimitsInstance[], count = instances.length): Promise<void> {
  await waitFor('shared limits', () => instances.map(({ limits, app }) => [limits.shared, app.fleet?.size]), states => states.every(([shared, size]) => shared === true && size === count), 15_000)
}

async function startOne (t: Test, url: string, { members = {}, key = {} }: FleetOptions, skewMs: number): Promise<LimitsInstance> {
  const settings = loadSettings({ flags: {}, dotenv: {}, environment: { PROXY_REDIS_URL: url, IZUMA_ACCESS_KEY: 'unused' } })
  const app = Fastify({ logger: false }) as unknown as FastifyInstance
  app.register(fastifyPlugin(async app => { app.decorate('health', { register: () => {} } as never) }, { name: 'health' }))
  app.register(fleet, { settings })
  await app.after()
  if (app.fleet === undefined) throw new Error('no fleet')
  const clock = { nowMs: () => performance.now(), wallMs: () => Date.now() + skewMs, delay: (delayMs: number, callback: () => void) => { const timer = setTimeout(callback, delayMs); return () => clearTimeout(timer) } }
  const { limits, begin } = joinFleet(app, app.fleet, clock, { onChanged: () => {}, onMarks: () => {}, onEnded: () => {} })
  limits.configure(new Map(Object.entries(members).map(([name, own]) => [name, { ...noMemberLimits, ...own }])), { ...noKeyLimits, maxWaitMs: 5000, maxWaiting: 10_000, ...key, ofKey: { concurrency: key.concurrency !== undefined, longPolls: key.longPolls !== undefined } })
  begin()
  await app.ready()
  t.teardown(() => app.close())
  return { app, limits, attempt: (member, kind = 'request') => attempt(limits, member, kind), release: ({ lease }, sent = true) => limits.release(lease, sent), vanish: () => vanish(app, limits) }
}

function attempt (limits: FleetLimits, member: string, kind: Kind): Promise<Attempt> {
  const usage = limits.usage(member)
  usage.lastSeenMs = Date.now()
  const lease = limits.open(usage, kind)
  return new Promise(resolve => { limits.acquire(lease, refusal => resolve({ lease, refusal, admitted: refusal === undefined })) })
}

async function vanish (app: FastifyInstance, limits: FleetLimits): Promise<void> {
  limits.leave = async () => {}
  app.fleet?.redis.disconnect()
  await app.close()
}

/** So many at once, spread over the instances. */
export function tryAll (instances: LimitsInstance[], count: number, member: string, kind?: Kind): Promise<Attempt[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => (instances[index % instances.length] as LimitsInstance).attempt(member, kind)))
}

/** A member who asks all instances all the time, and how far what it got is beyond a rate. */
export class LimitsLoad {
  readonly #instances: LimitsInstance[]
  readonly #perSecond: number
  readonly #started = performance.now()
  readonly #over = new AbortController()
  readonly #workers: Array<Promise<void>>
  served = 0
  longestMs = 0

  constructor (instances: LimitsInstance[], member: string, perSecond: number) {
    this.#instances = instances
    this.#perSecond = perSecond
    this.#workers = instances.map((_, index) => this.#work(index, member))
  }

  /** For so long: the most at any time that was served beyond the rate since the beginning. */
  async watch (ms: number): Promise<number> {
    const untilMs = performance.now() + ms
    let most = -Infinity
    while (performance.now() < untilMs) {
      most = Math.max(most, this.served - (performance.now() - this.#started) / 1000 * this.#perSecond)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    return most
  }

  async stop (): Promise<void> {
    this.#over.abort()
    await Promise.all(this.#workers)
  }

  async #work (index: number, member: string): Promise<void> {
    while (!this.#over.signal.aborted) {
      const instance = this.#instances[index] as LimitsInstance
      const asked = performance.now()
      const attempt = await instance.attempt(member)
      this.longestMs = Math.max(this.longestMs, performance.now() - asked)
      if (attempt.admitted) this.served++
      instance.release(attempt)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}
