import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Suite } from '../page.ts'
import { ourCommand, type Bench } from '../proxies/contestants.ts'
import { cpuMs, measureLoad, proxyCore, start } from '../proxies/machine.ts'
import { bar, table } from '../table.ts'
import { fillTrail } from './latency.ts'

// Throughput against what grows: members, rules, connections, the trail.

const port = 19071
const seconds = Number(process.env['BENCH_SECONDS'] ?? 5)
const trailSizes = (process.env['BENCH_TRAIL_SIZES'] ?? '0,1000000,10000000').split(',').map(Number)

interface Case { what: string, size: number, changed: Record<string, string>, connections: number, token: string }

/** A team file written as configuration management would: so many members, each with so many rules. */
function writeTeam (path: string, members: number, rules: number): string {
  const token = 'izp_' + randomBytes(32).toString('base64url')
  const allow = Array.from({ length: rules }, (_, index) => index === rules - 1 ? 'GET /v3/devices/**' : `GET /v3/other-${index}/**`)
  const member = () => ({ allow, tokens: [{ sha256: randomBytes(32).toString('hex') }] })
  const team = { members: Object.fromEntries(Array.from({ length: members }, (_, index) => [`member${index}`, member()])) }
  Object.assign(team.members, { asker: { allow, tokens: [{ sha256: createHash('sha256').update(token).digest('hex') }] } })
  writeFileSync(path, JSON.stringify(team))
  return token
}

async function listCases (bench: Bench): Promise<Case[]> {
  const withTeam = (what: string, size: number, members: number, rules: number): Case => {
    const path = join(bench.folder, `team-${what}-${size}.json`)
    const token = writeTeam(path, members, rules)
    return { what, size, changed: { '--team-file': path }, connections: 64, token }
  }
  const cases = [
    ...[10, 1000, 10_000].map(size => withTeam('members', size, size, 1)),
    ...[1, 100].map(size => withTeam('rules a member', size, 10, size)),
    ...[16, 64, 256, 1024, 4096].map((size): Case => ({ what: 'connections', size, changed: {}, connections: size, token: bench.token }))
  ]
  for (const size of trailSizes) {
    const path = join(bench.folder, `trail-${size}.db`)
    if (size > 0) await fillTrail(path, size, 1)
    cases.push({ what: 'rows in the trail', size, changed: { '--trail': `sqlite:${path}` }, connections: 64, token: bench.token })
  }
  return cases
}

async function measure (bench: Bench, { changed, connections, token }: Case): Promise<{ rate: number, cpuPer1000: number, failed: number }> {
  const running = start(ourCommand(bench, port, changed), proxyCore, bench.folder, 'growth')
  try {
    await new Promise(resolve => setTimeout(resolve, 3000))
    measureLoad({ port }, token, Math.min(connections, 256), 5)
    const before = cpuMs(running.pid)
    const { requests, seconds: took, failed } = measureLoad({ port }, token, connections, seconds)
    return { rate: requests / took, cpuPer1000: (cpuMs(running.pid) - before) / requests * 1000, failed }
  } finally {
    await running.stop()
  }
}

export const suite: Suite = {
  title: 'Growth',
  async run (bench) {
    const taken: Array<{ what: string, size: number, rate: number, cpuPer1000: number, failed: number }> = []
    for (const one of await listCases(bench)) taken.push({ ...one, ...await measure(bench, one) })
    const most = Math.max(...taken.map(({ rate }) => rate))
    const limit = /Max open files\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1]
    return `Throughput and CPU as one thing grows and the rest stays (64 connections, 10 members, an empty trail; ${limit} descriptors allowed).\n\n` +
      table(['what grows', 'to', 'req/s', 'CPU ms per 1,000', 'failed', ''], taken.map(({ what, size, rate, cpuPer1000, failed }) => [what, size.toLocaleString('en'), rate.toFixed(0), cpuPer1000.toFixed(0), failed, bar(rate / most)]))
  }
}
