import { spawnSync } from 'node:child_process'
import type { Suite } from '../page.ts'
import { contestants, type Bench, type Contestant } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, residentMb, startContestant, type Load, type Running } from '../proxies/machine.ts'
import { median, table } from '../table.ts'

// Ours against what people would otherwise use: the same job, all started at once (who isn't asked takes nothing) and asked in turn, in
// short slices, so that the machine's moods fall on all alike. Ratios are taken within each round.

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 9)
const seconds = Number(process.env['BENCH_SECONDS'] ?? 3)
/** Just-in-time compilers need some hundred thousand requests; the others don't mind. */
const warmUpSeconds = Number(process.env['BENCH_WARM_UP_SECONDS'] ?? 30)
const restSeconds = 75
const connections = 64

interface Slice extends Load { cpuPer1000: number }

interface Entrant { contestant: Contestant, running: Running, slices: Slice[], loadedMb: number, restedMb: number }

function measureSlice ({ contestant, running }: Entrant, token: string): Slice {
  const before = cpuMs(running.pid)
  const load = measureLoad(contestant, token, connections, seconds)
  if (load.failed > 0 || load.requests === 0) throw new Error(`${contestant.name}: ${load.failed} of ${load.requests} requests failed`)
  return { ...load, cpuPer1000: (cpuMs(running.pid) - before) / load.requests * 1000 }
}

function measureRounds (entrants: Entrant[], token: string): void {
  // In turn, too: who rests for long gives back memory and compiled code.
  for (let warmed = 0; warmed < warmUpSeconds; warmed += seconds) {
    for (const { contestant } of entrants) measureLoad(contestant, token, connections, seconds)
  }
  for (let round = 1; round <= rounds; round++) {
    for (const entrant of entrants) entrant.slices.push(measureSlice(entrant, token))
    console.error(`round ${round}: ${entrants.map(({ contestant, slices }) => `${contestant.name} ${slices.at(-1)?.cpuPer1000.toFixed(0)}`).join(', ')} ms CPU per 1,000`)
  }
}

async function measure (bench: Bench): Promise<Entrant[]> {
  const entrants: Entrant[] = []
  try {
    for (const contestant of contestants) entrants.push({ contestant, running: await startContestant(contestant, bench), slices: [], loadedMb: 0, restedMb: 0 })
    measureRounds(entrants, bench.token)
    for (const entrant of entrants) entrant.loadedMb = residentMb(entrant.running.pid)
    await new Promise(resolve => setTimeout(resolve, restSeconds * 1000))
    for (const entrant of entrants) entrant.restedMb = residentMb(entrant.running.pid)
  } finally {
    for (const { running } of entrants) await running.stop()
  }
  return entrants
}

function rateOf (slice: Slice | undefined): number { return slice === undefined ? Number.NaN : slice.requests / slice.seconds }

/** Ours ÷ it, round by round; the median. */
function compare (ours: Entrant, its: Entrant, value: (slice: Slice | undefined) => number): string {
  return median(ours.slices.map((slice, round) => value(slice) / value(its.slices[round]))).toFixed(2)
}

function render (entrants: Entrant[]): string {
  const ours = entrants[0] as Entrant
  const middle = (entrant: Entrant, value: (slice: Slice) => number) => median(entrant.slices.map(value))
  return table(['system', 'version', 'req/s on one core', 'ours ÷ it', 'CPU ms per 1,000', 'ours ÷ it', 'p50 / p99 at full load, ms', 'resident MB, after load / rested'],
    entrants.map(it => [
      it.contestant.name,
      describeVersion(it.contestant),
      Math.round(middle(it, rateOf)).toLocaleString('en'),
      compare(ours, it, rateOf),
      middle(it, slice => slice.cpuPer1000).toFixed(0),
      compare(ours, it, slice => slice?.cpuPer1000 ?? Number.NaN),
      `${middle(it, slice => slice.p50Ms).toFixed(1)} / ${middle(it, slice => slice.p99Ms).toFixed(1)}`,
      `${it.loadedMb} / ${it.restedMb}`
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
    return `Everybody does the same job: verified TLS to the API, the key put on each request, one line of JSON for it. \`wrk\` with ${connections} connections; all run at once and are asked in turn, ${rounds} rounds of ${seconds} s after ${warmUpSeconds} s each, in turn, to warm up; medians, the ratios those of the rounds. CPU is of all threads. Memory at the end, and after ${restSeconds} s of rest.\n\n${rows}`
  }
}
