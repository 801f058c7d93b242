import { chmodSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test, type Test } from 'tap'
import { runCommandLine } from '../../src/cli/command-line.ts'
import type { Terminal } from '../../src/cli/command.ts'
import { digestToken, tokenShape } from '../../src/team/token.ts'

interface Run { code: number, out: string, err: string }

/** The command line in a folder of its own: `team('add', 'alice')`. */
function openFolder (t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'team-command-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const file = join(folder, 'team.json')
  async function team (...words: string[]): Promise<Run> {
    const written = { out: '', err: '' }
    const write = (to: 'out' | 'err') => new Writable({ write (chunk, _encoding, done) { written[to] += String(chunk); done() } })
    const terminal = { stdout: write('out'), stderr: write('err'), environment: { PROXY_TEAM_FILE: file }, cwd: folder, interrupted: new AbortController().signal, onHangup: () => () => {} } as unknown as Terminal
    const code = await runCommandLine(['team', ...words], terminal, () => ({}))
    return { code, ...written }
  }
  return { folder, file, team, read: () => JSON.parse(readFileSync(file, 'utf8')) as { members: Record<string, { tokens?: Array<{ sha256: string, created?: string, expires?: string, note?: string }>, [name: string]: unknown }> } }
}

test('add makes the file, for its owner alone, and prints the token alone and once', async t => {
  const { file, team, read } = openFolder(t)
  const { code, out, err } = await team('add', 'alice', '--role', 'admin', '--note', 'laptop')
  t.equal(code, 0)
  t.match(out.trim(), tokenShape)
  t.match(err, /^The token of alice, shown this once\. It goes where the access key would/)
  t.notMatch(err, out.trim())
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.match(read(), { members: { alice: { role: 'admin', tokens: [{ sha256: digestToken(out.trim()), created: /Z$/, note: 'laptop' }] } } })
  t.notMatch(readFileSync(file, 'utf8'), out.trim())
})

test('add takes policy and limits, and says in one message what is wrong with them, leaving the file as it was', async t => {
  const { file, team, read } = openFolder(t)
  const added = await team('add', 'dash', '--preset', 'read-only', '--preset', 'no-delete', '--allow', 'GET /v3/devices/**', '--deny', '/v3/devices/7', '--device', '0161*', '--mode', 'report',
    '--rate', '20/s', '--burst', '200', '--concurrency', '64', '--daily', '100000', '--long-polls', '2', '--web-sockets', 'none', '--expires', '30d', '--json')
  t.equal(added.code, 0, added.err)
  const { token, ...shown } = JSON.parse(added.out) as { token: string, expires: string }
  t.match(shown, { object: 'member', name: 'dash', team_file: file })
  t.ok(Math.abs(Date.parse(shown.expires) - Date.now() - 30 * 86_400_000) < 5000)
  const { tokens, ...rest } = read().members['dash'] ?? {}
  t.same(rest, { mode: 'report', presets: ['read-only', 'no-delete'], allow: ['GET /v3/devices/**'], deny: ['/v3/devices/7'], devices: ['0161*'], rate: '20/s', burst: 200, concurrency: 64, daily: 100_000, longPolls: 2, webSockets: null })
  t.match(tokens, [{ sha256: digestToken(token), expires: shown.expires }])

  const before = readFileSync(file, 'utf8')
  const wrong = await team('add', 'bob', '--preset', 'readonly', '--allow', 'v3', '--rate', 'fast')
  t.equal(wrong.code, 2)
  t.match(wrong.err, /members\.bob\.presets\[0\].*did you mean read-only\?\n.*members\.bob\.rate: expected a rate such as 20\/s/s)
  t.equal(readFileSync(file, 'utf8'), before)
  t.notOk(existsSync(file + '.draft'))
})

test('what makes no sense is wrong usage', async t => {
  const { team } = openFolder(t)
  await team('add', 'alice')
  for (const [words, message] of [
    [[], /say add, list, rotate, revoke or test/],
    [['ad', 'bob'], /say add, list/],
    [['add'], /this takes NAME/],
    [['add', 'bob', 'carol'], /this takes NAME/],
    [['add', 'bob', '--grace', '1h'], /--grace has no meaning here/],
    [['list', 'alice'], /this takes no arguments/],
    [['rotate', 'alice', '--grace', 'soon'], /--grace soon: expected a duration/],
    [['add', 'bob', '--expires', '2020-01-01'], /expected a time to come/],
    [['add', 'bob', '--daily', 'many'], /--daily many: expected a whole number, or none/],
    [['test', 'alice', 'GET', '/v3/../x'], /never reaches the policy/],
    [['add', 'bob', '--presets', 'read-only'], /--preset\b/]
  ] as Array<[string[], RegExp]>) {
    const { code, err } = await team(...words)
    t.equal(code, 2, words.join(' '))
    t.match(err, message)
  }
  for (const words of [['rotate', 'nobody'], ['revoke', 'nobody'], ['add', 'alice']]) {
    const { code, err } = await team(...words)
    t.equal(code, 1, words.join(' '))
    t.match(err, /there is no member nobody|alice is a member already/)
  }
})

test('rotate lets the old token live for the grace period, or not at all, and gives the new one the same lifetime', async t => {
  const { team, read } = openFolder(t)
  const first = (await team('add', 'alice', '--expires', '30d')).out.trim()
  const rotated = await team('rotate', 'alice', '--grace', '2h')
  t.match(rotated.err, /The old token works until .* at the latest/)
  const [old, fresh] = read().members['alice']?.tokens ?? []
  t.equal(old?.sha256, digestToken(first))
  t.ok(Math.abs(Date.parse(old?.expires ?? '') - Date.now() - 2 * 3_600_000) < 5000)
  t.equal(fresh?.sha256, digestToken(rotated.out.trim()))
  t.ok(Math.abs(Date.parse(fresh?.expires ?? '') - Date.now() - 30 * 86_400_000) < 5000)

  const leaked = await team('rotate', 'alice', '--grace', '0s', '--expires', 'never')
  t.match(leaked.err, /The old token no longer works/)
  const only = read().members['alice']?.tokens
  t.same(only?.map(({ sha256, expires }) => [sha256, expires]), [[digestToken(leaked.out.trim()), undefined]])
})

test('revoke takes the member out', async t => {
  const { team, read } = openFolder(t)
  await team('add', 'alice')
  await team('add', 'bob', '--certificate')
  t.same(read().members['bob'], {}, 'known by certificate, without a token')
  const { code, out } = await team('revoke', 'alice')
  t.equal(code, 0)
  t.match(out, /alice is no longer a member/)
  t.same(Object.keys(read().members), ['bob'])
})

test('list shows everybody, and no digest', async t => {
  const { team } = openFolder(t)
  t.equal((await team('list')).code, 2, 'there is no file yet')
  await team('add', 'alice', '--role', 'admin')
  await team('add', 'dash', '--preset', 'read-only', '--allow', 'GET /v3/devices/**', '--rate', '20/s', '--daily', '1000', '--expires', '2099-12-31')
  const { out } = await team('list')
  t.equal(out, [
    'NAME   ROLE    TOKENS                             POLICY                LIMITS',
    'alice  admin   1                                  default               none',
    'dash   member  1, next ends 2099-12-31T00:00:00Z  read-only, 1 allowed  20/s, 1000 a day',
    ''
  ].join('\n'))
  const json = (await team('list', '--json')).out
  t.match(JSON.parse(json), { object: 'list', data: [{ name: 'alice', role: 'admin', tokens: 1 }, { name: 'dash', next_expiry: '2099-12-31T00:00:00Z', presets: ['read-only'] }] })
  t.notMatch(json, /[0-9a-f]{64}/)
})

test('test says what would happen, by which rule, and exits 1 when it is denied', async t => {
  const { team } = openFolder(t)
  await team('add', 'dash', '--preset', 'read-only', '--deny', 'GET /v3/devices/7')
  await team('add', 'trial', '--mode', 'report', '--preset', 'read-only')
  t.match(await team('test', 'dash', 'get', '/v3/devices/x?limit=2'), { code: 0, out: 'dash GET /v3/devices/x: allowed\n' })
  t.match(await team('test', 'dash', 'GET', '/v3//devices/%37'), { code: 1, out: 'dash GET /v3/devices/7: denied by: GET /v3/devices/7\n' })
  t.match(await team('test', 'dash', 'GET', '/v3/devices/1/console'), { code: 1, out: /denied by: no-remote-shell/ })
  t.match(await team('test', 'trial', 'DELETE', '/v3/devices/x'), { code: 0, out: 'trial DELETE /v3/devices/x: allowed, being in report mode; enforced, it would be denied by: read-only\n' })
  const { out } = await team('test', 'dash', 'PUT', '/v3/devices/x', '--json')
  t.same(JSON.parse(out), { object: 'decision', member: 'dash', method: 'PUT', path: '/v3/devices/x', allowed: false, decision: 'deny read-only', rule: 'read-only' })
  t.match(await team('test', 'nobody', 'GET', '/'), { code: 1, err: /there is no member nobody/ })
})

test('an edit leaves the rest of a hand-written file as it stands: order, indentation, line ends, mode, link', async t => {
  const { folder, file, team } = openFolder(t)
  const target = join(folder, 'elsewhere.json')
  const written = '{\r\n    "$schema": "./team.schema.json",\r\n    "members": {\r\n        "zoe": {\r\n            "presets": ["read-only", "no-delete"],\r\n            "tokens": []\r\n        }\r\n    },\r\n    "defaults": {\r\n        "rate": "5/s"\r\n    }\r\n}\r\n'
  writeFileSync(target, written)
  chmodSync(target, 0o640)
  symlinkSync('elsewhere.json', file)
  t.equal((await team('add', 'amy', '--certificate')).code, 0)
  t.equal(readFileSync(target, 'utf8'), written.replace('        }\r\n    },', '        },\r\n        "amy": {}\r\n    },'))
  t.equal(statSync(target).mode & 0o777, 0o640)
  t.ok(lstatSync(file).isSymbolicLink())
})

test('of two edits at once the second is told to wait; a draft left by a crash is cleared away', async t => {
  const { file, team } = openFolder(t)
  await team('add', 'alice')
  writeFileSync(file + '.draft', '')
  t.match(await team('add', 'bob'), { code: 1, err: /somebody else is changing .* right now/ })
  const old = new Date(Date.now() - 60_000)
  utimesSync(file + '.draft', old, old)
  t.equal((await team('add', 'bob')).code, 0)
  const names = Array.from({ length: 5 }, (_, index) => `many-${index}`)
  const codes = await Promise.all(names.map(async name => (await team('add', name)).code))
  const listed = JSON.parse((await team('list', '--json')).out) as { data: Array<{ name: string }> }
  t.same(listed.data.map(({ name }) => name), ['alice', 'bob', ...names.filter((_, index) => codes[index] === 0)], 'none that was reported done got lost')
})

test('a wrong file is explained and left alone', async t => {
  const { file, team } = openFolder(t)
  writeFileSync(file, '{"members":{"alice":{"rol":"admin"}}}')
  const { code, err } = await team('add', 'bob')
  t.equal(code, 2)
  t.match(err, /members\.alice\.rol: no such property; did you mean role\?/)
  t.equal(readFileSync(file, 'utf8'), '{"members":{"alice":{"rol":"admin"}}}')
})
