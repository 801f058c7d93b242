import { once } from 'node:events'
import { get } from 'node:http'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import { startSandbox, type Sandbox } from '../../src/sandbox/index.ts'
import { ask } from './client.ts'
import { findWindows } from './leaks.ts'
import { startCollector } from './otlp-collector.ts'
import { runCommand, startProcess, type ProxyProcess } from './process.ts'
import { waitFor } from './wait-for.ts'

// The whole product with a key nobody else has: driven through success, failure and trace logging, then everything it
// produced is searched for the key and for a member's token, in any writing.

/** What a client, a terminal, a disk or a neighbour on the machine could see, by where. */
export type Seen = Map<string, string>

interface CanaryOptions {
  /** Where the key comes from, given the file that holds it. */
  keyFlags? (file: string, folder: string): string[]
  trail?: string
}

export async function startCanary (t: Test, { keyFlags = file => ['--access-key-file', file], trail }: CanaryOptions = {}) {
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
  const collector = await startCollector(t)
  const words = ['--listen', '127.0.0.1:0', '--otlp-endpoint', collector.endpoint, '--api-host', sandbox.origin, '--ca-file', join(folder, 'ca.pem'), ...keyFlags(join(keyFolder, 'key'), folder), '--team-file', join(folder, 'team.json'), '--trail', trail ?? `sqlite:${join(folder, 'trail.db')}`, '--log-level', 'trace', '--upstream-headers-timeout', '2s']
  // Somebody who looks for the cause of a crash has Node.js write what it knows of the process.
  const proxy = await startProcess(t, words, { cwd: folder, environment: { NODE_OPTIONS: `--report-on-signal --report-directory=${folder}` } })
  return { folder, sandbox, token, words, proxy, collector }
}

export type Canary = Awaited<ReturnType<typeof startCanary>>
type Note = (what: string, path: string, options?: Parameters<typeof ask>[2]) => Promise<void>

export async function drive (t: Test, { sandbox, token, proxy }: Canary, seen: Seen): Promise<void> {
  const { accessKey } = sandbox
  const headers = { Authorization: `Bearer ${token}` }
  const note: Note = async (what, path, options = {}) => {
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
  await misplaceToken(note, token, headers)
  await note('own pages', '/_proxy/status')
  for (const path of ['/_proxy/status?settings=true', '/_proxy/members', '/_proxy/console/', '/_proxy/session', '/_proxy/nothing', '/_proxy/pages/v3/devices', '/_proxy/pages/v3/faulty/echo-request']) await note(path, path)
  await driveChannel(t, sandbox, proxy, headers, seen)
  await note('metrics', '/_proxy/metrics')
  await driveWebSockets(proxy, token, accessKey, seen)
  await waitFor('the trail', async () => (await ask(proxy.url, '/_proxy/trail?limit=100', { headers })).text, text => text.includes('/v3/faulty/truncate'))
  await note('the trail', '/_proxy/trail?limit=1000')
  for (const path of ['/_proxy/trail/bundle?limit=100', '/_proxy/trail/bundle?format=markdown&order=DESC', '/_proxy/trail/series']) await note(path, path)
  sandbox.revokeAccessKey(accessKey)
  await note('a key that is revoked', '/v3/devices')
  seen.set('what reached the API', sandbox.received.map(({ method, url, rawHeaders }) => [method, url, ...rawHeaders.filter((_, index) => rawHeaders[index - 1]?.toLowerCase() !== 'authorization')].join('\n')).join('\n'))
}

/** A member's token where a key would have been put by mistake. */
async function misplaceToken (note: Note, token: string, headers: Record<string, string>): Promise<void> {
  await note('the token in the query', `/v3/devices?access_token=${token}`)
  await note('the token in the query, encoded', `/v3/devices?filter=${encodeURIComponent(`a=${encodeURIComponent('%69zp_' + token.slice(4))}`)}`)
  await note('the token in the path', `/v3/devices/${token}`)
  await note('the token in an own path', `/_proxy/trail/${token}?q=${token}`)
  await note('the token in headers', '/v3/devices', { headers: { ...headers, Referer: `http://localhost/?t=${token}`, 'User-Agent': token, 'X-Debug': token, Cookie: `t=${token}`, 'X-Api-Key': token } })
  await note('the token in another scheme', '/v3/devices', { headers: { Authorization: `Basic ${Buffer.from(`alice:${token}`).toString('base64')}` } })
  await note('the token twice', '/v3/devices', { headers: { Authorization: `Bearer ${token}, Bearer ${token}` } })
  await note('the token for a session', '/_proxy/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ token }) })
  await note('the token in a body that is none', '/_proxy/session', { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: `{"token":"${token}"` })
}

/** An API that says the key on the channel: in events, and when it closes it. */
async function driveChannel (t: Test, sandbox: Sandbox, proxy: ProxyProcess, headers: Record<string, string>, seen: Seen): Promise<void> {
  const say = (text: string) => sandbox.notify({ kind: 'notifications', item: { ep: '0'.repeat(32), path: '/3303/0/5700', ct: 'text/plain', payload: Buffer.from(text).toString('base64'), 'max-age': 0 } })
  const socket = new WebSocket(proxy.url.replace('http', 'ws') + '/v2/notification/websocket-connect', ['wss'], { headers })
  const events = get(proxy.url + '/_proxy/notifications', { headers, agent: false })
  t.teardown(() => { socket.terminate(); events.destroy() })
  const heard = { 'frames of the channel': '', 'an event stream': '' }
  socket.on('message', (data: Buffer) => { heard['frames of the channel'] += data.toString() })
  events.on('response', response => response.on('data', (chunk: Buffer) => { heard['an event stream'] += chunk.toString() }).on('error', () => {})).on('error', () => {})
  await once(socket, 'open')
  await waitFor('the channel', () => sandbox.channel()?.connected, connected => connected === true)
  for (const text of [`key ${sandbox.accessKey}`, `pelion_${sandbox.accessKey}`, 'the last one']) say(text)
  const last = Buffer.from('the last one').toString('base64')
  await waitFor('the events', () => heard, ({ 'frames of the channel': frames, 'an event stream': stream }) => frames.includes(last) && stream.includes(last))
  for (const [where, text] of Object.entries(heard)) seen.set(where, text)
  sandbox.closeWebSockets(4000, sandbox.accessKey)
  const closed = once(socket, 'close')
  socket.close(1000, 'bye')
  seen.set('the end of the channel', String(await closed))
  events.destroy()
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

export function readFolder (folder: string): string {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name => join(folder, name)).filter(file => statSync(file).isFile()).map(file => file + '\n' + readFileSync(file, 'latin1')).join('\n')
}

export function search (t: Test, seen: Seen, { sandbox, token }: Canary): void {
  for (const [where, text] of seen) {
    t.ok(text.length > 0, `${where}: something to search`)
    t.same(findWindows(text, sandbox.accessKey.slice(-32)), [], `${where}: no part of the key`)
    t.same(findWindows(text, token.slice(4)), [], `${where}: no part of the token`)
  }
}
