import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import t from 'tap'
import { runCommandLine } from '../../src/cli/command-line.ts'
import type { Terminal } from '../../src/cli/command.ts'
import { describeAnswer, describeFailure, LineWatch, TailWatch } from '../../src/cli/get-failure.ts'
import { describeProgress, Progress } from '../../src/cli/get-progress.ts'
import { buildTarget } from '../../src/cli/get-target.ts'
import { makeAuthority } from '../support/certificates.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { cut } from '../support/json-texts.ts'
import { idOf, pagesById, startListingApi } from '../support/listing-api.ts'
import { startPagesProxy } from '../support/pages-proxy.ts'

/** Runs the command line in this process. */
async function run (words: string[], { stderrIsTerminal = false }: { stderrIsTerminal?: boolean } = {}) {
  const output = { stdout: '', stderr: '' }
  const collect = (name: keyof typeof output) => new Writable({ write (chunk, _encoding, done) { output[name] += String(chunk); done() } })
  const terminal: Terminal = {
    stdout: collect('stdout'),
    stderr: Object.assign(collect('stderr'), { isTTY: stderrIsTerminal }),
    environment: {},
    cwd: tmpdir(),
    interrupted: new AbortController().signal,
    onHangup: () => () => {},
    self: { execPath: process.execPath, script: '' },
    pid: process.pid,
    nodeVersion: process.version
  }
  const code = await runCommandLine(['get', ...words], terminal, () => ({}))
  return { code, ...output }
}

t.test('a path and its filters become the request\'s target', t => {
  const list = (filters: string[] = [], maxItems?: string) => ({ filters, maxItems, all: true })
  t.equal(buildTarget('/v3/devices?a=%2526', { filters: [], maxItems: undefined, all: false }), '/v3/devices?a=%2526')
  t.equal(buildTarget('/v3/devices', list(['state=registered', 'created_at__gte=2026-01-31T00:00:00+02:00'])), '/_proxy/pages/v3/devices?state__eq=registered&created_at__gte=2026-01-31T00%3A00%3A00%2B02%3A00')
  t.equal(buildTarget('/v3/devices?order=DESC', list(['custom_attributes__site=a&b', 'component_attributes__ble__gt=1'], '7')), '/_proxy/pages/v3/devices?order=DESC&filter=custom_attributes__site%3Da%2526b%26component_attributes__ble__gt%3D1&max_items=7')
  t.equal(buildTarget('/v3/devices?name__eq=é ü', list()), '/_proxy/pages/v3/devices?name__eq=%C3%A9%20%C3%BC')
  const wrong: Array<[string, ReturnType<typeof list>]> = [['v3/devices', list()], ['https://api.example/v3/devices', list()], ['/_proxy/trail', list()], ['/v3/devices', list(['state'])], ['/v3/devices', list(['=x'])], ['/v3/devices', list([], '0')], ['/v3/devices?filter=a', list(['custom_attributes__a=b'])]]
  for (const [path, options] of wrong) t.throws(() => buildTarget(path, options), Error, JSON.stringify([path, options]))
  t.end()
})

t.test('the last line is held back until it is known whether it is an error, in any pieces', t => {
  fc.assert(fc.property(fc.array(fc.string({ maxLength: 8 }).map(text => text.replaceAll('\n', ' ')), { maxLength: 6 }), fc.boolean(), fc.array(fc.nat(), { maxLength: 8 }), (items, fails, cuts) => {
    const text = items.map(item => JSON.stringify(item) + '\n').join('')
    const watch = new LineWatch()
    const written = cut(Buffer.from(fails ? text + '{"object":"error","code":500}\n' : text), cuts).flatMap(chunk => watch.push(chunk))
    const { rest, failure } = watch.end()
    return Buffer.concat([...written, rest]).toString() === text && (failure?.code === 500) === fails && watch.items === items.length
  }), fuzzRuns())
  const long = new LineWatch()
  const passed = Array.from({ length: 40 }, () => long.push(Buffer.alloc(10_000, 120))).flat()
  t.ok(Buffer.concat(passed).length > 300_000, 'a line longer than any error is not waited for')
  t.end()
})

t.test('a list that is one text tells of its failure at its end', t => {
  const read = (text: string) => {
    const watch = new TailWatch()
    for (const chunk of cut(Buffer.from(text), [1, 5, 40])) watch.push(chunk)
    return watch.end().failure
  }
  t.equal(read('{"object":"list","data":[{"object":"error"}],"has_more":false,"after":null}'), undefined)
  t.match(read('{"object":"list","data":[{"a":"],\\"has_more\\":"}],"has_more":true,"after":"x","error":{"object":"error","code":502,"type":"upstream_timeout","message":"m","request_id":"r"}}'), { code: 502, type: 'upstream_timeout', requestId: 'r' })
  t.equal(read('{"object":"list","data":[{"a":'), undefined)
  t.end()
})

t.test('failures are one line, whatever they hold', t => {
  t.equal(describeAnswer(404, '{"object":"error","code":404,"type":"not_found","message":"Not\\u001b[2J found.","request_id":"abc"}', 'def'), '404 not_found: Not [2J found.; request id abc (izuma-proxy trail show abc)')
  t.equal(describeAnswer(502, '<html>\nbad\n</html>', ''), '502: <html> bad </html>')
  t.equal(describeFailure({ code: undefined, type: '', message: 'm', requestId: '', after: 'x' }), 'm; go on with --after x')
  t.end()
})

t.test('progress is for those who look, and not for a screen that shows the items', t => {
  const show = (stdoutIsTerminal: boolean, stderrIsTerminal: boolean) => {
    let text = ''
    let now = 0
    const stderr = Object.assign(new Writable({ write (chunk, _encoding, done) { text += String(chunk); done() } }), { isTTY: stderrIsTerminal })
    const progress = new Progress({ stdout: Object.assign(new Writable(), { isTTY: stdoutIsTerminal }), stderr }, () => now)
    progress.show(1, 1)
    now = 1000
    progress.show(12_345, 3 * 1024 * 1024)
    now = 1001
    progress.show(12_346, 3 * 1024 * 1024)
    now = 2000
    progress.finish(12_346, 4 * 1024 * 1024)
    return text
  }
  t.equal(show(false, true), '\r12,345 items, 3.0 MiB in 1.0 s (12,345 items/s)' + '\r' + ' '.repeat(47) + '\r' + '12,346 items, 4.0 MiB in 2.0 s (6,173 items/s)\n')
  t.equal(show(true, true), '')
  t.equal(show(false, false), '')
  t.equal(describeProgress(undefined, 1024 * 1024, 0), '1.0 MiB in 0.0 s')
  t.end()
})

t.test('what is typed wrong exits 2', async t => {
  const cases: Array<[string[], RegExp]> = [
    [[], /one PATH/],
    [['/a', '/b'], /one PATH/],
    [['/v3/devices', '--format', 'json'], /add --all/],
    [['/v3/devices', '--all', '--format', 'csv'], /expected ndjson or json/],
    [['/v3/devices', '--max', 'ten'], /--max ten/],
    [['/v3/devices', '--filter', 'state'], /--filter state: expected field=value/],
    [['/v3/devices', '--url', 'proxy:8080'], /http:\/\/ or https:\/\//],
    [['/v3/devices', '--url', 'http://me:pw@localhost'], /no user or password/],
    [['/v3/devices', '--url', 'nowhere'], /expected a base URL/],
    [['/v3/devices', '--token-file', '/nonexistent'], /cannot be read \(ENOENT\)/],
    [['/v3/devices', '--listen', 'nowhere'], /--listen/],
    [['/v3/devices', '--al'], /did you mean --all/]
  ]
  for (const [words, message] of cases) {
    const { code, stderr } = await run(words)
    t.equal(code, 2, words.join(' '))
    t.match(stderr, message)
  }
})

t.test('one thing, a whole list, a part of it, as lines and as a list', async t => {
  const api = await startListingApi(t, asked => asked.path === '/v3/devices' ? pagesById(2345)(asked) : '{"id":"one"}')
  const { url } = await startPagesProxy(t, { api })
  t.strictSame(await run(['/v3/accounts/me', '--url', url]), { code: 0, stdout: '{"id":"one"}', stderr: '' })
  const all = await run(['/v3/devices', '--all', '--filter', 'state=registered', '--url', url + '/'], { stderrIsTerminal: true })
  t.equal(all.code, 0)
  t.match(all.stderr, /2,345 items, [0-9.]+ MiB in [0-9.]+ s \([0-9,]+ items\/s\)\n$/)
  t.strictSame(all.stdout.split('\n').slice(0, -1).map(line => (JSON.parse(line) as { id: string }).id), Array.from({ length: 2345 }, (_, index) => idOf(index)))
  t.ok(api.queries().slice(1).every(query => query.startsWith('state__eq=registered&limit=1000')))
  const list = await run(['/v3/devices', '--max', '3', '--format', 'json', '--after', idOf(9), '--listen', new URL(url).host])
  t.strictSame((JSON.parse(list.stdout) as { data: Array<{ id: string }> }).data.map(({ id }) => id), [idOf(10), idOf(11), idOf(12)])
  const advised = await run(['/v3/devices?limit=1', '--url', url])
  t.match(advised, { code: 0, stderr: /^izuma-proxy: note: limit takes whole numbers/ })
})

t.test('errors go to standard error and exit 1, also in the middle of a list', async t => {
  const byId = pagesById(10)
  const api = await startListingApi(t, asked => {
    if (asked.query.get('after') === null && asked.path === '/v3/devices') return byId(asked)
    asked.response.statusCode = 500
    return { object: 'error', code: 500, type: 'internal_error', message: 'Unexpected internal server error.', request_id: 'abc' }
  })
  const { url } = await startPagesProxy(t, { api })
  t.strictSame(await run(['/v3/users', '--url', url]), { code: 1, stdout: '', stderr: 'izuma-proxy: 500 internal_error: Unexpected internal server error.; request id abc (izuma-proxy trail show abc)\n' })
  const lines = await run(['/v3/devices?limit=4', '--all', '--url', url])
  t.equal(lines.code, 1)
  t.equal(lines.stdout.split('\n').length, 5, 'items only')
  t.match(lines.stderr, new RegExp(`^izuma-proxy: the list is incomplete: 500 internal_error: .*; request id [0-9a-f]{32} .*; go on with --after ${idOf(3)}\n$`))
  const list = await run(['/v3/devices?limit=4', '--all', '--format', 'json', '--url', url])
  t.match(list, { code: 1, stderr: /the list is incomplete: 500 internal_error/ })
  t.equal((JSON.parse(list.stdout) as { data: unknown[] }).data.length, 4)
})

t.test('where nobody listens, it says what to do', async t => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  t.match(await run(['/v3/devices', '--listen', `127.0.0.1:${port}`]), { code: 1, stderr: /no proxy listens there: start one with izuma-proxy start/ })
})

t.test('the token goes to the listener whose certificate the settings name, and to no other', async t => {
  const api = await startListingApi(t, pagesById(2))
  const authority = makeAuthority('of the listener')
  const folder = mkdtempSync(join(tmpdir(), 'izuma-get-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const save = (name: string, text: string) => { writeFileSync(join(folder, name), text, { mode: 0o600 }); return join(folder, name) }
  const issued = authority.issue({ commonName: 'proxy.example', altNames: ['proxy.example'] })
  const own = save('own.pem', issued.cert)
  const other = save('other.pem', authority.issue({ commonName: 'proxy.example', altNames: ['proxy.example'] }).cert)
  const key = save('key.pem', issued.key)
  const proxy = await startPagesProxy(t, { api, flags: { '--tls-cert-file': own, '--tls-key-file': key } })
  const words = (certificate: string) => ['/v3/devices', '--all', '--listen', `127.0.0.1:${proxy.port}`, '--tls-cert-file', certificate, '--tls-key-file', key]
  t.match(await run(words(own)), { code: 0, stdout: new RegExp(idOf(1)) })
  t.match(await run(words(other)), { code: 1, stdout: '', stderr: /certificate/ })
})

t.test('a reader that has had enough ends it without a complaint', async t => {
  const api = await startListingApi(t, pagesById(100_000))
  const { url, trail } = await startPagesProxy(t, { api })
  const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
  const shell = spawn('sh', ['-c', '"$0" "$1" get /v3/devices --all --url "$2" | head -n 2; wait', process.execPath, main, url], { stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  let stderr = ''
  shell.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString() })
  shell.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString() })
  const [code] = await once(shell, 'close') as [number]
  t.equal(code, 0)
  t.equal(stdout.split('\n').length, 3)
  t.equal(stderr, '')
  await trail(rows => rows.some(({ path, outcome }) => path.startsWith('/_proxy/pages/') && outcome === 'client_aborted'))
  t.ok(api.seen.length < 100, 'and the API is left alone')
})
