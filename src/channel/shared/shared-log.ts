import { randomBytes } from 'node:crypto'
import type { FleetService } from '../../decorations.ts'
import type { EventLog, LoggedEvent, NewEvent } from '../event-log.ts'
import { MemoryLog, type MemoryLogLimits } from '../memory-log.ts'
import { dropRepeated } from '../message.ts'
import { RecentUids } from '../recent-uids.ts'
import { readEntry, readUids } from './event-entry.ts'
import { HeldEvents } from './held-events.ts'
import { restoreStream } from './stream-restore.ts'
import { renewScript } from './stream-scripts.ts'
import { StreamWriter, type SeenStream } from './stream-writer.ts'
import type { Entry, StreamReader } from './stream-reader.ts'

export interface SharedLogOptions {
  fleet: FleetService
  reader: StreamReader
  limits: MemoryLogLimits
  uids: number
  /** Does this instance hold the channel? */
  isHolder: () => boolean
}

/** Between looks whether the stream is still what it was. */
const lookMs = 1_000
/** A holder gets this long to bring back what Redis has lost. */
const repairMs = 6_000
const reachMs = 2_000
const flushMs = 20
const readyMs = 50

/**
 * The event log of all instances: a stream in Redis, of which each keeps the recent part in memory and reads it from
 * there. An event that is appended here is heard here, too, only when it has come back on the stream: so all hear the same
 * in the same order. While Redis is away, what is appended is held.
 */
export class SharedLog implements EventLog, SeenStream {
  readonly #options: SharedLogOptions
  readonly #replica: MemoryLog
  readonly #held: HeldEvents
  readonly #uids: RecentUids
  readonly #writer: StreamWriter
  #epoch = ''
  /** The newest position known to be in the stream. */
  #known = 0
  /** This instance has seen everything that is in the stream, and is the only one to write. */
  #complete = false
  #whole = false
  #looking = false
  #lostAt: number | undefined
  #timer: NodeJS.Timeout | undefined

  constructor (options: SharedLogOptions) {
    const { fleet, limits, uids } = options
    this.#options = options
    this.#replica = new MemoryLog(limits, '', Date.now)
    this.#held = new HeldEvents(fleet.instance, limits.maxBytes)
    this.#uids = new RecentUids(uids)
    this.#writer = new StreamWriter({
      fleet,
      keys: [this.#key('epoch'), this.#key('head'), this.#key('events')],
      held: this.#held,
      stream: this,
      dropKnown: text => dropRepeated(text, uid => this.#uids.has(uid))
    })
  }

  get head (): number { return this.#replica.head }

  get epoch (): string { return this.#epoch }

  get known (): number { return this.#known }

  get whole (): boolean { return this.#whole }

  get first (): number { return this.#replica.first }

  at (position: number): LoggedEvent | undefined { return this.#replica.at(position) }

  idOf (position: number): string { return this.#replica.idOf(position) }

  /** Of an id that another instance gave out, too: its event may not have come here yet. */
  positionOf (id: string): number | undefined {
    const [epoch, digits = ''] = id.split('-', 2)
    return this.#epoch !== '' && epoch === this.#epoch && /^[0-9]{1,15}$/.test(digits) ? Number(digits) : undefined
  }

  onAppend (listener: (event: LoggedEvent) => void): () => void { return this.#replica.onAppend(listener) }

  knows (uid: string): boolean { return this.#uids.has(uid) }

  expire (): void { this.#replica.expire() }

  stats () { return this.#replica.stats() }

  /** Positions that this instance has still to read, events that wait for Redis, and those that were too many. */
  get lag (): { behind: number, held: number, heldBytes: number, dropped: number, whole: boolean } {
    return { behind: Math.max(0, this.#known - this.head), held: this.#held.size, heldBytes: this.#held.bytes, dropped: this.#held.dropped, whole: this.#whole }
  }

  /** Nothing of this instance waits for Redis, or to be seen on the stream. */
  get isBroughtOut (): boolean { return this.#held.size === 0 }

  append (event: NewEvent): void {
    this.#held.add(event, Date.now())
    this.#writer.write()
  }

  start (): void {
    this.#timer = setInterval(() => { void this.look() }, lookMs)
  }

  /** Resolves once the stream is known; before, nobody can say where a new listener begins. `false` if it isn't in time. */
  async ready (timeoutMs: number): Promise<boolean> {
    const deadline = performance.now() + timeoutMs
    while (this.#epoch === '' && performance.now() < deadline) await new Promise(resolve => setTimeout(resolve, readyMs))
    return this.#epoch !== ''
  }

  /** What is held goes out first, if Redis answers. */
  async stop (timeoutMs: number): Promise<void> {
    clearInterval(this.#timer)
    const deadline = Date.now() + timeoutMs
    while (this.#held.size > 0 && this.#options.fleet.up && Date.now() < deadline) {
      this.#writer.write()
      await new Promise(resolve => setTimeout(resolve, flushMs))
    }
  }

  /** Is the stream still what it was? If not, the holder mends it and the others wait for that, but not for ever. */
  async look (): Promise<void> {
    const { fleet: { redis, up } } = this.#options
    if (this.#looking || !up) return
    this.#looking = true
    // As of now: an event may come back on the stream before the answer to what was asked before it.
    const known = this.#known
    try {
      const [epoch, head] = await redis.mget(this.#key('epoch'), this.#key('head'))
      if (epoch !== null && epoch !== undefined && epoch !== this.#epoch) await this.#adopt(epoch)
      else if (epoch !== null && Number(head) >= known) this.#noteWhole(Math.max(Number(head), this.#known))
      else await this.#mend(epoch ?? '')
    } catch {
      // Looked at again a moment later.
    } finally {
      this.#looking = false
    }
    this.#writer.write()
  }

  #key (part: 'epoch' | 'head' | 'events'): string { return this.#options.fleet.key(`channel:${part}`) }

  #noteWhole (head: number): void {
    this.#known = head
    this.#whole = true
    this.#lostAt = undefined
    this.#complete = this.#options.isHolder() && this.head >= head
  }

  /** Another stream than the one known here: what it still has is read from its beginning. */
  async #adopt (epoch: string): Promise<void> {
    const { fleet: { redis }, reader } = this.#options
    const [[first] = []] = await redis.xrange(this.#key('events'), '-', '+', 'COUNT', 1)
    const head = Number(await redis.get(this.#key('head')))
    const behind = first === undefined ? head : Number(first.split('-')[0]) - 1
    this.#replica.restart(epoch, behind)
    this.#known = head
    reader.follow(this.#key('events'), `${behind}-0`, (id, entry) => this.#receive(id, entry))
    await reader.reach(this.#key('events'), `${head}-0`, reachMs)
    this.#epoch = epoch
    this.#noteWhole(Math.max(head, this.head))
  }

  async #mend (found: string): Promise<void> {
    const { fleet: { redis }, isHolder } = this.#options
    this.#whole = false
    this.#lostAt ??= performance.now()
    if (isHolder() && this.#complete) return await this.#restore()
    const isNew = this.#epoch === ''
    if (!isHolder() && (isNew || performance.now() - this.#lostAt < repairMs)) return
    const epoch = randomBytes(6).toString('base64url').replaceAll('-', '_')
    await this.#adopt(await redis.eval(renewScript, 3, this.#key('epoch'), this.#key('head'), this.#key('events'), found, epoch) as string)
  }

  async #restore (): Promise<void> {
    if (await restoreStream(this.#options.fleet, [this.#key('epoch'), this.#key('head'), this.#key('events')], this, this.#epoch)) this.#noteWhole(this.head)
  }

  #receive (id: string, entry: Entry): void {
    const position = Number(id.split('-')[0])
    if (position <= this.head) return
    // The stream has moved on without us: what was cut off at its end is missing here.
    if (position > this.head + 1) this.#replica.restart(this.#replica.epoch, position - 1)
    const { mark, event, at } = readEntry(entry)
    for (const uid of readUids(event.text)) this.#uids.isRepeated(uid)
    if (mark !== '') this.#held.confirm(mark)
    this.#known = Math.max(this.#known, position)
    this.#replica.append(event, at)
  }

  noteWritten (head: number): void {
    this.#known = Math.max(this.#known, head)
    if (this.head >= this.#known) this.#complete = this.#options.isHolder()
  }

  noteOvertaken (head: number): void { this.#known = Math.max(this.#known, head) }

  noteLost (): void {
    this.#whole = false
    void this.look()
  }

  async catchUp (): Promise<void> {
    if (this.head >= this.#known) return
    await this.#options.reader.reach(this.#key('events'), `${this.#known}-0`, reachMs)
    if (this.head < this.#known) throw new Error('the stream is not read as far as it goes')
  }
}
