import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand } from '../support/process.ts'
import { makeAccessKey } from '../support/proxy.ts'
import { contestants, type Bench, type Contestant } from './proxies/contestants.ts'
import { cpuMs, measureLoad, residentMb, startApi, startContestant, type Load, type Running } from './proxies/machine.ts'

// Ours against what people would otherwise use: the same job, side by side in one run, interleaved, medians of the rounds.
// npm run bench writes test/bench/README.md. Needs nginx, haproxy, caddy and wrk (Debian's packages) and `npm run build`.

const rounds = Number(process.env['BENCH_ROUNDS'] ?? 3)
const seconds = Number(process.env['BENCH_SECONDS'] ?? 5)
const connections = 64
const apiPort = 19000

interface Sample extends Load { cpuPer1000: number, residentMb: number }

async function prepare (folder: string): Promise<Bench> {
  const key = makeAccessKey()
  writeFileSync(join(folder, 'key'), key, { mode: 0o600 })
  let token = ''
  for (let member = 0; member < 10; member++) {
    const { stdout } = await runCommand(['team', 'add', `member${member}`, '--team-file', join(folder, 'team.json'), '--allow', 'GET /v3/devices/**', '--json'], { cwd: folder })
    token = (JSON.parse(stdout) as { token: string }).token
  }
  return { folder, apiPort, key, token, root: fileURLToPath(new URL('../../', import.meta.url)) }
}

function sample (contestant: Contestant, running: Running, token: string): Sample {
  const before = cpuMs(running.pid)
  const load = measureLoad(contestant, token, connections, seconds)
  return { ...load, cpuPer1000: (cpuMs(running.pid) - before) / load.requests * 1000, residentMb: residentMb(running.pid) }
}

function median (values: number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
}

async function measure (bench: Bench): Promise<Map<Contestant, Sample[]>> {
  const samples = new Map<Contestant, Sample[]>(contestants.map(contestant => [contestant, []]))
  for (let round = 0; round < rounds; round++) {
    for (const contestant of contestants) {
      const running = await startContestant(contestant, bench)
      try {
        measureLoad(contestant, bench.token, connections, 2)
        const taken = sample(contestant, running, bench.token)
        if (taken.failed > 0) throw new Error(`${contestant.name}: ${taken.failed} requests failed`)
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
  const [ours] = rows
  const lines = rows.map(({ contestant, rate, cpu, p50, p99, memory }) =>
    `| ${contestant.name} | ${describeVersion(contestant)} | ${Math.round(rate).toLocaleString('en')} | ${((ours?.rate ?? 0) / rate).toFixed(2)} | ${cpu.toFixed(0)} | ${((ours?.cpu ?? 0) / cpu).toFixed(2)} | ${p50.toFixed(1)} / ${p99.toFixed(1)} | ${memory} |`)
  return ['| system | version | req/s on one core | ours ÷ it | CPU ms per 1,000 | ours ÷ it | p50 / p99 at full load, ms | resident MB |', '|---|---|---|---|---|---|---|---|', ...lines].join('\n')
}

function describeVersion ({ version: [command = '', ...words] }: Contestant): string {
  const { stdout, stderr } = spawnSync(command, words, { encoding: 'utf8' })
  return /v?[0-9]+\.[0-9]+\.[0-9]+/.exec(stdout + stderr)?.[0] ?? 'unknown'
}

const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-bench-'))
const bench = await prepare(folder)
const api = await startApi(folder, apiPort)
try {
  const table = render(await measure(bench))
  const page = `# Benchmarks

\`npm run bench\` makes this page: everybody does the same job (verified TLS to an nginx on loopback that answers 1 KB of JSON, the key put on
each request, one line of JSON for it), the proxy alone on one core, \`wrk\` with ${connections} connections and the API on another, ${rounds} rounds of
${seconds} s interleaved, medians. Only ratios within one run count. Ours has on what a user has on: guard, a team of ten, the trail, scrubbing,
metrics, the log line.

${new Date().toISOString().slice(0, 10)}, Linux ${release()}, ${cpus().length} cores of ${cpus()[0]?.model.trim()}.

${table}
`
  writeFileSync(fileURLToPath(new URL('README.md', import.meta.url)), page)
  console.log(table)
} finally {
  await api.stop()
  rmSync(folder, { recursive: true, force: true })
}
