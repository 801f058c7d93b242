/**
 * What the trail costs, and how quickly it is searched.
 *
 *   node test/bench/trail.ts [rows=1000000] [folder]
 *
 * - journal: CPU of the main thread per request, for both lines, by how many requests share a turn of the event loop
 * - store: CPU of the storing thread per request, at the beginning and at the end of the rows
 * - search: time to the first page (50 records) of each filter, on all rows
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEntryMaker, systemClock } from '../../src/trail/entry.ts'
import { Journal } from '../../src/trail/journal.ts'
import { encodeFull, encodeIntent, encodeOutcome } from '../../src/trail/lines.ts'
import { openReader } from '../../src/trail/query/open.ts'
import { parseListQuery } from '../../src/trail/query/parse.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import { buildBatch } from '../../src/trail/store/batch.ts'
import { SqliteStore } from '../../src/trail/store/sqlite-store.ts'

const rows = Number(process.argv[2] ?? 1_000_000)
const folder = process.argv[3] ?? mkdtempSync(join(tmpdir(), 'izuma-trail-bench-'))
process.on('exit', () => { if (process.argv[3] === undefined) rmSync(folder, { recursive: true, force: true }) })

const make = createEntryMaker(systemClock)
let made = 0

/** As real traffic: many devices, few members, mostly fine. */
function makeEntry (): OpenEntry {
  made++
  return make({
    member: `member-${made % 20}`,
    method: made % 10 === 0 ? 'POST' : made % 5000 === 1 ? 'DELETE' : 'GET',
    path: `/v3/devices/0161991d63150000000000010010${String(made % 50_000).padStart(4, '0')}`,
    query: 'limit=50&order=ASC',
    region: 'us-east-1',
    key_fingerprint: 'sha256:12345678',
    client_address: `10.0.${made % 8}.${made % 200}`,
    client_agent: 'my-frontend/1.0 (undici)',
    policy_decision: 'allow'
  })
}

function finish (entry: OpenEntry): OpenEntry {
  const kind = made % 1000
  return Object.assign(entry, {
    outcome: kind === 999 ? 'client_aborted' : 'answered',
    status: kind < 20 ? 404 : kind === 507 ? 500 : made % 100_000 === 27 ? 429 : 200,
    error_type: kind < 20 ? 'not_found' : null,
    error_message: kind < 20 ? `Device ${made} was not found.` : null,
    upstream_request_id: `0${entry.id.slice(1, 31)}f`,
    duration_ms: 20 + made % 300,
    ttfb_ms: 20,
    bytes_out: 1024,
    attempts: 1,
    async_id: made % 10_000 === 3 ? `async-${made}` : null
  })
}

function table (title: string, headings: string[], lines: Array<Array<string | number>>): void {
  console.log(`\n### ${title}\n\n| ${headings.join(' | ')} |\n|${headings.map(() => '---').join('|')}|\n${lines.map(line => `| ${line.join(' | ')} |`).join('\n')}`)
}

async function measureJournal (perTurn: number, requests: number): Promise<number> {
  const journal = new Journal({ folder: join(folder, `journal-${perTurn}`), onFailure: 'block', sync: false, monotonic: () => performance.now(), onWritten: () => {}, onStateChange: () => {} })
  const entries = Array.from({ length: requests }, makeEntry)
  const before = process.threadCpuUsage()
  for (let from = 0; from < requests; from += perTurn) {
    await new Promise<void>(resolve => {
      let waiting = 0
      for (let index = from; index < Math.min(from + perTurn, requests); index++) {
        waiting++
        const entry = entries[index] as OpenEntry
        journal.record(entry, () => {
          journal.close(finish(entry))
          if (--waiting === 0) resolve()
        })
      }
    })
  }
  journal.flush()
  const used = process.threadCpuUsage(before)
  journal.end()
  journal.release()
  return (used.user + used.system) / requests
}

/** Takes the middle of the runs. */
function median (values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
}

async function fillStore (path: string): Promise<Array<[string, number]>> {
  const store = new SqliteStore({ path, sync: false })
  await store.open()
  const costs: Array<[string, number]> = []
  const perBatch = 2000
  const perPart = Math.max(perBatch, Math.floor(rows / 5))
  for (let part = 0; part < rows; part += perPart) {
    let usedUs = 0
    let stored = 0
    for (let from = part; from < Math.min(part + perPart, rows); from += perBatch) {
      const lines: string[] = []
      for (let i = 0; i < perBatch; i++) {
        const entry = makeEntry()
        lines.push(encodeIntent(entry), encodeOutcome(finish(entry)))
      }
      const before = process.threadCpuUsage()
      const { damaged: _, ...batch } = buildBatch('bench', lines)
      await store.apply({ ...batch, position: { segment: 1, bytes: from }, nowMs: Date.now() })
      const used = process.threadCpuUsage(before)
      usedUs += used.user + used.system
      stored += perBatch
    }
    costs.push([`${part.toLocaleString('en')} to ${(part + stored).toLocaleString('en')}`, usedUs / stored])
  }
  console.log(`\nStore: ${(await store.measure() / rows).toFixed(0)} bytes a record.`)
  await store.close()
  return costs
}

const searches = [
  'order=DESC', 'order=ASC', 'member=member-7&order=DESC', 'status=200&order=DESC', 'status=404&order=DESC', 'status=429&order=DESC', 'status=501&order=DESC',
  'status__gte=400&order=DESC', 'status__gte=500', 'status__neq=200', 'status__nin=200,404', 'method=DELETE&order=DESC', 'method__neq=GET', 'outcome=client_aborted', 'outcome__neq=answered',
  'error_type=not_found&order=DESC', 'error_type__neq=', 'client_address=10.0.3.3', 'path=/v3/devices/01619 91d631500000000000100100777'.replace(' ', ''), 'path=/v3/devices/nowhere',
  'path__gte=/v3/devices/0161991d6315000000000001001077&path__lte=/v3/devices/0161991d6315000000000001001078', 'path__gte=/v3&path__lte=/v4',
  'async_id=async-500003', 'member=member-7&status=500', 'member=member-3&method=DELETE', 'started_at__gte=2020&order=DESC', 'started_at__lte=2020', 'started_at__gte=2060',
  'limit=1000&order=DESC', 'member=member-7&limit=1000'
]
const looser = ['q=no%20such%20text', 'q=was%20not%20found&order=DESC', 'duration_ms__gte=319&order=DESC', 'include=total_count', 'status__gte=400&include=total_count']

async function measureSearches (path: string, list: string[]): Promise<Array<Array<string | number>>> {
  const results: Array<Array<string | number>> = []
  for (const search of list) {
    const times: number[] = []
    const cpu: number[] = []
    let found = 0
    for (let round = 0; round < 7; round++) {
      const reader = await openReader({ kind: 'sqlite', path, sync: false }) // a new connection: nothing of it is cached
      const query = parseListQuery(search)
      const start = performance.now()
      const before = process.threadCpuUsage()
      found = (await reader.list(query)).data.length
      const used = process.threadCpuUsage(before)
      times.push(performance.now() - start)
      cpu.push((used.user + used.system) / 1000)
      await reader.close()
    }
    results.push([`\`${search}\``, found, median(times).toFixed(1), Math.max(...times).toFixed(1), median(cpu).toFixed(1)])
  }
  return results
}

console.log(`# Trail, ${rows.toLocaleString('en')} records, Node.js ${process.version}`)
const encoding = Array.from({ length: 50_000 }, () => finish(makeEntry()))
const beforeEncoding = process.threadCpuUsage()
for (const entry of encoding) encodeFull(entry)
const encodingUsed = process.threadCpuUsage(beforeEncoding)
console.log(`\nEncoding alone: ${((encodingUsed.user + encodingUsed.system) / encoding.length).toFixed(2)} µs a request.`)
const journalCosts: Array<Array<string | number>> = []
for (const perTurn of [1, 4, 16, 64]) {
  await measureJournal(perTurn, 5000)
  journalCosts.push([perTurn, median([await measureJournal(perTurn, 30_000), await measureJournal(perTurn, 30_000), await measureJournal(perTurn, 30_000)]).toFixed(2)])
}
table('Journal: main thread', ['requests a turn', 'CPU µs a request, both lines'], journalCosts)
const path = join(folder, 'trail.db')
table('Store: storing thread', ['records', 'CPU µs a record'], (await fillStore(path)).map(([label, cost]) => [label, cost.toFixed(1)]))
table('First page by filter', ['search', 'found', 'median ms', 'slowest of 7, ms', 'CPU, median ms'], await measureSearches(path, searches))
table('Without an index', ['search', 'found', 'median ms', 'slowest of 7, ms', 'CPU, median ms'], await measureSearches(path, looser))
