import fc from 'fast-check'
import fs, { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { Journal } from '../../src/trail/journal.ts'
import { JournalReader } from '../../src/trail/journal-reader.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import { connectStore } from '../../src/trail/store/connect.ts'
import { Feeder } from '../../src/trail/store/feeder.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { until } from '../support/trail-stores.ts'

/** What may happen to the trail, in any order. Numbers choose among the requests that are open. */
const step = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ do: 'start' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'refuse' as const }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('finish' as const), which: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('abort' as const), which: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('amend' as const), which: fc.nat(20) }) },
  { weight: 4, arbitrary: fc.constant({ do: 'turn' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'store' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'read' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'storing thread dies' as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('disk full' as const), which: fc.nat(400) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'disk free' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'crash' as const }) }
)

const make = entryMaker()

/** One process after another on one folder; a crash takes with it all that isn't on a file. */
class World {
  readonly folder: string
  readonly store: { kind: 'sqlite', path: string, sync: boolean }
  /** What must be in the store at the end: outcomes that were on the journal, or `unfinished`. */
  readonly expected = new Map<string, string>()
  #journal!: Journal
  #feeder!: Feeder
  #dead = { yes: false }
  /** Bytes there is room for. */
  #room = Number.POSITIVE_INFINITY
  #now = 0
  #reports = 0
  #open: OpenEntry[] = []
  /** Not on a file yet. */
  #unflushed: Array<() => void> = []

  constructor (root: string) {
    this.folder = join(root, 'journal')
    this.store = { kind: 'sqlite', path: join(root, 'trail.db'), sync: false }
  }

  async begin (): Promise<void> {
    const dead = this.#dead = { yes: false }
    const write = (fd: number, buffer: Buffer, offset: number, length: number, position: number): number => {
      if (dead.yes || this.#room === 0) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
      const count = fs.writeSync(fd, buffer, offset, Math.min(length, this.#room), position)
      this.#room -= count
      return count
    }
    this.#journal = new Journal({
      folder: this.folder,
      onFailure: 'block',
      sync: false,
      monotonic: () => this.#now,
      // All that had been added by then is on the file.
      onWritten: () => { for (const settle of this.#unflushed.splice(0)) settle() },
      onStateChange: () => {},
      maxSegmentBytes: 1500,
      files: { ...fs, writeSync: write as typeof fs.writeSync }
    })
    await this.#beginFeeder()
  }

  async #beginFeeder (): Promise<void> {
    this.#feeder = new Feeder({ ...await connectStore(this.store), reader: new JournalReader(this.folder), retention: { maxAgeMs: 1e12, maxBytes: 1e12 }, now: Date.now, report: ({ caughtUp }) => { if (caughtUp) this.#reports++ }, log: () => {} })
  }

  async act (action: { do: string, which?: number }): Promise<void> {
    const entry = this.#open[(action.which ?? 0) % Math.max(1, this.#open.length)]
    switch (action.do) {
      case 'start': return this.#start()
      case 'refuse': return this.#close(make(), 'refused')
      case 'finish': return entry && this.#close(entry, 'answered')
      case 'abort': return entry && this.#close(entry, 'client_aborted')
      case 'amend': return entry && this.#journal.amend(entry.id, { async_id: 'a', async_status: 200 })
      case 'turn': return this.#turn()
      case 'store': return this.#store()
      case 'read': return this.#read()
      case 'storing thread dies': await this.#feeder.stop(); return this.#beginFeeder()
      case 'disk full': this.#room = action.which ?? 0; return
      case 'disk free': this.#room = Number.POSITIVE_INFINITY; return
      default: return this.#crash()
    }
  }

  #start (): void {
    const entry = make()
    this.#journal.record(entry, error => {
      if (error !== undefined) return this.#close(entry, 'refused')
      this.expected.set(entry.id, 'unfinished')
      this.#open.push(entry)
    })
  }

  #close (entry: OpenEntry, outcome: OpenEntry['outcome']): void {
    this.#open = this.#open.filter(other => other !== entry)
    if (entry.closed) return
    entry.closed = true
    this.#journal.close(answered(entry, { outcome }))
    this.#unflushed.push(() => this.expected.set(entry.id, outcome))
  }

  #turn (): void {
    this.#now += 150 // a failed journal tries again
    this.#journal.flush()
  }

  async #store (): Promise<void> {
    if (this.#journal.position === undefined) return
    this.#feeder.advance(this.#journal.position)
    await this.#feeder.drain()
  }

  /** As `store`, but intents may be held back. */
  async #read (): Promise<void> {
    if (this.#journal.position === undefined) return
    const reports = this.#reports
    this.#feeder.advance(this.#journal.position)
    await until(() => this.#reports > reports)
  }

  async #crash (): Promise<void> {
    this.#dead.yes = true
    this.#journal.end()
    this.#journal.release()
    this.#unflushed = []
    this.#open = []
    await this.#feeder.stop()
    await this.begin()
  }

  /** The last process ends as it should, and another one begins. */
  async finish (): Promise<Array<{ id: string, outcome: string }>> {
    this.#room = Number.POSITIVE_INFINITY
    this.#turn()
    this.#turn() // what the first one refused
    await this.#store()
    await this.#crash()
    await this.#store()
    const store = (await connectStore(this.store)).createStore()
    await store.open()
    const rows = await store.db.selectFrom('trail').select(['id', 'outcome']).execute()
    await store.close()
    await this.#feeder.stop()
    this.#journal.end()
    this.#journal.release()
    return rows
  }
}

test('whatever happens in whatever order, each attempt that went on has one row, with the outcome that was on the journal', { timeout: 1_200_000 }, async t => {
  await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async steps => {
    const root = mkdtempSync(join(tmpdir(), 'izuma-trail-'))
    try {
      const world = new World(root)
      await world.begin()
      for (const action of steps) await world.act(action)
      const rows = await world.finish()
      const stored = new Map(rows.map(row => [row.id, row.outcome]))
      if (stored.size !== rows.length) throw new Error('a row is there twice')
      for (const [id, outcome] of world.expected) {
        if (stored.get(id) !== outcome) throw new Error(`${id}: ${stored.get(id)} and not ${outcome}`)
      }
      // Intents written in the turn of a crash have a row, too, though nobody went on: unfinished is the honest word.
      for (const [id, outcome] of stored) if (!world.expected.has(id) && outcome !== 'unfinished' && outcome !== 'refused') throw new Error(`${id} is ${outcome}, and nobody knows it`)
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  }), { numRuns: Math.min(fuzzRuns(60).numRuns, 2000), interruptAfterTimeLimit: 1_000_000 })
  t.pass()
})
