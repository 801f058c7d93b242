import type { Redis } from 'ioredis'
import type { FleetService } from '../../decorations.ts'

/** Fields of an entry by name. */
export type Entry = Record<string, string>

type Reply = Array<[stream: string, entries: Array<[id: string, fields: string[]]>]> | null

const blockMs = 1_000
const maxEntries = 500

/**
 * Reads what the instances tell each other, on a connection of its own: one blocking read for all streams. When Redis is
 * away the read waits for it and goes on behind what it had.
 */
export class StreamReader {
  readonly #redis: Redis
  readonly #streams = new Map<string, { position: string, receive: (id: string, entry: Entry) => void }>()
  readonly #reached = new Set<() => void>()
  #stopped = false
  #running: Promise<void> | undefined

  constructor (fleet: FleetService) { this.#redis = fleet.connect() }

  /** From behind `position` on; said again, reading goes on from there. */
  follow (stream: string, position: string, receive: (id: string, entry: Entry) => void): void {
    this.#streams.set(stream, { position, receive })
    this.#running ??= this.#run()
  }

  /** Resolves once everything up to that id has been received, or after the time. */
  async reach (stream: string, id: string, timeoutMs: number): Promise<void> {
    const isThere = () => compareIds(this.#streams.get(stream)?.position ?? '0-0', id) >= 0
    if (isThere()) return
    await new Promise<void>(resolve => {
      const done = () => {
        clearTimeout(timer)
        this.#reached.delete(look)
        resolve()
      }
      const look = () => { if (isThere()) done() }
      const timer = setTimeout(done, timeoutMs)
      this.#reached.add(look)
    })
  }

  async stop (): Promise<void> {
    this.#stopped = true
    // A connection that waits for its next attempt never tells the read that it was given up (ioredis 6.0).
    const isWaiting = this.#redis.status === 'reconnecting'
    this.#redis.disconnect()
    if (!isWaiting) await this.#running
  }

  async #run (): Promise<void> {
    while (!this.#stopped) {
      const names = [...this.#streams.keys()]
      const positions = [...this.#streams.values()].map(({ position }) => position)
      try {
        this.#receive(await this.#redis.xread('COUNT', maxEntries, 'BLOCK', blockMs, 'STREAMS', ...names, ...positions) as Reply)
      } catch {
        // The connection ends with the app; anything else is tried again.
        await new Promise(resolve => setTimeout(resolve, 100))
      }
    }
  }

  #receive (reply: Reply): void {
    for (const [name, entries] of reply ?? []) {
      for (const [id, fields] of entries) {
        const stream = this.#streams.get(name)
        // While it was read, reading may have been set back or forth.
        if (stream === undefined || compareIds(id, stream.position) <= 0) continue
        stream.position = id
        stream.receive(id, toEntry(fields))
      }
    }
    for (const look of this.#reached) look()
  }
}

export function compareIds (a: string, b: string): number {
  const [aTime = 0, aSeq = 0] = a.split('-').map(Number)
  const [bTime = 0, bSeq = 0] = b.split('-').map(Number)
  return aTime - bTime || aSeq - bSeq
}

function toEntry (fields: string[]): Entry {
  const entry: Entry = {}
  for (let index = 0; index + 1 < fields.length; index += 2) entry[fields[index] as string] = fields[index + 1] as string
  return entry
}
