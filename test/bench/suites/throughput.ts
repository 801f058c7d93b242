import { spawnSync } from 'node:child_process'
import type { Suite } from '../page.ts'
import { contestants, type Bench, type Contestant } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, residentMb, startContestant, type Load, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// Ours against what people would otherwise use: the same job, interleaved, medians of the rounds.

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const seconds = Number(process.env['BENCH_SECONDS'] ?? 6)
/** Just-in-time compilers need some ten thousand requests; the others don't mind. */
const warmUpSeconds = Number(process.env['BENCH_WARM_UP_SECONDS'] ?? 6)
const connections = 64

interface Sample extends Load { cpuPer1000: number, residentMb: number }

function sample (contestant: Contestant, running: Running, token: string): Sample {
  const before = cpuMs(running.pid)
  const load = measureLoad(contestant, token, connections, seconds)
  if (load.failed > 0) throw new Error(`${contestant.name}: ${load.failed} requests failed`)
  return { ...load, cpuPer1000: (cpuMs(running.pid) - before) / load.requests * 1000, residentMb: residentMb(running.pid) }
}

async function measure (bench: Bench): Promise<Map<Contestant, Sample[]>> {
  const samples = new Map<Contestant, Sample[]>(contestants.map(contestant => [contestant, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const running = await startContestant(contestant, bench)
      try {
        measureLoad(contestant, bench.token, connections, warmUpSeconds)
        const taken = sample(contestant, running, bench.token)
        samples.get(contestant)?.push(taken)
        console.error(`round ${round + 1}, ${contestant.name}: ${Math.round(taken.requests / taken.seconds)} req/s, ${taken.cpuPer1000.toFixed(1)} ms CPU per 1,000`)
      } finally {
        await running.stop()
      }
    }
  }
  return samples
}

function render (samples: Map<Contestant, Sample[]>): string {
  const rows = [...samples].map(([contestant, taken]) => ({
    contestant,
    rate: median(taken.map(({ requests, seconds: time }) => requests / time)),
    cpu: median(taken.map(({ cpuPer1000 }) => cpuPer1000)),
    p50: median(taken.map(({ p50Ms }) => p50Ms)),
    p99: median(taken.map(({ p99Ms }) => p99Ms)),
    memory: median(taken.map(({ residentMb: megabytes }) => megabytes))
  }))
  const ours = rows[0] as typeof rows[number]
  return table(['system', 'version', 'req/s on one core', 'ours ÷ it', 'CPU ms per 1,000', 'ours ÷ it', 'p50 / p99 at full load, ms', 'resident MB'],
    rows.map(({ contestant, rate, cpu, p50, p99, memory }) => [
      contestant.name, describeVersion(contestant), Math.round(rate).toLocaleString('en'), (ours.rate / rate).toFixed(2), cpu.toFixed(0), (ours.cpu / cpu).toFixed(2), `${p50.toFixed(1)} / ${p99.toFixed(1)}`, memory
    ]))
}

function describeVersion ({ version: [command = '', ...words] }: Contestant): string {
  const { stdout, stderr } = spawnSync(command, words, { encoding: 'utf8' })
  return /v?[0-9]+\.[0-9]+\.[0-9]+/.exec(stdout + stderr)?.[0] ?? 'unknown'
}

export const suite: Suite = {
  title: 'Throughput on one core',
  async run (bench) {
    const rows = render(await measure(bench))
    return `Everybody does the same job: verified TLS to the API, the key put on each request, one line of JSON for it. \`wrk\` with ${connections} connections, ${warmUpSeconds} s to warm up, then ${rounds} rounds of ${seconds} s, each with a process of its own, in turn. CPU is of all threads.\n\n${rows}`
  }
}
