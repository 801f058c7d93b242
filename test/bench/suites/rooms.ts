import { join } from 'node:path'
import type { Suite } from '../page.ts'
import { ourCommand, type Bench } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, proxyCore, start, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// What each room costs: CPU per 1,000 requests of the whole proxy, and of the proxy without that room, all started at once and
// measured in turn, so that the machine's moods fall on all alike.

const rooms = ['nothing', 'team', 'trail', 'scrubbing', 'log line', 'metrics', 'advice', 'channel', 'pages']
const rounds = Number(process.env['BENCH_ROUNDS'] ?? 5)
const seconds = 4
const firstPort = 19081

function startWithout (bench: Bench, room: string, index: number): Running {
  const [, , , ...flags] = ourCommand(bench, firstPort + index)
  return start(['node', join(bench.root, 'test/bench/proxies/rooms-server.ts'), room, ...flags], proxyCore, bench.folder, `without-${index}`)
}

export const suite: Suite = {
  title: 'What each room costs',
  async run (bench) {
    const variants = rooms.map((room, index) => ({ room, port: firstPort + index, running: startWithout(bench, room, index), cpu: [] as number[] }))
    await new Promise(resolve => setTimeout(resolve, 8000))
    try {
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
    const whole = median(variants[0]?.cpu ?? [])
    return `CPU ms per 1,000 requests of the whole, and of the whole without one room; ${rounds} rounds of ${seconds} s in turn, medians. Differences under 4 % are noise.\n\n` +
      table(['without', 'CPU ms per 1,000', 'so it costs'], variants.map(({ room, cpu }) => [room, median(cpu).toFixed(0), room === 'nothing' ? '' : `${((whole - median(cpu)) / whole * 100).toFixed(0)} %`]))
  }
}
