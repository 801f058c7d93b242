import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { createEntryMaker, systemClock } from '../../../src/trail/entry.ts'
import { encodeIntent, encodeOutcome } from '../../../src/trail/lines.ts'
import { buildBatch } from '../../../src/trail/store/batch.ts'
import { SqliteStore } from '../../../src/trail/store/sqlite-store.ts'
import type { Suite } from '../page.ts'
import { contestants, ourCommand, type Bench } from '../proxies/contestants.ts'
import { measureLoad, otherCore, proxyCore, start, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// What a request takes longer through the proxy than straight to the API, at rates below what it can do.

const rows = Number(process.env['BENCH_TRAIL_ROWS'] ?? 1_000_000)
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const seconds = 8
const port = 19031

export interface Latency { p50Ms: number, p99Ms: number, failed: number, rate: number }

export function measureRate (url: string, rate: number, token: string, { caFile, connections = 64, forSeconds = seconds }: { caFile?: string, connections?: number, forSeconds?: number } = {}): Latency {
  const words = ['-c', otherCore, 'node', join(import.meta.dirname, '../constant-rate.ts'), url, String(rate), String(forSeconds), String(connections), token, ...(caFile === undefined ? [] : [caFile])]
  const { status, stdout, stderr } = spawnSync('taskset', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`${url} at ${rate} req/s: ${stderr}`)
  return JSON.parse(stdout) as Latency
}

/** A trail as after weeks of traffic. `ageDays`: how long ago it was. */
export async function fillTrail (path: string, count: number, ageDays: number): Promise<void> {
  const clock = { ...systemClock, now: () => Date.now() - ageDays * 86_400_000 }
  const make = createEntryMaker(clock)
  const store = new SqliteStore({ path, sync: false })
  await store.open()
  for (let from = 0; from < count; from += 2000) {
    const lines = Array.from({ length: Math.min(2000, count - from) }, (_, index) => {
      const entry = make({ member: `member${index % 10}`, method: 'GET', path: `/v3/devices/${(from + index).toString(16).padStart(32, '0')}`, region: 'us-east-1', policy_decision: 'allow' })
      return encodeIntent(entry) + encodeOutcome(Object.assign(entry, { outcome: 'answered', status: 200, duration_ms: index % 300, upstream_request_id: entry.id, bytes_out: 1000, attempts: 1 }))
    })
    const { damaged: _, ...batch } = buildBatch('bench', lines.join('').split('\n').filter(line => line !== ''))
    await store.apply({ ...batch, position: { segment: 1, bytes: from }, nowMs: Date.now() })
  }
  await store.close()
}

interface Subject { name: string, port: number, command: string[] }

/** Beside ours the tables show what others add on the same machine at the same time. */
function others (bench: Bench): Subject[] {
  return contestants.filter(({ name }) => name === 'nginx' || name.startsWith('stock ')).map(contestant => ({ ...contestant, command: contestant.prepare(bench) }))
}

async function measure (bench: Bench, subjects: Subject[]): Promise<Array<Array<string | number>>> {
  const running: Running[] = []
  try {
    for (const { port, command } of subjects) running.push(start(command, proxyCore, bench.folder, `latency-${port}`))
    await new Promise(resolve => setTimeout(resolve, 3000))
    for (const { port } of subjects) measureLoad({ port }, bench.token, 64, 6)
    return [500, 1000].flatMap(rate => compare(bench, rate, subjects))
  } finally {
    for (const proxy of running) await proxy.stop()
  }
}

/** Straight and through each proxy in turn; medians. */
function compare ({ apiPort, folder, token }: Bench, rate: number, subjects: Subject[]): Array<Array<string | number>> {
  const direct: Latency[] = []
  const proxied: Latency[][] = subjects.map(() => [])
  for (let round = 0; round < rounds; round++) {
    direct.push(measureRate(`https://localhost:${apiPort}/v3/devices?limit=5`, rate, token, { caFile: join(folder, 'ca.pem') }))
    for (const [index, { port }] of subjects.entries()) proxied[index]?.push(measureRate(`http://127.0.0.1:${port}/v3/devices?limit=5`, rate, token))
  }
  return subjects.map(({ name }, index) => describe(name, rate, middle(direct), middle(proxied[index] ?? [])))
}

function describe (name: string, rate: number, direct: Latency, proxied: Latency): Array<string | number> {
  const write = ({ p50Ms, p99Ms }: Latency) => `${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)}`
  return [name, rate, write(direct), write(proxied), (proxied.p50Ms - direct.p50Ms).toFixed(2), (proxied.p99Ms - direct.p99Ms).toFixed(2), proxied.failed]
}

function middle (taken: Latency[]): Latency {
  return { p50Ms: median(taken.map(({ p50Ms }) => p50Ms)), p99Ms: median(taken.map(({ p99Ms }) => p99Ms)), failed: Math.max(...taken.map(({ failed }) => failed)), rate: median(taken.map(({ rate }) => rate)) }
}

export const suite: Suite = {
  title: 'Latency added',
  async run (bench) {
    const full = join(bench.folder, 'full.db')
    const old = join(bench.folder, 'old.db')
    await fillTrail(full, rows, 1)
    await fillTrail(old, rows, 60)
    const ours = (name: string, changed: Record<string, string> = {}) => ({ name, port, command: ourCommand(bench, port, changed) })
    const lines = [
      ...await measure(bench, [ours('ours, trail empty'), ...others(bench)]),
      ...await measure(bench, [ours(`ours, ${rows.toLocaleString('en')} rows`, { '--trail': `sqlite:${full}` })]),
      ...await measure(bench, [ours(`ours, ${rows.toLocaleString('en')} rows that retention takes away meanwhile`, { '--trail': `sqlite:${old}` })])
    ]
    return `At a constant rate over 64 kept connections; a latency counts from when the request was due. Straight to the API over kept TLS connections, and through each proxy, in turn; medians of ${rounds}.\n\n${table(['proxy', 'req/s', 'straight, p50 / p99 ms', 'proxied, p50 / p99 ms', 'added p50, ms', 'added p99, ms', 'failed'], lines)}`
  }
}
