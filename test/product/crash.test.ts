import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { startProcess } from '../support/process.ts'
import { makeAccessKey } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

// What the API saw, the trail knows, whatever moment the process is killed at. 50 rounds: CRASH_ROUNDS=50.

const rounds = Number(process.env['CRASH_ROUNDS'] ?? 5)

async function prepare (t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-crash-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const api = await startApi(t, (_request, response) => { setTimeout(() => response.end('{}'), Math.random() * 20) })
  writeFileSync(join(folder, 'ca.pem'), api.ca)
  writeFileSync(join(folder, 'key'), makeAccessKey(), { mode: 0o600 })
  const store = join(folder, 'trail.db')
  const words = ['--listen', '127.0.0.1:0', '--api-host', api.origin, '--ca-file', join(folder, 'ca.pem'), '--access-key-file', join(folder, 'key'), '--trail', `sqlite:${store}`, '--log-level', 'info', '--channel', 'off']
  return { folder, api, words, store }
}

interface Stored { paths: Map<string, string[]>, integrity: unknown }

/** Nothing while the store isn't there: on a busy machine all runs before the last may have been killed too early to make it. */
function readStore (file: string): Stored {
  const paths = new Map<string, string[]>()
  try {
    const db = new DatabaseSync(file, { readOnly: true, timeout: 2000 })
    for (const { path, outcome } of db.prepare('SELECT path, outcome FROM trail').all() as Array<{ path: string, outcome: string }>) paths.set(path, [...paths.get(path) ?? [], outcome])
    const integrity = Object.values(db.prepare('PRAGMA integrity_check').get() ?? {})[0]
    db.close()
    return { paths, integrity }
  } catch (error) {
    return { paths, integrity: error }
  }
}

/** Unlike time, the same whatever else this machine does: all threads, in ticks of 10 ms. */
function cpuMsOf (pid: number): number {
  const [user, system] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ').slice(11, 13) ?? []
  return (Number(user) + Number(system)) * 10
}

/** Sixteen clients, one request after the other, until told to stop. */
function load (url: string, round: number): { stop (): Promise<void> } {
  const traffic = { going: true }
  const clients = Array.from({ length: 16 }, async (_, client) => {
    for (let number = 0; traffic.going; number++) await ask(url, `/v3/${round}/${client}/${number}`).catch(() => {})
  })
  return { async stop () { traffic.going = false; await Promise.all(clients) } }
}

t.test(`killed at ${rounds} random moments under load, it forgets nothing that the API saw`, { timeout: 60_000 + rounds * 60_000 }, async t => {
  const { folder, api, words, store } = await prepare(t)
  // What a start costs with nothing to recover.
  const fresh = await startProcess(t, [...words, '--trail', `sqlite:${join(folder, 'fresh', 'trail.db')}`], { cwd: folder })
  const usualMs = cpuMsOf(fresh.pid)
  await fresh.stop()
  for (let round = 0; round < rounds; round++) {
    const proxy = await startProcess(t, words, { cwd: folder })
    const traffic = load(proxy.url, round)
    const before = api.seen.length
    await waitFor('traffic', () => api.seen.length - before, count => count > 20, 60_000)
    await new Promise(resolve => setTimeout(resolve, Math.random() * 500))
    await proxy.stop('SIGKILL')
    await traffic.stop()
  }
  const last = await startProcess(t, words, { cwd: folder })
  const againMs = cpuMsOf(last.pid)
  t.comment(`until it listens: ${againMs} ms of CPU after the crashes, ${usualMs} ms on a new trail`)
  t.ok(againMs < usualMs + 2000, `it starts again in no time: ${againMs - usualMs} ms of CPU more than on a new trail`)
  const seen = new Set(api.seen.map(({ url }) => url))
  t.ok(seen.size > rounds * 5, `${seen.size} requests reached the API`)
  const { paths, integrity } = await waitFor('the store', () => readStore(store), ({ paths }) => [...seen].every(path => paths.has(path)) && ![...paths.values()].flat().includes('open'), 60_000)
  t.same([...seen].filter(path => !paths.has(path)), [], 'nothing is missing')
  t.same([...paths.values()].filter(outcomes => outcomes.length !== 1), [], 'one row each')
  t.ok([...paths.values()].some(([outcome]) => outcome === 'unfinished'), 'what was under way is marked unfinished')
  t.equal(integrity, 'ok')
  t.equal(await last.stop(), 0)
})
