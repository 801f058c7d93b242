import type { StateMap } from './state-journal.ts'

/** How a channel is asked to be written, as `PUT /v2/notification/websocket` takes it. */
export type Serialization = Record<string, unknown>

/** A member's own channel: what the API would keep for it if the key were the member's alone. */
export interface VirtualChannel {
  member: string
  /** Several programs that share a member may each name a queue of their own. `''` is the unnamed one. */
  consumer: string
  kind: ChannelKind
  serialization: Serialization | null
  /** Open connections. */
  open: number
  /** Milliseconds since the epoch, of the last time it was used. */
  usedAt: number
  /** `usedAt` as it was last written down. */
  savedAt: number
  /** Where connections that ended had got to, oldest first; the next connections go on from there. */
  left: Array<{ position: number, at: number }>
}

export type ChannelKind = 'websocket' | 'pull'

export interface ChannelName { member: string, consumer: string, kind: ChannelKind }

const prefix = 'virtual:'
const maxLeft = 16
/** Connections that ended together (a network gone, a laptop asleep) go on from the position of the slowest. */
const togetherMs = 2_000
/** The API's own terms: a WebSocket channel expires after 24 h without a connection, a long poll after 10 min. */
export const expiryMs: Record<ChannelKind, number> = { websocket: 24 * 3_600_000, pull: 600_000 }

/** Who has a channel and where each goes on. Positions are those of the event log. */
export class VirtualChannels {
  readonly #state: StateMap
  readonly #channels = new Map<string, VirtualChannel>()
  readonly #deleted = new Set<string>()

  /** Channels of an earlier process go on at the beginning of this log: what came since the start was not heard by them. */
  constructor (state: StateMap, nowMs: number) {
    this.#state = state
    for (const [, value] of state.entries(prefix)) {
      const { member, consumer, kind, serialization, usedAt } = value as VirtualChannel
      this.#channels.set(keyOf({ member, consumer, kind }), { member, consumer, kind, serialization, usedAt, savedAt: usedAt, open: 0, left: [{ position: 0, at: usedAt }] })
    }
    this.expire(nowMs)
    state.onForeignChange((key, value) => { if (key.startsWith(prefix)) this.#follow(key.slice(prefix.length), value as VirtualChannel | undefined) })
  }

  /** Called when the member has deleted a channel by way of another instance. */
  onDeleted: (channel: VirtualChannel) => void = () => {}

  get size (): number { return this.#channels.size }

  find (name: ChannelName): VirtualChannel | undefined { return this.#channels.get(keyOf(name)) }

  countOf (member: string): number {
    let count = 0
    for (const channel of this.#channels.values()) if (channel.member === member) count++
    return count
  }

  /** True after the member deleted it and before it was registered again: the API would refuse a connection. */
  isDeleted (name: ChannelName): boolean { return this.#deleted.has(keyOf(name)) }

  /** Events from `head` on are for it. As at the API, registering again changes nothing. */
  register (name: ChannelName, serialization: Serialization | null, head: number, nowMs: number): { channel: VirtualChannel, created: boolean } {
    const key = keyOf(name)
    const existing = this.#channels.get(key)
    if (existing) return { channel: existing, created: false }
    const channel: VirtualChannel = { ...name, serialization, open: 0, usedAt: nowMs, savedAt: nowMs, left: [{ position: head, at: nowMs }] }
    this.#channels.set(key, channel)
    this.#deleted.delete(key)
    this.#save(channel)
    return { channel, created: true }
  }

  remove (name: ChannelName): boolean {
    const key = keyOf(name)
    if (!this.#channels.delete(key)) return false
    this.#deleted.add(key)
    this.#state.delete(prefix + key)
    return true
  }

  /** A connection begins: the position it goes on from. A second one beside an open one begins with the next event. */
  attach (channel: VirtualChannel, head: number, nowMs: number): number {
    channel.open++
    this.#use(channel, nowMs)
    return channel.left.pop()?.position ?? head
  }

  /** A connection ended, having surely got everything up to `position`. */
  detach (channel: VirtualChannel, position: number, nowMs: number): void {
    channel.open--
    this.#use(channel, nowMs)
    const together = channel.left.filter(({ at }) => nowMs - at <= togetherMs)
    const slowest = Math.min(position, ...together.map(left => left.position))
    for (const left of together) left.position = slowest
    channel.left.push({ position: slowest, at: nowMs })
    if (channel.left.length > maxLeft) channel.left.shift()
  }

  /** Messages that wait for the channel's next connection. */
  queued (channel: VirtualChannel, head: number): number {
    return channel.open > 0 ? 0 : head - (channel.left.at(-1)?.position ?? head)
  }

  /** No channel has anything to hear that it may not have. */
  allHeard (head: number): boolean {
    return [...this.#channels.values()].every(channel => channel.open === 0 && this.queued(channel, head) === 0)
  }

  expire (nowMs: number): void {
    for (const [key, channel] of this.#channels) {
      if (channel.open > 0) this.#use(channel, nowMs)
      channel.left = channel.left.filter(({ at }) => nowMs - at < expiryMs[channel.kind])
      if (channel.open > 0 || nowMs - channel.usedAt < expiryMs[channel.kind]) continue
      this.#channels.delete(key)
      this.#state.delete(prefix + key)
    }
  }

  /** Written down now and then: to know when it expires is enough. */
  #use (channel: VirtualChannel, nowMs: number): void {
    channel.usedAt = nowMs
    if (nowMs - channel.savedAt >= expiryMs[channel.kind] / 20) this.#save(channel)
  }

  #follow (key: string, value: VirtualChannel | undefined): void {
    const known = this.#channels.get(key)
    if (value === undefined) {
      if (known === undefined) return
      this.#channels.delete(key)
      if (Date.now() - known.usedAt >= expiryMs[known.kind]) return
      this.#deleted.add(key)
      return this.onDeleted(known)
    }
    const { member, consumer, kind, serialization, usedAt } = value
    this.#deleted.delete(key)
    if (known) Object.assign(known, { serialization, usedAt: Math.max(usedAt, known.usedAt), savedAt: usedAt })
    else this.#channels.set(key, { member, consumer, kind, serialization, usedAt, savedAt: usedAt, open: 0, left: [] })
  }

  #save (channel: VirtualChannel): void {
    const { member, consumer, kind, serialization, usedAt } = channel
    channel.savedAt = usedAt
    this.#state.set(prefix + keyOf({ member, consumer, kind }), { member, consumer, kind, serialization, usedAt })
  }
}

export function keyOf ({ member, consumer, kind }: ChannelName): string {
  return JSON.stringify([member, consumer, kind])
}
