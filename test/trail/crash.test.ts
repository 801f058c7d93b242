import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { makeRoot } from '../support/trail-app.ts'
import { until } from '../support/trail-stores.ts'

const script = fileURLToPath(new URL('../support/trail-child.ts', import.meta.url))
const kills = Number(process.env['TRAIL_KILLS'] ?? 8)

interface Child { process: ChildProcess, url: string, startMs: number }

/** Starts a proxy's trail in a process of its own; `forwarded` gets the ids that went to the API. */
async function startChild (database: string, forwarded: string[]): Promise<Child> {
  const startedAt = performance.now()
  const child = spawn(process.execPath, [script, database], { stdio: ['ignore', 'pipe', 'inherit'] })
  return new Promise((resolve, reject) => {
    child.once('exit', code => reject(new Error(`the child ended with ${code}`)))
    createInterface(child.stdout).on('line', line => {
      const [word, value = ''] = line.split(' ')
      if (word === 'forwarded') forwarded.push(value)
      else resolve({ process: child, url: value, startMs: performance.now() - startedAt })
    })
  })
}

/** A few clients that ask again and again until told to stop. */
function load (url: string, clients: number): () => void {
  const agent = new Agent({ keepAlive: true })
  let stopped = false
  const ask = (): void => {
    if (stopped) return
    get(`${url}/v3/devices`, { agent }, answer => answer.resume().on('end', ask).on('error', () => {})).on('error', () => {})
  }
  for (let i = 0; i < clients; i++) ask()
  return () => {
    stopped = true
    agent.destroy()
  }
}

test(`kill -9 at ${kills} random moments under load loses no request that the API saw`, { timeout: 30_000 + kills * 30_000 }, async t => {
  const database = join(makeRoot(t), 'trail.db')
  const forwarded: string[] = []
  for (let round = 0; round < kills; round++) {
    const child = await startChild(database, forwarded)
    const stop = load(child.url, 6)
    await new Promise(resolve => { setTimeout(resolve, 20 + Math.random() * 400) })
    child.process.kill('SIGKILL')
    await once(child.process.stdout as NodeJS.ReadableStream, 'close')
    stop()
  }
  const last = await startChild(database, forwarded)
  t.teardown(() => last.process.kill('SIGKILL'))
  const read = <T>(sql: string): T[] => {
    const store = new DatabaseSync(database, { readOnly: true, timeout: 2000 })
    try {
      return store.prepare(sql).all() as T[]
    } finally {
      store.close()
    }
  }
  await until(() => {
    try {
      const stored = new Map(read<{ id: string, outcome: string }>('SELECT id, outcome FROM trail').map(row => [row.id, row.outcome]))
      return forwarded.every(id => stored.has(id)) && ![...stored.values()].includes('open')
    } catch {
      return false // made only by the last one, if all others were killed before
    }
  }, 15_000).catch(() => {}) // what is missing then, the next lines say
  const rows = read<{ id: string, outcome: string }>('SELECT id, outcome FROM trail')
  t.ok(forwarded.length > kills * 5, `${forwarded.length} requests were forwarded`)
  const known = new Set(rows.map(row => row.id))
  t.strictSame(forwarded.filter(id => !known.has(id)), [], 'none is missing')
  t.equal(known.size, rows.length, 'none is there twice')
  t.ok(rows.some(row => row.outcome === 'unfinished') && rows.some(row => row.outcome === 'answered'))
  t.ok(rows.every(row => row.outcome === 'unfinished' || row.outcome === 'answered' || row.outcome === 'client_aborted'))
  t.strictSame(read<{ integrity_check: string }>('PRAGMA integrity_check').map(row => row.integrity_check), ['ok'])
  const ended = once(last.process, 'exit')
  last.process.kill('SIGTERM')
  t.strictSame(await ended, [0, null])
})
