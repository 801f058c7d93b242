import type { Member } from '../decorations.ts'
import { proxyError } from '../errors.ts'
import { AnswerRouting } from './answer-routing.ts'
import { Asking } from './asking.ts'
import { AsyncIds } from './async-ids.ts'
import { Demand } from './demand.ts'
import { EarlyAnswers } from './early-answers.ts'
import { EventStream } from './event-stream.ts'
import type { FanOut, Listener } from './fan-out.ts'
import { Incidents } from './incidents.ts'
import { Intake } from './intake.ts'
import type { Link, LinkReport, LinkState } from './link-machine.ts'
import { UpstreamLink, type LinkOptions } from './link.ts'
import { Listeners } from './listeners.ts'
import { LogReader } from './log-reader.ts'
import type { Places } from './places.ts'
import { RecentUids } from './recent-uids.ts'
import { Resumption } from './resumption.ts'
import { restoreSubscriptions } from './restore.ts'
import type { RoomParts } from './room-parts.ts'
import { Standings, type Standing } from './standing.ts'
import { Subscriptions } from './subscriptions.ts'
import { Succession } from './succession.ts'
import { Sweep } from './sweep.ts'
import { UpstreamCalls } from './upstream-calls.ts'
import { VirtualChannels, type VirtualChannel } from './virtual-channels.ts'

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
  readonly places: Places
  readonly #standings: Standings
  readonly #succession: Succession
  readonly #resumption: Resumption
  readonly #sweep: Sweep
  readonly asking: Asking
  #leased = false
  /** Times this instance came to hold the channel. */
  takeovers = 0
  #handedOver: Promise<void> | undefined

  constructor (parts: RoomParts) {
    const { limits, state, settings, sharing } = parts
    const now = Date.now()
    this.parts = parts
    this.channels = new VirtualChannels(state, now)
    this.subscriptions = new Subscriptions(state)
    this.ids = new AsyncIds(state, { perMember: limits.askedPerMember, total: limits.askedInTotal }, now)
    this.asking = new Asking(parts.trail)
    this.early = new EarlyAnswers(limits.earlyAnswerMs, limits.earlyAnswerBytes)
    this.routing = new AnswerRouting(sharing.instance, this.ids, this.early, {
      deliver: (member, text, answers) => parts.log.append({ to: member, text, gap: null, ...(answers.length > 0 && { answers }) }),
      noteAnswer: (trailId, status, latencyMs) => this.asking.noteAnswer(trailId, status, latencyMs)
    })
    this.places = sharing.makePlaces(this.channels)
    this.intake = new Intake(parts.log, this.routing, new RecentUids(limits.uids), parts.mask)
    this.calls = new UpstreamCalls(parts.upstream, parts.trail)
    this.demand = new Demand(settings.channel === 'always', limits.lingerMs)
    this.listeners = new Listeners(parts.team, this.demand)
    this.link = new UpstreamLink(this.#describeLink())
    this.#standings = new Standings(state, () => this.holds ? this.#describeStanding() : undefined, standing => this.#announce(standing))
    this.#succession = new Succession({ ...parts, isReceiving: () => this.link.mayReceive, holderLost: () => this.incidents.noteHolderLost(), readyMs: limits.readyMs })
    this.channels.onDeleted = channel => this.listeners.endAll(channel)
    this.incidents = new Incidents({
      log: parts.log,
      logger: parts.logger,
      takenBy: () => this.link.takenBy,
      restore: () => restoreSubscriptions({ ...parts, calls: this.calls, subscriptions: this.subscriptions })
    })
    this.#resumption = new Resumption({ ...parts, channels: this.channels, noteGap: () => this.incidents.noteRestart() })
    this.#sweep = new Sweep({ ...parts, ownBytes: limits.ownBytes, early: this.early, routing: this.routing, ids: this.ids, channels: this.channels, fanOut: this.fanOut, holds: () => this.holds, swept: () => this.#swept() })
  }

  get fanOut (): FanOut { return this.listeners.fanOut }

  /** This instance holds the upstream channel, or none does and it may. */
  get holds (): boolean { return this.#leased }

  /** How the upstream channel is, here or at the instance that holds it. */
  get standing (): Standing { return this.#standings.current }

  start (): void {
    const { log, sharing } = this.parts
    log.onAppend(event => {
      this.routing.receive(event)
      this.fanOut.wakeAll()
    })
    if (!sharing.isShared) this.#resumption.begin()
    sharing.onWanted(() => this.#wantedElsewhere())
    sharing.lease.hold({ gained: () => this.#setLeased(true), lost: () => this.#setLeased(false) })
    this.#sweep.start()
  }

  /** Lets go of the upstream channel in good order, for the next holder to have it at once. */
  handOver (): Promise<void> {
    return (this.#handedOver ??= this.#letGo())
  }

  async stop (): Promise<void> {
    await this.handOver()
    this.#sweep.stop()
    if (!this.parts.sharing.isShared) this.#resumption.end()
  }

  /** The upstream connection is made, kept or let go as needed. One that is open is kept while nobody can say whose it is. */
  follow (): void {
    const { sharing } = this.parts
    const now = Date.now()
    if (this.demand.isWantedHere(now)) sharing.tellWanted()
    this.link.want(this.#leased && (sharing.lease.confirmed || this.link.isOpen) && this.demand.isWanted(now))
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
    const { registered, state } = await this.#standings.settled(({ registered, state }) => registered || hopeless.includes(state), this.parts.limits.readyMs)
    this.refuseIfHopeless(state)
    if (!registered) throw proxyError('upstream_unreachable', { message: this.parts.sharing.up ? 'The notification channel could not be registered at the API in time.' : 'The notification channel cannot be registered while the Redis that the instances share is away.' })
  }

  refuseIfHopeless (state: LinkState = this.standing.state): void {
    this.link.lookAgain(Date.now())
    if (state === 'taken') throw proxyError('channel_taken')
    if (state === 'refused') throw proxyError('access_key_unavailable', { message: 'The API does not take the access key of the proxy for the notification channel.' })
  }

  /** Throws what a new listener is to be told when nobody can say where it would begin. */
  async ensureLog (): Promise<void> {
    if (await this.parts.sharing.ready(this.parts.limits.readyMs)) return
    throw proxyError('upstream_unreachable', { message: 'The events that the instances share cannot be read while their Redis is away.' })
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
    const { settings, limits, sharing, upstream, trail, logger, upgradeAnswered, keyFingerprint } = this.parts
    return {
      calls: this.calls,
      websocketOptions: () => upstream.websocketOptions(),
      closeEntry: (entry, facts) => trail.close(entry, facts),
      log: logger,
      limits: { pingMs: settings.websocketIdleTimeout, handshakeMs: limits.handshakeMs, maxMessageBytes: settings.websocketMaxMessage, timeScale: limits.timeScale },
      mayDial: () => sharing.lease.confirmed,
      ready: () => this.#succession.ready(),
      // A close by the API is no eviction from outside if another instance may have taken the channel meanwhile.
      ending: () => { if (!sharing.lease.confirmed) this.link.want(false) },
      receive: (data, isBinary) => this.#receive(data, isBinary),
      report: what => this.#report(what),
      changed: link => this.#linkChanged(link),
      answered: upgradeAnswered,
      keyFingerprint,
      random: Math.random
    }
  }

  #swept (): void {
    this.#succession.note()
    this.follow()
  }

  async #letGo (): Promise<void> {
    const { sharing, logger } = this.parts
    const held = this.#leased
    const begun = performance.now()
    await this.link.stop()
    const closed = performance.now()
    await sharing.bringOut()
    this.#succession.note()
    await sharing.stop()
    this.#leased = false
    if (sharing.isShared && held) logger.info({ close_ms: Math.round(closed - begun), took_ms: Math.round(performance.now() - begun) }, 'the notification channel is handed over')
  }

  #setLeased (leased: boolean): void {
    const { state, sharing, logger } = this.parts
    this.#leased = leased
    if (sharing.isShared) logger.info({ instance: sharing.instance.slice(0, 8) }, leased ? 'this instance holds the notification channel' : 'another instance holds the notification channel')
    if (leased) {
      sharing.begin()
      this.#succession.begin()
      this.takeovers++
      this.link.inherit({ known: state.get('channel') !== undefined, missed: state.get('missed') !== undefined })
    } else this.#succession.end()
    this.#standings.note(sharing.isShared)
    this.follow()
  }

  #wantedElsewhere (): void {
    const now = Date.now()
    this.demand.touchElsewhere(now)
    this.link.lookAgain(now)
    this.follow()
  }

  /** What a holder that dies before it is open again would have said is said by the next one. */
  #report (what: LinkReport): void {
    if (what === 'evicted') this.parts.state.set('missed', true)
    if (what === 'missed') this.parts.state.delete('missed')
    this.incidents.note(what)
  }

  #receive (data: Buffer, isBinary: boolean): void {
    if (!this.intake.receive(data, isBinary, Date.now())) this.incidents.noteUnreadable(data.length, isBinary)
  }

  #describeStanding (): Standing {
    const { state, registered, takenBy, connectedAt } = this.link
    return { state, registered, takenBy, connectedAt }
  }

  #linkChanged ({ known }: Link): void {
    const { state, sharing } = this.parts
    if (known && state.get('channel') === undefined) state.set('channel', { known: true })
    if (!this.holds) return
    this.#succession.note()
    this.#standings.note(sharing.isShared)
    this.#announce(this.standing)
  }

  #announce ({ state }: Standing): void {
    for (const listener of this.fanOut.listeners) {
      if (listener instanceof EventStream) listener.announce('channel', { state })
    }
    if (hopeless.includes(state)) this.fanOut.end('unavailable')
  }
}
