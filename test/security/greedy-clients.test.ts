import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { startAttacked } from '../support/attacked-proxy.ts'
import { ask } from '../support/client.ts'
import { startAlone } from '../support/lone-proxy.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { waitFor } from '../support/wait-for.ts'

const host = '127.0.0.1'

function openMany (t: Test, port: number, count: number, text = ''): Socket[] {
  const sockets = Array.from({ length: count }, () => connect({ port, host }, function (this: Socket) { if (text !== '') this.write(text) }).on('error', () => {}))
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  return sockets
}

async function allClosed (sockets: Socket[]): Promise<void> {
  for (const socket of sockets) if (!socket.closed) await new Promise(resolve => socket.resume().once('close', resolve))
}

// Each connection costs the attacker nothing, and a server that waits for it a place (Slowloris; Node CVE-2018-12122).
t.test('slow headers, and connections that say nothing: cut off in time, and nobody else notices', async t => {
  const { proxy } = await startAttacked(t, { '--client-headers-timeout': '500ms' })
  const slow = [...openMany(t, proxy.port, 150), ...openMany(t, proxy.port, 150, 'GET /v3/devices HTTP/1.1\r\nHost: localhost\r\nX: ')]
  const drip = setInterval(() => { for (const socket of slow) if (!socket.destroyed && socket.bytesWritten > 0) socket.write('y') }, 50)
  t.teardown(() => clearInterval(drip))
  const statuses = []
  for (let i = 0; i < 50; i++) statuses.push((await ask(proxy.url, '/v3/devices')).status)
  t.ok(statuses.every(status => status === 200))
  await allClosed(slow)
})

// One slow upload holds a connection to the API as long as it lasts; as many as there are connections would take them all (R-U-Dead-Yet).
t.test('slow uploads leave connections to the API for everybody else', async t => {
  const api = await startApi(t, (request, response) => { request.resume().once('end', () => { response.end('{}') }) })
  const proxy = await startProxy(t, { api, accessKey: makeAccessKey(), flags: { '--upstream-connections': '8' } })
  const slow = openMany(t, proxy.port, 60, 'POST /v3/devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nslow')
  for (const socket of slow) if (socket.connecting) await new Promise(resolve => socket.once('connect', resolve))
  for (let i = 0; i < 20; i++) t.equal((await ask(proxy.url, '/v3/devices')).status, 200)
  t.notOk(slow.some(socket => socket.destroyed), 'while the slow ones are all still there')
})

// With no descriptor left accept fails, and so would the journal's next file and the connection to the API: more clients than there
// is room for are turned away before that.
t.test('more connections than descriptors: no exit, others are served, the trail is written, and it is over when they leave', async t => {
  const api = await startApi(t, (_request, response) => { response.end('{}') })
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-descriptors-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const proxy = await startAlone({ folder, origin: api.origin, ca: api.ca, through: ['/bin/sh', '-c', 'ulimit -n 256 && exec "$@"', 'sh'] })
  t.teardown(() => proxy.stop())
  let ended = false
  proxy.exited.then(() => { ended = true })
  const url = `http://127.0.0.1:${proxy.port}`
  t.equal((await ask(url, '/v3/before')).status, 200)
  const greedy = openMany(t, proxy.port, 600)
  await waitFor('connections that are turned away', () => greedy.filter(socket => socket.destroyed).length, count => count > 300)
  t.ok(greedy.some(socket => !socket.destroyed), 'some are held')
  for (const socket of greedy) socket.destroy()
  const start = performance.now()
  await waitFor('service', () => ask(url, '/v3/after').then(({ status }) => status, () => 0), status => status === 200)
  t.ok(performance.now() - start < 2000, 'served again within two seconds')
  t.notOk(ended)
  const rows = await waitFor('the trail', () => readPaths(join(folder, 'trail.db')), paths => paths.includes('/v3/after'))
  t.ok(rows.includes('/v3/before'))
})

function readPaths (file: string): string[] {
  if (!existsSync(file)) return []
  const store = new DatabaseSync(file, { readOnly: true })
  try {
    return store.prepare('SELECT path FROM trail').all().map(row => String(row['path']))
  } catch {
    // The table is still being made.
    return []
  } finally {
    store.close()
  }
}
