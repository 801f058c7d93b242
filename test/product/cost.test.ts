import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, get } from 'node:http'
import { getPriority, setPriority } from 'node:os'
import { join } from 'node:path'
import { test, type Test } from 'tap'
import { startSandbox } from '../../src/sandbox/index.ts'
import { runCommand, startProcess, type ProxyProcess } from '../support/process.ts'
import { missingTool } from '../support/tools.ts'
import { waitFor } from '../support/wait-for.ts'

// What one request costs, in things that can be counted on any machine: a change that makes it dearer shows here, not in a benchmark
// months later. The budgets are a little above what it took when they were set.

/** A proxy with a team, as a process of its own, and how to ask it. */
async function start (t: Test, nodeOptions: string[] = []): Promise<{ proxy: ProxyProcess, ask: (agent: Agent) => Promise<void> }> {
  const sandbox = await startSandbox({ quiet: true, keepReceived: 0 })
  t.teardown(() => sandbox.close())
  const cwd = t.testdir()
  writeFileSync(join(cwd, 'ca.pem'), sandbox.caPem)
  writeFileSync(join(cwd, 'key'), sandbox.accessKey, { mode: 0o600 })
  const { stdout } = await runCommand(['team', 'add', 'asker', '--team-file', 'team.json', '--rate', '100000/s', '--burst', '100000', '--json'], { cwd })
  const { token } = JSON.parse(stdout) as { token: string }
  const words = ['--listen', '127.0.0.1:0', '--api-host', sandbox.origin, '--ca-file', 'ca.pem', '--access-key-file', 'key', '--team-file', 'team.json']
  const proxy = await startProcess(t, words, { cwd, nodeOptions })
  const options = { headers: { authorization: `Bearer ${token}` } }
  const ask = (agent: Agent) => new Promise<void>((resolve, reject) => {
    get(`${proxy.url}/v3/devices?limit=2`, { ...options, agent }, answer => {
      answer.resume().on('end', () => answer.statusCode === 200 ? resolve() : reject(new Error(`status ${answer.statusCode}`)))
    }).on('error', reject)
  })
  return { proxy, ask }
}

async function askMany (ask: (agent: Agent) => Promise<void>, count: number, connections: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  await Promise.all(Array.from({ length: connections }, async () => {
    for (let sent = 0; sent < count / connections; sent++) await ask(agent)
  }))
  agent.destroy()
}

test('a request takes its main thread five writes and two reads', { skip: missingTool(['strace'], 'strace'), timeout: 120_000 }, async t => {
  const { proxy, ask } = await start(t)
  await askMany(ask, 300, 1)
  const summary = join(t.testdirName, 'summary')
  const strace = spawn('strace', ['-c', '-o', summary, '-p', String(proxy.pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
  await once(strace.stderr, 'data')
  const requests = 400
  await askMany(ask, requests, 1)
  strace.kill('SIGINT')
  await once(strace, 'exit')
  const text = readFileSync(summary, 'utf8')
  const count = (...names: string[]) => countCalls(text, names) / requests
  const [writes, reads] = [count('write', 'writev', 'pwrite64', 'pwritev', 'sendmsg', 'sendto'), count('read', 'readv', 'pread64', 'recvmsg', 'recvfrom')]
  t.comment(`${writes.toFixed(2)} writes and ${reads.toFixed(2)} reads a request`)
  // The request to the API, the answer to the client, a line of the log, and two of the journal.
  t.ok(writes >= 4 && writes < 5.5, `${writes.toFixed(2)} writes a request`)
  t.ok(reads >= 2 && reads < 3, `${reads.toFixed(2)} reads a request`)
})

/** Of strace's table: share, seconds, microseconds a call, calls, errors if any, name. */
function countCalls (summary: string, names: string[]): number {
  const rows = summary.split('\n').map(line => line.trim().split(/\s+/)).filter(cells => names.includes(cells.at(-1) ?? ''))
  return rows.reduce((sum, cells) => sum + Number(cells[3]), 0)
}

/** One collection of young objects, in the words of Node 24 (`allocated=1`) or 26 (`"allocated":1`). */
function readCollections (output: string): Map<string, { allocated: number, promoted: number }> {
  const byThread = new Map<string, { allocated: number, promoted: number }>()
  for (const line of output.split('\n')) {
    const [, thread] = /^\[\d+:(0x[0-9a-f]+)/.exec(line) ?? []
    const [, allocated] = /\ballocated"?[=:](\d+)/.exec(line) ?? []
    const [, promoted] = /\bpromoted"?[=:](\d+)/.exec(line) ?? []
    if (thread === undefined || allocated === undefined) continue
    const sum = byThread.get(thread) ?? { allocated: 0, promoted: 0 }
    byThread.set(thread, { allocated: sum.allocated + Number(allocated), promoted: sum.promoted + Number(promoted ?? 0) })
  }
  return byThread
}

test('the trail\'s thread lets requests go first', { skip: process.platform !== 'linux' && 'threads have priorities of their own on Linux', timeout: 60_000 }, async t => {
  // The proxy inherits it; whoever runs it nicely must not have a thread in it that goes before all others.
  setPriority(Math.max(getPriority(), 3))
  const { proxy, ask } = await start(t)
  await askMany(ask, 1, 1)
  const niceness = () => Object.fromEntries(readdirSync(`/proc/${proxy.pid}/task`).map(id => readThread(`/proc/${proxy.pid}/task/${id}/stat`)))
  const found = await waitFor('the thread', niceness, threads => (threads['trail-store'] ?? 0) > getPriority())
  t.equal(found['node-MainThread'] ?? found['node'], getPriority())
  t.equal(found['trail-store'], getPriority() + 5)
})

/** Name and niceness, the 19th field. */
function readThread (path: string): [string, number] {
  const [, name = '', rest = ''] = /\((.*)\) (.*)/.exec(readFileSync(path, 'utf8')) ?? []
  return [name, Number(rest.split(' ')[16])]
}

test('a request allocates little, and nothing of it outlives the answer', { timeout: 120_000 }, async t => {
  // A small young generation: many collections, so that what they find is an average.
  const { proxy, ask } = await start(t, ['--trace-gc-nvp', '--max-semi-space-size=1'])
  await askMany(ask, 1500, 16)
  const before = proxy.output().length
  const requests = 3000
  await askMany(ask, requests, 16)
  await waitFor('a collection', () => readCollections(proxy.output().slice(before)).size, size => size > 0)
  const main = [...readCollections(proxy.output().slice(before)).values()].toSorted((a, b) => b.allocated - a.allocated)[0] as { allocated: number, promoted: number }
  const kib = (bytes: number) => bytes / requests / 1024
  t.comment(`${kib(main.allocated).toFixed(1)} KiB allocated a request, ${kib(main.promoted).toFixed(2)} KiB moved to the old generation`)
  t.ok(kib(main.allocated) > 5, 'it was measured')
  t.ok(kib(main.allocated) < 48, `${kib(main.allocated).toFixed(1)} KiB allocated a request`)
  // What a Set or Map keeps of requests that have ended shows here, or an object among the old ones: some KiB a request.
  t.ok(kib(main.promoted) < 1.5, `${kib(main.promoted).toFixed(2)} KiB a request outlived two collections`)
})
