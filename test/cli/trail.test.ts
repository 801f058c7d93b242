import fs from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'tap'
import type { Terminal } from '../../src/cli/command.ts'
import { runCommandLine } from '../../src/cli/command-line.ts'
import { Journal } from '../../src/trail/journal.ts'
import type { TrailItem } from '../../src/trail/query/reader.ts'
import type { TrailRecord } from '../../src/trail/record.ts'
import { forwardRoute, makeRoot, startTrailApp } from '../support/trail-app.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'
import { until } from '../support/trail-stores.ts'

/** Runs the command line in this process. `stop` is Ctrl-C. */
function run (root: string, ...words: string[]) {
  const output = { stdout: '', stderr: '' }
  const stop = new AbortController()
  const collect = (name: keyof typeof output) => new Writable({ write (chunk, _encoding, done) { output[name] += String(chunk); done() } })
  const terminal: Terminal = {
    stdout: collect('stdout'),
    stderr: collect('stderr'),
    environment: {},
    cwd: root,
    interrupted: stop.signal,
    onHangup: () => () => {},
    self: { execPath: process.execPath, script: '' },
    pid: process.pid,
    nodeVersion: process.version
  }
  const done = runCommandLine(['trail', ...words, '--trail', `sqlite:${join(root, 'trail.db')}`], terminal, () => ({}))
  return { done, output, stop: () => stop.abort() }
}

/** Leaves records on a journal as a proxy that was killed does. */
function leave (root: string, records: TrailRecord[], open: TrailRecord[] = []): void {
  const journal = new Journal({ folder: join(root, 'trail.journal'), onFailure: 'block', sync: false, monotonic: () => 0, onWritten: () => {}, onStateChange: () => {} })
  for (const record of open) journal.record(record as never, () => {})
  for (const record of records) journal.close(record as never)
  journal.end()
  journal.release()
}

const make = entryMaker()
const sample = () => [
  answered(make({ path: '/v3/devices', query: 'limit=2' })),
  answered(make({ path: '/v3/devices/1', member: 'noa' }), { status: 404, error_type: 'not_found', error_message: 'No such device' }),
  answered(make({ path: '/v3/device-groups', method: 'POST' }), { status: 500, duration_ms: 12_345 })
]

test('lists what a proxy that was killed left behind, unfinished requests too', async t => {
  const root = makeRoot(t)
  leave(root, sample(), [make({ path: '/v3/lost' })])
  const { done, output } = run(root, 'list')
  t.equal(await done, 0)
  const lines = output.stdout.trimEnd().split('\n')
  t.match(lines[0], /^TIME +MEMBER +METHOD +PATH +STATUS +TIME TAKEN +ERROR OR OUTCOME +ID$/)
  t.match(lines.find(line => line.includes('/v3/lost')), /unfinished/)
  t.match(lines.find(line => line.includes('/v3/devices/1')), /noa +GET .* 404 .* not_found /)
  t.match(lines.find(line => line.includes('device-groups')), /POST .* 12\.3 s/)
  t.equal(lines.length, 5)
  t.equal(output.stderr, '')
})

test('filters by flags, and says so in JSON for programs', async t => {
  const root = makeRoot(t)
  const records = sample()
  leave(root, records)
  const cases: Array<[words: string[], expected: number[]]> = [
    [['--member', 'noa'], [1]],
    [['--status', '404'], [1]],
    [['--status', '4xx'], [1]],
    [['--status', 'error'], [1, 2]],
    [['--status', '404,200'], [0, 1]],
    [['--path', '/v3/devices'], [0]],
    [['--path', '/v3/devices*'], [0, 1]],
    [['--method', 'post'], [2]],
    [['--find', 'no such'], [1]],
    [['--filter', 'duration_ms__gte=1000', '--filter', 'attempts__eq=1'], [2]],
    [['--since', '1h'], [0, 1, 2]],
    [['--until', '2020'], []],
    [['--outcome', 'answered', '--limit', '2'], [1, 2]]
  ]
  for (const [words, expected] of cases) {
    const { done, output } = run(root, 'list', '--json', ...words)
    t.equal(await done, 0, words.join(' '))
    const page = JSON.parse(output.stdout) as { data: TrailItem[] }
    t.strictSame(page.data.map(item => records.findIndex(record => record.id === item.id)).sort(), expected, words.join(' '))
  }
})

test('wrong flags are wrong usage, each named', async t => {
  const root = makeRoot(t)
  for (const [words, message] of [
    [['list', '--status', 'many'], /--status many: Must be a whole number/],
    [['list', '--filter', 'colour__eq=1', '--limit', 'x'], /--filter colour__eq=1: No such parameter[^]*--limit x: Must be/],
    [['list', '--filter', 'nonsense'], /field__op=value/],
    [['list', '--since', 'yesterday'], /--since yesterday: Must be a date/],
    [['frobnicate'], /there is no "trail frobnicate"/]
  ] as const) {
    const { done, output } = run(root, ...words)
    t.equal(await done, 2)
    t.match(output.stderr, message)
  }
})

test('says where it looked when there is no trail yet', async t => {
  const root = makeRoot(t)
  const { done, output } = run(root, 'list')
  t.equal(await done, 1)
  t.match(output.stderr, /no trail at .*trail\.db yet.*PROXY_TRAIL/)
})

test('shows one request, by either id: what happened, why, and a text for support', async t => {
  const root = makeRoot(t)
  const records = sample()
  leave(root, records)
  for (const id of [records[1]?.id, records[1]?.upstream_request_id] as string[]) {
    const { done, output } = run(root, 'show', id)
    t.equal(await done, 0)
    t.match(output.stdout, /GET \/v3\/devices\/1\n {2}404, answered: not_found \(No such device\)\n[^]*noa asked for it[^]*likely: [^]*next: {3}[^]*For support, to be pasted:\n\n# Support bundle/)
  }
  const bundle = run(root, 'show', String(records[1]?.id), '--bundle', '--json')
  t.equal(await bundle.done, 0)
  t.match(JSON.parse(bundle.output.stdout), { object: 'support-bundle', requests: [{ proxy_request_id: records[1]?.id }] })
  const range = run(root, 'show', '--bundle', '--since', '1h', '--status', 'error')
  t.equal(await range.done, 0)
  t.match(range.output.stdout, /# Support bundle: 2 requests/)
  const unknown = run(root, 'show', '0'.repeat(32))
  t.equal(await unknown.done, 1)
  t.match(unknown.output.stderr, /no such request/)
  t.equal(await run(root, 'show').done, 2)
})

test('a bundle tells what the proxy ran with, not the command line, and nothing secret', async t => {
  const root = makeRoot(t)
  const flags = { '--api-host': 'https://api.example', '--drain-timeout': '3s', '--https-proxy': 'http://mia:secret@127.0.0.1:1', '--access-key-command': 'vault --token secret' }
  const { app, url } = await startTrailApp(t, { root, flags, routes: forwardRoute() })
  await fetch(`${url}/v3/devices`)
  await app.close()
  const { done, output } = run(root, 'show', '--bundle', '--path', '/v3/devices', '--drain-timeout', '5s')
  t.equal(await done, 0)
  for (const text of ['`PROXY_DRAIN_TIMEOUT=3s`', 'GET https://api.example/v3/devices`', '`IZUMA_HTTPS_PROXY=set (not shown)`', '`IZUMA_ACCESS_KEY_COMMAND=set (not shown)`']) t.ok(output.stdout.includes(text), text)
  t.notMatch(output.stdout, /secret|5s/)
})

test('exports everything, page by page, as NDJSON and as CSV that no spreadsheet runs', async t => {
  const root = makeRoot(t)
  const records = Array.from({ length: 2345 }, (_, i) => answered(make({ path: `/v3/devices/${i}`, client_agent: i === 7 ? '=cmd|"/c calc"!A1' : 'a,b\r\nc' })))
  leave(root, records)
  const ndjson = run(root, 'export')
  t.equal(await ndjson.done, 0)
  t.strictSame(ndjson.output.stdout.trimEnd().split('\n').map(line => (JSON.parse(line) as TrailItem).id), records.map(record => record.id))
  const csv = run(root, 'export', '--format', 'csv', '--limit', '10')
  t.equal(await csv.done, 0)
  t.match(csv.output.stdout, /^id,started_at,/)
  t.equal(csv.output.stdout.match(/^[0-9a-f]{32},/gm)?.length, 10)
  t.ok(csv.output.stdout.includes(',"\'=cmd|""/c calc""!A1",'))
  t.ok(csv.output.stdout.includes('"a,b\r\nc"'))
  t.equal(await run(root, 'export', '--format', 'xml').done, 2)
})

test('what a client wrote doesn\'t steer the terminal', async t => {
  const root = makeRoot(t)
  leave(root, [answered(make({ path: '/v3/\u001b]0;pwned\u0007\u202e' }))])
  const { done, output } = run(root, 'list')
  t.equal(await done, 0)
  t.ok(output.stdout.includes('/v3/\ufffd]0;pwned\ufffd\ufffd'))
})

test('while the proxy runs: a request is listed within 300 ms of its end, and a tail shows it', async t => {
  const proxy = await startTrailApp(t, { routes: forwardRoute() })
  await (await fetch(`${proxy.url}/v3/first`)).text()
  await until(async () => { const { done, output } = run(proxy.root, 'list'); return await done === 0 && output.stdout.includes('/v3/first') })
  const tail = run(proxy.root, 'tail', '--json')
  await (await fetch(`${proxy.url}/v3/second`)).text()
  await until(() => tail.output.stdout.includes('\n'))
  t.match(JSON.parse(tail.output.stdout.trim()), { path: '/v3/second', outcome: 'answered' })
  tail.stop()
  t.equal(await tail.done, 0)
  await proxy.app.close()
  const after = run(proxy.root, 'list')
  t.equal(await after.done, 0)
  t.ok(after.output.stdout.includes('/v3/second'))
  t.ok(fs.existsSync(join(proxy.root, 'trail.db')))
})
