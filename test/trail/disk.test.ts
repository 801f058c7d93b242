import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { makeRoot } from '../support/trail-app.ts'

const script = fileURLToPath(new URL('../support/trail-disk.ts', import.meta.url))
const canMount = process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0

interface Seen {
  during: number[]
  failedAt: number
  forwardedDuring: number
  healthDuring: { state: string, ready: boolean, details: { journal: { unrecorded: number, lost: number } } }
  recoveredAfterMs: number
  after: number
  forwarded: number
  rows: number
  refusedRows: number
  logs: string[]
}

/** `undefined` where mounting isn't allowed. */
function run (t: Test, scenario: string, onFailure: string): Seen | undefined {
  if (!canMount) {
    if (process.env['CI'] === 'true' && process.platform === 'linux') throw new Error('CI must run this test as root, for unshare --mount')
    t.pass('not run', { skip: 'mounting a small disk needs root on Linux (unshare --mount)' })
    return undefined
  }
  const folder = join(makeRoot(t), 'disk')
  mkdirSync(folder)
  const { stdout, stderr, status } = spawnSync('unshare', ['--mount', process.execPath, script, scenario, onFailure, folder], { encoding: 'utf8', timeout: 60_000 })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout.trim().split('\n').at(-1) as string) as Seen
}

test('a full disk: nothing is forwarded unrecorded, and all is well again within 5 s of there being room', async t => {
  const seen = run(t, 'full', 'block')
  if (seen === undefined) return
  t.ok(seen.during.includes(503) && seen.during.at(-1) === 503)
  const refused = seen.during.filter(status => status === 503).length
  t.equal(seen.forwardedDuring, seen.during.length - refused)
  t.match(seen.healthDuring, { state: 'failed', ready: false, details: { journal: { error: 'ENOSPC' } } })
  t.ok(seen.recoveredAfterMs < 5000, `${Math.round(seen.recoveredAfterMs)} ms`)
  t.equal(seen.after, 200)
  t.equal(seen.refusedRows, refused, 'the refusals are in the trail, too')
  t.equal(seen.rows, seen.forwarded + refused, 'one row each')
})

test('a full disk with `continue`: all is forwarded, counted, and recorded as far as memory holds it', async t => {
  const seen = run(t, 'full', 'continue')
  if (seen === undefined) return
  t.ok(seen.during.every(status => status === 200))
  t.equal(seen.healthDuring.state, 'degraded')
  t.equal(seen.healthDuring.ready, true)
  t.ok(seen.healthDuring.details.journal.unrecorded > 0)
  t.equal(seen.healthDuring.details.journal.lost, 0)
  t.ok(seen.recoveredAfterMs < 5000)
  t.equal(seen.rows, seen.forwarded)
})

test('a read-only folder: the proxy starts, refuses, and recovers within 5 s when it can write', async t => {
  const seen = run(t, 'readonly', 'block')
  if (seen === undefined) return
  t.ok(seen.during.every(status => status === 503))
  t.equal(seen.forwardedDuring, 0)
  t.match(seen.healthDuring, { state: 'failed', ready: false, details: { journal: { error: 'EROFS' } } })
  t.ok(seen.recoveredAfterMs < 5000, `${Math.round(seen.recoveredAfterMs)} ms`)
  t.equal(seen.after, 200)
})
