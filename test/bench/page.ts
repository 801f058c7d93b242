import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, release, tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeAccessKey } from '../support/proxy.ts'
import { prepareTeam, type Bench } from './proxies/contestants.ts'
import { startApi } from './proxies/machine.ts'

// npm run bench [-- SUITE …]: runs the suites named, or all, and writes each one's part of test/bench/README.md.
// Needs Debian's nginx, haproxy, caddy, wrk and util-linux (taskset); each suite says what it does.

const suites = ['throughput', 'rooms', 'latency', 'wide-area', 'start', 'streams', 'growth'] as const

export interface Suite {
  title: string
  /** Gives its part of the page, in Markdown. */
  run (bench: Bench): Promise<string>
}

const page = join(import.meta.dirname, 'README.md')
const head = `# Benchmarks

\`npm run bench\` makes this page, \`npm run bench -- SUITE …\` parts of it. Everything runs on one machine: the proxy alone on one core, the API
(nginx over TLS, 1 KB of JSON) and whoever asks on another. Only ratios within one run count. Ours has on what a user has on: guard, a team of ten
with policies, limits, trail, scrubbing, metrics, the log line. \`npm run soak\` is apart: it takes an hour.

## What paid

Each measured before and after by the same script, on a busy machine: ratios say more than figures. \`test/product/cost.test.ts\` watches over memory and writes in CI, by counting.

| change | before | after |
| --- | --- | --- |
| open requests in lists (\`src/in-flight.ts\`) instead of Sets and Maps, whose dead tables V8 chains together with all that they held; one timer for all exchanges; no closure kept by a lease | 5.5 KiB a request moved to the old generation, 41 µs of pauses and 100 µs of helper threads | 0.06 KiB, 2.3 µs, 1 µs |
| V8 puts no object among the old ones by a guess (\`--no-allocation-site-pretenuring\`, set at the start): in one process of three it did so with parts of a request | 4 to 8 KiB a request moved to the old generation in 4 of 12 processes | in none of 28; 5 % less CPU on average |
| the log lines of one turn of the event loop in one write | 203 ms CPU per 1,000 | 186 |
| a short answer as one string with its headers, instead of a list of buffers | 162 ms CPU per 1,000 | 153 |
| the team file is looked at four times a second, not whenever its busy folder changes | 4 % of the main thread | nothing |
| the program bundled, with one undici | 1,540 ms CPU and 146 MB at the first answer | 740 ms, 111 MB |
| Redis' library only where there is a Redis, and of undici only what sends | 740 ms CPU and 113 MB at the first answer | 670 ms, 105 MB |
| parts of packages that are never used left out of the build (\`.config/unused-parts.ts\`: compilers of schemas, HTTP/2, SOCKS, forms, a second parser); built-in modules in one file, the rare ones loaded when needed; the trail's thread begun when everything else is ready | 798 ms and 105 MB at the first answer | 571 ms, 99 MB |
| the trail's thread with a young generation of 12 MB: with Node's own choice its pages were mapped anew for every batch | 180 page faults per 1,000 requests | 85, and 6 % less CPU |
| what a busy time took given back once there is nothing to do (\`src/idle-collector.ts\`) | 101 MB idle, 208 to 229 after load | 92, 131 to 171 |
| events of the channel in bytes of their own, not in pieces of Node's pool of 64 KiB | 10 MB of events, and 416 MB outside the heap | 6 MB of events, and 17 MB |
| the TLS context made once, not for every connection | 17 ms CPU a connection | once |

Not worth it: shorter names in the program, a larger young generation at the start; smaller semi-spaces and fewer V8 threads (30 MB less, 5 % more CPU); V8's compile cache, once the program was a bundle (3 % of a start, and it is kept by user: an image built by root has none for whom it runs as).

## Against what was aimed at

- Reached: CPU at most 5 × nginx's (3.5 to 5.1 in three runs) and throughput at least 0.25 × (0.25 to 0.36); p50 added at most 0.8 ms, and nothing
  grows with 1,000,000 rows in the trail or while retention takes them away; any later request at most 1.1 round trips (1.08); streams at
  least 0.8 × stock's; flat growth, but for connections: beyond the 256 to the API they take turns, and each costs memory to look at; an hour of
  \`npm run soak\` (2026-11-25, 83,000 answers with faults among them, 37 million events to listeners): 0.53 MB a minute, 40 descriptors before
  and 41 after.
- Not reached: 1.3 × Caddy's and 1.7 × stock @fastify/http-proxy's throughput (0.81 to 0.95 and 1.08 to 1.11), CPU 0.8 × Caddy's (1.20). The bare
  way of both (http-proxy's \`handler\`, undici, one line of pino, no room) took 0.65 of our CPU in turn with it, about what Caddy takes: with every
  room on, 1.7 × stock would be at most 6 % above the bare way. Of ours some 25 % is our own code, spread over all rooms; the rest is sockets,
  TLS, Node's HTTP server and undici. A room costs at most 10 %, but for the log line: 17 % in the one run of all rooms, 5 % in another of 15
  rounds; alone it takes 4 µs and its share of a write.
- Nearly: 90 MB idle (90 to 94 measured) and 150 MB after load (131 to 180, half a minute after it; up to 230 during it).
- Not reached: a start in 250 ms (480 to 890 here; a bare Node process that proxies one request by node:https takes a third of it), p99 added
  at most 2.3 ms (3 to 5), the first request in 1.2 round trips (1.38 to 1.48: code that runs for the first time), 2,500 req/s at a distance
  (2,084 to 2,172: the machine).
- This machine decides much: its random memory access takes 58 ns or 230, a page fault 0.4 µs or 15, and it changes within seconds, while
  plain arithmetic stays as it is. Programs that touch much memory suffer most. So the same loop of requests takes the proxy 130 ms of CPU or 380, and only what was
  asked in turn can be compared.

## What sharing costs

\`node test/bench/team-fleet.ts\`: the room \`team\` alone before a server that answers by itself, 32 connections, with the limits of one process and
with those that Redis keeps; 5 rounds of 1.5 s in turn, medians. One run, on 2026-11-25, while other work kept both cores busy (load 3.2): the order
of magnitude, not the figures. That a fleet without limits served more than one process with them is such noise.

| | CPU, µs a request | ratio | requests/s | ratio | one alone, µs |
| --- | --- | --- | --- | --- | --- |
| one process, limits | 58 | 1.00 | 6,998 | 1.00 | 168 |
| fleet, no limits | 76 | 1.30 | 8,909 | 1.27 | 163 |
| fleet, rate | 96 | 1.65 | 6,617 | 0.95 | 523 |
| fleet, all limits | 95 | 1.64 | 5,445 | 0.78 | 771 |

So a limit that instances share costs some 20 to 40 µs CPU here, and a request alone waits 0.4 to 0.6 ms for Redis on the same
machine; members without limits don't wait. What the channel asks of Redis is by event and by change of holder, not by request.
`

const wanted = process.argv.slice(2)
const unknown = wanted.filter(name => !(suites as readonly string[]).includes(name))
if (unknown.length > 0) throw new Error(`no suite ${unknown.join(', ')}; there are ${suites.join(', ')}`)

const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-bench-'))
const apiPort = 18900
const key = makeAccessKey()
writeFileSync(join(folder, 'key'), key, { mode: 0o600 })
const bench: Bench = { folder, apiPort, key, token: await prepareTeam(folder), root: join(import.meta.dirname, '../..') }
const api = await startApi(folder, apiPort)
try {
  for (const name of suites.filter(name => wanted.length === 0 || wanted.includes(name))) {
    const { suite } = await import(`./suites/${name}.ts`) as { suite: Suite }
    writePart(name, `## ${suite.title}\n\n${(await suite.run(bench)).trim()}\n\n${describeMachine()}`)
  }
} finally {
  await api.stop()
  rmSync(folder, { recursive: true, force: true })
}

function describeMachine (): string {
  return `*${new Date().toISOString().slice(0, 10)}, Node.js ${process.version}, Linux ${release()}, ${cpus().length} cores of ${cpus()[0]?.model.trim()}.*`
}

/** The other suites' parts stay as they are. */
function writePart (name: string, text: string): void {
  const parts = existsSync(page) ? readParts(readFileSync(page, 'utf8')) : new Map<string, string>()
  parts.set(name, text)
  const body = suites.filter(suite => parts.has(suite)).map(suite => `<!-- ${suite} -->\n\n${parts.get(suite)}\n`)
  writeFileSync(page, [head, ...body].join('\n'))
  console.error(`${name}: done`)
}

function readParts (text: string): Map<string, string> {
  const [, ...parts] = text.split(/^<!-- ([a-z-]+) -->$/m)
  return new Map(Array.from({ length: parts.length / 2 }, (_, index) => [parts[2 * index] as string, (parts[2 * index + 1] as string).trim()]))
}
