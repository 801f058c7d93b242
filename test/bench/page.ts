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
| the same after a minute of nothing, not after 5 s: between bursts 14 s apart the memory was given back, and compiled code with it | 175 ms CPU per 1,000 and 580 page faults, 6,400 req/s | 120 ms, 30, 8,000 |
| the trail's thread gives back, too, and SQLite keeps 4 MB of pages instead of 16, at 1,000,000 rows as fast | 161 MB after load | 130 |
| our forwarder as http-proxy's \`preHandler\` and not its \`handler\`, before which it makes three URLs and a query anew; the journal read in texts of at most 64 KiB, as longer ones get memory of their own | 149 ms CPU per 1,000 | 0.93 of it in turn |
| V8's compiled code kept for the next start (\`src/compile-cache.ts\`; in the image made with it), with neither zlib nor HTTP/2 nor reply-from loaded | 287 ms at the first answer | 253 |
| a dozen small files of the program in one | 239 ms at the first answer | 221 |
| undici's parser (WebAssembly) compiled ahead (\`src/upstream/rehearsal.ts\`) | first request 1.23 round trips | 1.16 |
| one probe rehearsed, on a connection that leads nowhere (\`src/ops/rehearsal.ts\`) | first request 106 ms at a distance of 80 ms | 98 |
| 512 connections to the API at most, not 256, which at 2,500 req/s and 80 ms are always nearly all taken | 2,084 req/s, p50 1.2 s | 2,480, p50 82 ms |
| events of the channel in bytes of their own, not in pieces of Node's pool of 64 KiB | 10 MB of events, and 416 MB outside the heap | 6 MB of events, and 17 MB |
| the TLS context made once, not for every connection | 17 ms CPU a connection | once |

Not worth it: shorter names in the program, a larger young generation at the start; smaller semi-spaces and fewer V8 threads (30 MB less, 5 % more CPU),
a collector in one thread (p99 the same); keeping bytecode through collections; V8's regular collection when idle (101 MB idle, 162 to 200 rested, first requests no faster);
the rehearsal again after each collection; a pool of our own for undici's (its search is under 1 % at 64 and at 1,024 connections); one file for the whole program (slower than some, and so is every other command). A V8 snapshot
is tied to the very processor it was made on: no image can carry one.

## Against what was aimed at

Throughput, start and streams of 2026-11-29, a quiet day; latency, wide area, rooms and soak of 2026-11-30, on another machine, slower and less quiet.
Where several runs are meant, least and most.

- Reached: CPU at most 5 × nginx's (4.0 to 4.5) and throughput at least 0.25 × (0.28 to 0.31); p50 added at most 0.8 ms (0.3 to 0.5 on the quiet
  day, 0.5 to 0.8 on the other, where nginx adds 0.4 to 0.5; 0.9 once, at 500 req/s during retention), with 1,000,000 rows in the trail, too; any later request at most 1.1 round trips (1.03 to 1.09), 2.9 × faster than curl; 2,500 req/s at 80 ms without a queue; a start in 250 ms
  (209 to 227; 500 to 900 on a day when this machine's memory was slow); 150 MB after load (129 to 146 after a minute of rest, up to 215 during it);
  streams at least 0.8 × stock's (0.92 and 1.01 in 5 rounds, 0.73 down in a run of 3); flat growth, but for connections: beyond those to the API they
  take turns, and each costs memory to look at. An hour of \`npm run soak\`: 0.53 MB a minute on 2026-11-25. On 2026-11-30 (107,000 answers with
  faults among them, 67 million events to listeners) the whole test suite ran beside it for half of the time, and it was 1.85; alone, in the last
  20 minutes, 0.5 (306 to 315 MB), while the channel's replay grew by 0.4. Descriptors 40 before, 43 after.
- Nearly: 1.3 × Caddy's throughput (1.03 to 1.29) and 0.8 × its CPU (0.85 to 1.07; the ends are one run each, before and after contestants were
  warmed up in turn); the first request in 1.2 round trips (1.21; 1.30 the same day without the rehearsed probe); after 150 s of silence 1.15 to 1.20
  (aim 1.1; after 20 s it was the same whether memory had been given back or not); 90 MB idle (91 to 92).
- p99 added at most 2.3 ms: 2.1 to 3.0 on the quiet day and 4.4 during retention, by a client that took all of its core. On the other, by a leaner one, 3.2 to
  5.3, where nginx adds 2.5 to 3.0 and stock 16 to 34: there the aim is below what nginx does. Without the trail's thread p99 is nearly the same.
- Not reached: 1.7 × stock @fastify/http-proxy (1.17 to 1.24). The bare way of both (http-proxy's \`handler\`, undici, one line of pino, no room) takes
  0.65 of our CPU in turn with it: 1.7 × stock is nine tenths of what that does. Of 150 µs a request on the main thread 25 are our own code,
  over all rooms; 64 are Node's sockets, streams and HTTP server, 25 undici, 25 the event loop and TLS, 6 pino.
- A room costs at most 10 % (log line 9, scrubbing 5), but for the trail: 16 % here, by a profile 9, of which its thread 7. It writes twice for every
  request, and stores it.
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
