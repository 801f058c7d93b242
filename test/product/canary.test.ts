import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { startSandbox, type Sandbox } from '../../src/sandbox/index.ts'
import { ask } from '../support/client.ts'
import { findWindows } from '../support/leaks.ts'
import { runCommand, startProcess, type ProxyProcess } from '../support/process.ts'
import { waitFor } from '../support/wait-for.ts'

// The whole product with a key nobody else has: driven through success, failure and trace logging, then everything it
// produced is searched for the key and for a member's token, in any writing.

/** What a client, a terminal, a disk or a neighbour on the machine could see, by where. */
type Seen = Map<string, string>

async function startCanary (t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-canary-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const sandbox = await startSandbox({ devices: 50, echoUnknown: true })
  t.teardown(() => sandbox.close())
  const keyFolder = mkdtempSync(join(tmpdir(), 'izuma-proxy-canary-key-'))
  t.teardown(() => rmSync(keyFolder, { recursive: true, force: true }))
  writeFileSync(join(keyFolder, 'key'), sandbox.accessKey, { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem)
  const added = await runCommand(['team', 'add', 'alice', '--team-file', join(folder, 'team.json'), '--role', 'admin', '--allow', '/**', '--json'], { cwd: folder })
  const { token } = JSON.parse(added.stdout) as { token: string }
  const words = ['--listen', '127.0.0.1:0', '--api-host', sandbox.origin, '--ca-file', join(folder, 'ca.pem'), '--access-key-file', join(keyFolder, 'key'), '--team-file', join(folder, 'team.json'), '--trail', `sqlite:${join(folder, 'trail.db')}`, '--log-level', 'trace', '--upstream-headers-timeout', '2s']
  const proxy = await startProcess(t, words, { cwd: folder })
  return { folder, sandbox, token, words, proxy }
}

async function drive ({ sandbox, token, proxy }: { sandbox: Sandbox, token: string, proxy: ProxyProcess }, seen: Seen): Promise<void> {
  const { accessKey } = sandbox
  const headers = { Authorization: `Bearer ${token}` }
  const note = async (what: string, path: string, options: Parameters<typeof ask>[2] = {}) => {
    const answer = await ask(proxy.url, path, { headers, ...options }).catch((error: Error) => ({ rawHeaders: [], text: String(error.stack) }))
    seen.set(what, JSON.stringify(answer.rawHeaders) + answer.text)
  }
  await note('a list', '/v3/devices?limit=5')
  await note('not found', '/v3/devices/nonsense')
  await note('without a token', '/v3/devices', { headers: {} })
  await note('the key as a token', '/v3/devices', { headers: { Authorization: `Bearer ${accessKey}` } })
  await note('the key in the query', `/v3/devices?apiKey=${accessKey}&limit=2`)
  await note('the key in the query, encoded', `/v3/devices?${encodeURIComponent(accessKey)}`)
  await note('the key in the path', `/v3/devices/${accessKey}`)
  await note('the key in headers', '/v3/devices', { headers: { ...headers, Referer: `http://localhost/?apiKey=${accessKey}`, 'User-Agent': accessKey, 'X-Debug': accessKey, Cookie: `cloudKey=${accessKey}` } })
  await note('the key in a body', '/v3/echo/me', { method: 'POST', headers: { ...headers, 'Content-Type': 'text/plain' }, body: 'harmless' })
  for (const fault of ['echo-request', 'reset', 'garbage', 'two-content-lengths', 'bad-status', 'truncate'] as const) {
    sandbox.misbehave({ path: `/v3/faulty/${fault}`, fault })
    await note(`fault ${fault}`, `/v3/faulty/${fault}`)
  }
  await note('own pages', '/_proxy/status')
  await note('metrics', '/_proxy/metrics')
  await driveWebSockets(proxy, token, accessKey, seen)
  await waitFor('the trail', async () => (await ask(proxy.url, '/_proxy/trail?limit=100', { headers })).text, text => text.includes('/v3/faulty/truncate'))
  await note('the trail', '/_proxy/trail?limit=1000')
  sandbox.revokeAccessKey(accessKey)
  await note('a key that is revoked', '/v3/devices')
  seen.set('what reached the API', sandbox.received.map(({ method, url, rawHeaders }) => [method, url, ...rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() !== 'authorization')].join('\n')).join('\n'))
}

async function driveWebSockets (proxy: ProxyProcess, token: string, accessKey: string, seen: Seen): Promise<void> {
  for (const [what, path, protocols] of [
    ['a shell', '/v3/devices/1/console', ['wss', `pelion_${token}`]],
    ['the channel', '/v2/notification/websocket-connect', [`pelion_${token}`, 'wss']],
    ['a shell with the key', '/v3/devices/1/console', ['wss', `pelion_${accessKey}`]]
  ] as const) {
    const socket = new WebSocket(proxy.url.replace('http', 'ws') + path, [...protocols])
    socket.on('message', (data: Buffer) => seen.set(`${what}: frames`, data.toString('utf8')))
    socket.on('unexpected-response', (_request, response) => { seen.set(`${what}: refusal`, JSON.stringify(response.rawHeaders)); socket.terminate() })
    socket.on('error', () => {})
    const opened = await new Promise<boolean>(resolve => socket.once('open', () => resolve(true)).once('close', () => resolve(false)))
    if (opened) {
      seen.set(`${what}: protocol`, socket.protocol)
      socket.send('hello')
      setTimeout(() => socket.close(1000, 'bye'), 200)
      seen.set(`${what}: close`, String(await once(socket, 'close')))
    }
  }
}

function readFolder (folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => join(folder, name)).filter(file => statSync(file).isFile()).map(file => file + '\n' + readFileSync(file, 'latin1')).join('\n')
}

t.test('the access key and the member token are nowhere but where they belong', async t => {
  const canary = await startCanary(t)
  const { folder, proxy, sandbox, token, words } = canary
  const seen: Seen = new Map()
  await drive(canary, seen)
  seen.set('the process list', readFileSync(`/proc/${proxy.pid}/cmdline`, 'latin1'))
  seen.set('its environment', readFileSync(`/proc/${proxy.pid}/environ`, 'latin1'))
  t.equal(await proxy.stop(), 0)
  seen.set('standard output and error', proxy.output())
  const settings = words.filter((_, index) => ['--team-file', '--trail', '--access-key-file', '--api-host', '--ca-file'].includes(words[index] ?? '') || ['--team-file', '--trail', '--access-key-file', '--api-host', '--ca-file'].includes(words[index - 1] ?? ''))
  for (const command of [['trail', 'list', '--json'], ['check', '--json'], ['team', 'list', '--json']]) {
    const wanted = command[0] === 'team' ? settings.slice(settings.indexOf('--team-file'), settings.indexOf('--team-file') + 2) : settings
    const { stdout, stderr } = await runCommand([...command, ...wanted], { cwd: folder })
    seen.set(command.join(' '), stdout + stderr)
  }
  seen.set('files', readFolder(folder))
  t.ok(seen.size > 25, `${seen.size} places were searched`)
  for (const [where, text] of seen) {
    t.ok(text.length > 0, `${where}: something to search`)
    t.same(findWindows(text, sandbox.accessKey.slice(-32)), [], `${where}: no part of the key`)
    t.same(findWindows(text, token.slice(4)), [], `${where}: no part of the token`)
  }
})

t.test('the search finds a key that was planted', async t => {
  const secret = 'S3cr3tS3cr3tPl4nt3dPl4nt3dPl4nt3'
  for (const text of [`x${secret}x`, Buffer.from(`..${secret}`).toString('base64'), encodeURIComponent(`/${secret}`), secret.slice(5, 25)]) t.not(findWindows(text, secret).length, 0)
})
