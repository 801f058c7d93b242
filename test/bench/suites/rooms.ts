import { join } from 'node:path'
import { waitFor } from '../../support/wait-for.ts'
import type { Suite } from '../page.ts'
import { ourCommand, type Bench } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, proxyCore, start, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// What each room costs: CPU per 1,000 requests of the whole proxy, and of the proxy without that room, all started at once and
// measured in turn, so that the machine's moods fall on all alike.

const rooms = ['nothing', 'team', 'trail', 'scrubbing', 'log line', 'metrics', 'advice', 'channel', 'pages']
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 4)
/** Processes of the same program differ by some percent for as long as they run: each room has several. */
const generations = Number(process.env['BENCH_GENERATIONS'] ?? 3)
const warmUpSeconds = Number(process.env['BENCH_WARM_UP_SECONDS'] ?? 6)
const seconds = 3
const firstPort = 19081

function startWithout (bench: Bench, room: string, index: number): Running {
  const [, , , ...flags] = ourCommand(bench, firstPort + index)
  return start(['node', join(bench.root, 'test/bench/proxies/rooms-server.ts'), room, ...flags], proxyCore, bench.folder, `without-${index}`)
}

/** CPU ms per 1,000 requests: of each round a row, of each room a column. */
async function measureGeneration (bench: Bench): Promise<number[][]> {
  const variants = rooms.map((room, index) => ({ room, port: firstPort + index, running: startWithout(bench, room, index) }))
  try {
    for (const { room, port } of variants) await waitFor(`the proxy without ${room}`, () => measureLoad({ port }, bench.token, 1, 1).requests, requests => requests > 0, 60_000)
    for (const { port } of variants) measureLoad({ port }, bench.token, 64, warmUpSeconds)
    return Array.from({ length: rounds }, () => variants.map(({ room, port, running: { pid } }) => {
      const before = cpuMs(pid)
      const { requests, failed } = measureLoad({ port }, bench.token, 64, seconds)
      if (failed > 0 || requests === 0) throw new Error(`without ${room}: ${failed} of ${requests} failed`)
      return (cpuMs(pid) - before) / requests * 1000
    }))
  } finally {
    for (const { running } of variants) await running.stop()
  }
}

export const suite: Suite = {
  title: 'What each room costs',
  async run (bench) {
    const rows: number[][] = []
    for (let generation = 0; generation < generations; generation++) rows.push(...await measureGeneration(bench))
    const cpu = (column: number) => median(rows.map(row => row[column] ?? Number.NaN))
    /** Within each round, as the machine's moods change between them. */
    const cost = (column: number) => median(rows.map(row => 1 - (row[column] ?? Number.NaN) / (row[0] ?? Number.NaN))) * 100
    return `CPU ms per 1,000 requests of the whole, and of the whole without one room; ${generations} processes of each, each warmed up for ${warmUpSeconds} s, ${rounds} rounds of ${seconds} s in turn; medians, the shares those of the rounds. Differences under 4 % are noise.\n\n` +
      table(['without', 'CPU ms per 1,000', 'so it costs'], rooms.map((room, column) => [room, cpu(column).toFixed(0), column === 0 ? '' : `${cost(column).toFixed(0)} %`]))
  }
}
