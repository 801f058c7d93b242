import { join } from 'node:path'
import { waitFor } from '../../support/wait-for.ts'
import type { Suite } from '../page.ts'
import { ourCommand, type Bench } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, proxyCore, start, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// What each room costs: CPU per 1,000 requests of the whole proxy, and of the proxy without that room, all started at once and
// measured in turn, so that the machine's moods fall on all alike.

const rooms = ['nothing', 'team', 'trail', 'scrubbing', 'log line', 'metrics', 'advice', 'channel', 'pages']
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 9)
const seconds = 3
const firstPort = 19081

function startWithout (bench: Bench, room: string, index: number): Running {
  const [, , , ...flags] = ourCommand(bench, firstPort + index)
  return start(['node', join(bench.root, 'test/bench/proxies/rooms-server.ts'), room, ...flags], proxyCore, bench.folder, `without-${index}`)
}

export const suite: Suite = {
  title: 'What each room costs',
  async run (bench) {
    const variants = rooms.map((room, index) => ({ room, port: firstPort + index, running: startWithout(bench, room, index), cpu: [] as number[] }))
    try {
      for (const { room, port } of variants) await waitFor(`the proxy without ${room}`, () => measureLoad({ port }, bench.token, 1, 1).requests, requests => requests > 0, 60_000)
      // The first round is for the compiler.
      for (let round = 0; round <= rounds; round++) {
        for (const { room, port, running, cpu } of variants) {
          const before = cpuMs(running.pid)
          const { requests, failed } = measureLoad({ port }, bench.token, 64, seconds)
          if (failed > 0 || requests === 0) throw new Error(`without ${room}: ${failed} of ${requests} failed`)
          if (round > 0) cpu.push((cpuMs(running.pid) - before) / requests * 1000)
        }
      }
    } finally {
      for (const { running } of variants) await running.stop()
    }
    const whole = variants[0]?.cpu ?? []
    /** Within each round, as the machine's moods change between them. */
    const costOf = (cpu: number[]) => median(cpu.map((ms, round) => 1 - ms / (whole[round] ?? Number.NaN))) * 100
    return `CPU ms per 1,000 requests of the whole, and of the whole without one room; ${rounds} rounds of ${seconds} s in turn, medians, the shares those of the rounds. Differences under 4 % are noise.\n\n` +
      table(['without', 'CPU ms per 1,000', 'so it costs'], variants.map(({ room, cpu }) => [room, median(cpu).toFixed(0), room === 'nothing' ? '' : `${costOf(cpu).toFixed(0)} %`]))
  }
}
