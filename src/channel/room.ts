import type { FastifyBaseLogger } from 'fastify'
import type { Settings } from '../config/table.ts'
import type { Member, TeamService, UpstreamService } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import type { OpenEntry, TrailService } from '../trail/record.ts'
import { AnswerRouting } from './answer-routing.ts'
import { AsyncIds, type Asker } from './async-ids.ts'
import { Demand } from './demand.ts'
import { EarlyAnswers } from './early-answers.ts'
import type { EventLog } from './event-log.ts'
import { EventStream } from './event-stream.ts'
import type { FanOut, Listener } from './fan-out.ts'
import { Incidents } from './incidents.ts'
import { Intake } from './intake.ts'
import type { Lease } from './lease.ts'
import type { ChannelLimits } from './limits.ts'
import type { Link, LinkState } from './link-machine.ts'
import { UpstreamLink, type LinkOptions } from './link.ts'
import { Listeners } from './listeners.ts'
import { LogReader } from './log-reader.ts'
import { RecentUids } from './recent-uids.ts'
import { restoreSubscriptions } from './restore.ts'
import type { StateMap } from './state-journal.ts'
import { Subscriptions } from './subscriptions.ts'
import { UpstreamCalls } from './upstream-calls.ts'
import { VirtualChannels, type VirtualChannel } from './virtual-channels.ts'

export interface RoomParts {
  settings: Pick<Settings, 'channel' | 'websocketIdleTimeout' | 'websocketMaxMessage'>
  limits: ChannelLimits
  state: StateMap
  log: EventLog & { expire (): void }
  lease: Lease
  upstream: UpstreamService
  trail: TrailService
  team: TeamService
  logger: FastifyBaseLogger
  /** Takes our own keys out of what the API sent. */
  mask: (data: Buffer) => Buffer
  keyFingerprint: () => string | undefined
  /** With the status of an upgrade, for the key that was sent. */
  upgradeAnswered: (status: number) => void
}

const sweepMs = 250
const sweepsPerMinute = 240
/** States in which a member can't be given a channel. */
const hopeless: readonly LinkState[] = ['taken', 'refused']

/** The room itself: the upstream channel, the log of what came over it, those who listen, and those who wait for answers. */
export class ChannelRoom {
  readonly parts: RoomParts
  readonly listeners: Listeners
  readonly channels: VirtualChannels
  readonly subscriptions: Subscriptions
  readonly ids: AsyncIds
  readonly early: EarlyAnswers
  readonly routing: AnswerRouting
  readonly intake: Intake
  readonly calls: UpstreamCalls
  readonly link: UpstreamLink
  readonly incidents: Incidents
  readonly demand: Demand
  /** Entries of device requests whose own answer is still under way; facts learned meanwhile go straight into them. */
  readonly asking = new Map<string, OpenEntry>()
  #leased = false
  #sweep: NodeJS.Timeout | undefined
  #sweeps = 0

  constructor (parts: RoomParts) {
    const { limits, state, settings } = parts
    const now = Date.now()
    this.parts = parts
    this.channels = new VirtualChannels(state, now)
    this.subscriptions = new Subscriptions(state)
    this.ids = new AsyncIds(state, { perMember: limits.askedPerMember, total: limits.askedInTotal }, now)
    this.early = new EarlyAnswers(limits.earlyAnswerMs, limits.earlyAnswerBytes)
    this.routing = new AnswerRouting(this.ids, this.early, {
      deliver: (member, text) => parts.log.append({ to: member, text, gap: null }),
      noteAnswer: (asker, status, latencyMs) => this.#noteAnswer(asker, status, latencyMs)
    })
    this.intake = new Intake(parts.log, this.routing, new RecentUids(limits.uids), parts.mask)
    this.calls = new UpstreamCalls(parts.upstream, parts.trail)
    this.demand = new Demand(settings.channel === 'always', limits.lingerMs)
    this.listeners = new Listeners(parts.team, this.demand)
    this.link = new UpstreamLink(this.#describeLink())
    this.incidents = new Incidents({
      log: parts.log,
      logger: parts.logger,
      takenBy: () => this.link.takenBy,
      restore: () => restoreSubscriptions({ ...parts, calls: this.calls, subscriptions: this.subscriptions })
    })
  }

  get fanOut (): FanOut { return this.listeners.fanOut }

  start (): void {
    this.parts.log.onAppend(() => this.fanOut.wakeAll())
    this.parts.lease.hold({ gained: () => this.#setLeased(true), lost: () => this.#setLeased(false) })
    this.#sweep = setInterval(() => this.#runSweep(), sweepMs)
  }

  async stop (): Promise<void> {
    clearInterval(this.#sweep)
    await this.link.stop()
    await this.parts.lease.release()
  }

  /** The upstream connection is made, kept or let go as needed. */
  follow (): void {
    this.link.want(this.#leased && this.demand.isWanted(Date.now()))
  }

  /** Somebody does something whose result comes over the channel. */
  touch (): void {
    this.demand.touch(Date.now())
    this.follow()
  }

  /** Resolves when the API has the channel; throws what the member is to be told when it can't be had. */
  async ensureRegistered (): Promise<void> {
    this.touch()
    this.link.lookAgain(Date.now())
    const state = await this.link.settled(state => this.link.registered || hopeless.includes(state), this.parts.limits.readyMs)
    this.refuseIfHopeless(state)
    if (!this.link.registered) throw proxyError('upstream_unreachable', { message: 'The notification channel could not be registered at the API in time.' })
  }

  refuseIfHopeless (state: LinkState = this.link.state): void {
    this.link.lookAgain(Date.now())
    if (state === 'taken') throw proxyError('channel_taken')
    if (state === 'refused') throw proxyError('access_key_unavailable', { message: 'The API does not take the access key of the proxy for the notification channel.' })
  }

  reader (member: Member, position: number, removalsAsObjects = false): LogReader {
    return new LogReader(this.parts.log, this.parts.team, member, removalsAsObjects, position)
  }

  /** From here on the listener hears the log, until the returned function is called. */
  listen (listener: Listener, member: Member, channel?: VirtualChannel): () => void {
    const leave = this.listeners.add(listener, member, channel)
    this.follow()
    return leave
  }

  #describeLink (): LinkOptions {
    const { settings, limits, state, upstream, trail, logger, upgradeAnswered, keyFingerprint } = this.parts
    return {
      calls: this.calls,
      websocketOptions: () => upstream.websocketOptions(),
      closeEntry: (entry, facts) => trail.close(entry, facts),
      log: logger,
      limits: { pingMs: settings.websocketIdleTimeout, handshakeMs: limits.handshakeMs, maxMessageBytes: settings.websocketMaxMessage, timeScale: limits.timeScale },
      known: state.get('channel') !== undefined,
      receive: (data, isBinary) => this.#receive(data, isBinary),
      report: what => this.incidents.note(what),
      changed: link => this.#linkChanged(link),
      answered: upgradeAnswered,
      keyFingerprint,
      random: Math.random
    }
  }

  #setLeased (leased: boolean): void {
    this.#leased = leased
    this.follow()
  }

  #receive (data: Buffer, isBinary: boolean): void {
    if (!this.intake.receive(data, isBinary, Date.now())) this.incidents.noteUnreadable(data.length, isBinary)
  }

  #linkChanged ({ known, state }: Link): void {
    if (known && this.parts.state.get('channel') === undefined) this.parts.state.set('channel', { known: true })
    for (const listener of this.fanOut.listeners) {
      if (listener instanceof EventStream) listener.announce('channel', { state })
    }
    if (hopeless.includes(state)) this.fanOut.end('unavailable')
  }

  #noteAnswer ({ trailId }: Asker, status: number | null, latencyMs: number): void {
    const facts = { async_status: status, async_latency_ms: latencyMs }
    const entry = this.asking.get(trailId)
    if (entry !== undefined && !entry.closed) Object.assign(entry, facts)
    else if (trailId !== '') this.parts.trail.amend(trailId, facts)
  }

  #runSweep (): void {
    const now = Date.now()
    this.early.expire(now)
    this.fanOut.tick(now)
    this.fanOut.limitOwnBytes(this.parts.limits.ownBytes)
    if (++this.#sweeps % sweepsPerMinute === 0) {
      this.ids.expire(now)
      this.channels.expire(now)
      this.parts.log.expire()
    }
    this.follow()
  }
}
