import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startPostgres, type PostgresServer } from './postgres.ts'
import type { StoreSettings } from '../../src/trail/store/connect.ts'

/** Where one test has its trail. */
export interface Place {
  /** A folder of its own. */
  root: string
  /** The journal's. */
  folder: string
  store: StoreSettings
}

let postgres: Promise<PostgresServer | undefined> | undefined

/** Runs a test on SQLite, and on PostgreSQL if one is installed. */
export function testOnBoth (title: string, run: (t: Test, place: Place) => Promise<void>): void {
  testOnSqlite(`${title} (SQLite)`, run)
  testOnPostgres(`${title} (PostgreSQL)`, run)
}

/** `server` may be stopped, if it is started again before the end. */
export function testOnPostgres (title: string, run: (t: Test, place: Place, server: PostgresServer) => Promise<void>): void {
  t.test(title, async t => {
    postgres ??= startShared()
    const server = await postgres
    if (server === undefined) return t.pass('not run', { skip: 'no PostgreSQL is installed here (apt install postgresql)' })
    await withPlace(t, async () => ({ kind: 'postgres', url: await server.createDatabase(), sync: false }), (t, place) => run(t, place, server))
  })
}

export function testOnSqlite (title: string, run: (t: Test, place: Place) => Promise<void>): void {
  t.test(title, t => withPlace(t, async root => ({ kind: 'sqlite', path: join(root, 'trail.db'), sync: false }), run))
}

async function startShared (): Promise<PostgresServer | undefined> {
  const server = await startPostgres()
  if (server !== undefined) t.teardown(() => server.remove())
  return server
}

async function withPlace (t: Test, settings: (root: string) => Promise<StoreSettings>, run: (t: Test, place: Place) => Promise<void>): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'izuma-trail-'))
  t.teardown(() => rmSync(root, { recursive: true, force: true }))
  await run(t, { root, folder: join(root, 'journal'), store: await settings(root) })
}

/** Polls until `probe` gives something, for at most `timeoutMs`. */
export async function until<T> (probe: () => T | undefined | false | Promise<T | undefined | false>, timeoutMs = 20_000): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (performance.now() > deadline) throw new Error(`nothing within ${timeoutMs} ms`)
    await new Promise(resolve => { setTimeout(resolve, 10) })
  }
}
