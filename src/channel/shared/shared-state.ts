import type { FleetService } from '../../decorations.ts'
import type { StateMap } from '../state-journal.ts'
import type { Entry, StreamReader } from './stream-reader.ts'

/**
 * Changes of state are written to a hash, and told to every instance by a stream. Both at once, so that whoever reads the
 * hash and then follows the stream misses none.
 */
const writeScript = `
local id = '0-0'
for i = 2, #ARGV, 3 do
  local key, value = ARGV[i + 1], ARGV[i + 2]
  if value == '' then redis.call('HDEL', KEYS[1], key) else redis.call('HSET', KEYS[1], key, value) end
  id = redis.call('XADD', KEYS[2], 'MAXLEN', '~', 20000, '*', 'by', ARGV[1], 'seq', ARGV[i], 'key', key, 'value', value)
end
return id`

const readScript = `
local last = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)
return {last[1] and last[1][1] or '0-0', redis.call('HGETALL', KEYS[1])}`

/** Says that the hash has been filled: without it Redis is new, or has lost everything. */
const marker = '@'
const maxBatch = 300
const retryMs = 250

interface Pending {
  seq: number
  /** Redis has it; its echo on the stream is still to come. */
  written: boolean
}

/**
 * The room's state as all instances share it: each has all of it at hand, reads are of that. A key that was changed here
 * stays as it is here until the change has come back on the stream; so all end with the value that Redis took last.
 * What can't be written waits, and `local` remembers it over the end of the process.
 */
export class SharedState implements StateMap {
  readonly #fleet: FleetService
  readonly #local: StateMap
  readonly #reader: StreamReader
  readonly #other: (entry: Entry) => void
  readonly #pending = new Map<string, Pending>()
  readonly #listeners = new Set<(key: string, value: unknown) => void>()
  readonly #flushed = new Set<() => void>()
  #seq = 0
  #writing = false
  #scheduled = false
  #synced = false

  /** `other` hears what the instances tell each other beside changes of state. */
  constructor (fleet: FleetService, local: StateMap, reader: StreamReader, other: (entry: Entry) => void) {
    this.#fleet = fleet
    this.#other = other
    this.#local = local
    this.#reader = reader
  }

  get (key: string): unknown { return this.#local.get(key) }

  entries (prefix: string): Array<[string, unknown]> { return this.#local.entries(prefix) }

  set (key: string, value: unknown): void {
    this.#local.set(key, value)
    this.#change(key)
  }

  delete (key: string): void {
    if (this.#local.get(key) === undefined) return
    this.#local.delete(key)
    this.#change(key)
  }

  onForeignChange (listener: (key: string, value: unknown) => void): void { this.#listeners.add(listener) }

  /** Changes that Redis has not taken yet. */
  get unwritten (): number { return [...this.#pending.values()].filter(({ written }) => !written).length }

  /** Takes over what the others have, then follows their changes. Called whenever Redis is back. */
  async sync (): Promise<void> {
    const { redis, key } = this.#fleet
    const settled = [...this.#pending].filter(([, { written }]) => written)
    const [last, flat] = await redis.eval(readScript, 2, key('channel:state'), key('channel:changes')) as [string, string[]]
    for (const [name, pending] of settled) if (this.#pending.get(name) === pending) this.#pending.delete(name)
    const shared = new Map<string, string>()
    for (let index = 0; index + 1 < flat.length; index += 2) shared.set(flat[index] as string, flat[index + 1] as string)
    if (shared.delete(marker)) this.#takeOver(shared)
    else this.#giveAll()
    this.#reader.follow(key('channel:changes'), last, (_id, entry) => this.#receive(entry))
    this.#synced = true
    this.#schedule()
  }

  /** Resolves when Redis has all changes, or at once if it is away. */
  async flush (): Promise<void> {
    while (this.#fleet.up && this.unwritten > 0) {
      this.#schedule()
      await new Promise<void>(resolve => {
        const done = () => {
          clearTimeout(timer)
          this.#flushed.delete(done)
          resolve()
        }
        const timer = setTimeout(done, retryMs)
        this.#flushed.add(done)
      })
    }
  }

  #receive (entry: Entry): void {
    const { by, seq, key, value = '' } = entry
    if (key === undefined) return this.#other(entry)
    if (key === marker) return
    const pending = this.#pending.get(key)
    if (by === this.#fleet.instance) {
      if (pending?.seq === Number(seq)) this.#pending.delete(key)
    } else if (pending === undefined) {
      this.#apply(key, value)
    }
  }

  #takeOver (shared: Map<string, string>): void {
    for (const [key] of this.#local.entries('')) if (!shared.has(key) && !this.#pending.has(key)) this.#apply(key, '')
    for (const [key, text] of shared) if (!this.#pending.has(key)) this.#apply(key, text)
  }

  #giveAll (): void {
    for (const [key] of this.#local.entries('')) this.#change(key)
    this.#pending.set(marker, { seq: ++this.#seq, written: false })
  }

  #apply (key: string, text: string): void {
    const before = this.#local.get(key)
    if (text === '' ? before === undefined : before !== undefined && JSON.stringify(before) === text) return
    const value: unknown = text === '' ? undefined : JSON.parse(text)
    if (value === undefined) this.#local.delete(key)
    else this.#local.set(key, value)
    for (const listener of this.#listeners) listener(key, value)
  }

  #change (key: string): void {
    this.#pending.set(key, { seq: ++this.#seq, written: false })
    this.#schedule()
  }

  #schedule (): void {
    if (this.#scheduled || this.#writing || !this.#synced || !this.#fleet.up) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      void this.#write()
    })
  }

  async #write (): Promise<void> {
    const batch = [...this.#pending].filter(([, { written }]) => !written).slice(0, maxBatch)
    if (batch.length === 0 || this.#writing) return this.#tell()
    this.#writing = true
    const { redis, key, instance } = this.#fleet
    try {
      const changes = batch.flatMap(([name, { seq }]) => [seq, name, name === marker ? '1' : writeValue(this.#local.get(name))])
      await redis.eval(writeScript, 2, key('channel:state'), key('channel:changes'), instance, ...changes)
      for (const [, pending] of batch) pending.written = true
      this.#pending.delete(marker)
    } catch {
      // Away or slow: written again when it is back, or a moment later.
      setTimeout(() => this.#schedule(), retryMs).unref()
      return this.#tell()
    } finally {
      this.#writing = false
    }
    this.#tell()
    if (this.unwritten > 0) this.#schedule()
  }

  #tell (): void { for (const done of this.#flushed) done() }
}

function writeValue (value: unknown): string { return value === undefined ? '' : JSON.stringify(value) }
