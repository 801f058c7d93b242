import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { startRawApi } from '../support/api-server.ts'
import { targetCases } from '../support/attack-cases.ts'
import { startAttacked } from '../support/attacked-proxy.ts'
import { sendRaw } from '../support/guarded-app.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { acceptValue } from '../../src/upstream/upgrade.ts'
import { makeToken } from '../support/team-server.ts'

const handshake = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']
const upgrade = (target: string, ...headers: string[]) => [`GET ${target} HTTP/1.1`, 'Host: localhost', ...handshake, ...headers, '', ''].join('\r\n')

/** A proxy with a team, in which alice may use the devices and nothing else. */
async function startWithTeam (t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-upgrades-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const alice = makeToken()
  writeFileSync(join(folder, 'team.json'), JSON.stringify({ members: { alice: { tokens: [alice.entry], allow: ['/v3/devices/**'], deny: ['/v3/devices/*/logs/**'] } } }))
  const attacked = await startAttacked(t, { '--team-file': join(folder, 'team.json') })
  return { ...attacked, token: alice.token }
}

// A server hands upgrades to another handler than requests, and what checks the one is easily forgotten for the other (CVE-2026-15631:
// traversal on WebSockets; CVE-2026-44578: an upgrade that skips the checks of HTTP).
t.test('an upgrade skips no check: targets, hosts and headers', async t => {
  const attacked = await startAttacked(t)
  for (const { title, bytes } of targetCases.filter(({ verdict, bytes }) => verdict === 'out' && bytes.startsWith('GET '))) {
    const { status, closed, reached } = await attacked.attack(bytes.replace('Host: localhost', ['Host: localhost', ...handshake].join('\r\n')))
    t.ok(status >= 400 && status < 500, `${title}: ${status}`)
    t.ok(closed, `${title}: closes`)
    t.equal(reached.length, 0, title)
  }
  for (const [title, bytes, expected] of [
    ['a foreign Host', upgrade('/v3/devices').replace('localhost', 'evil.example'), 403],
    ['a foreign Origin', upgrade('/v3/devices', 'Origin: http://evil.example'), 403],
    ['no Origin, from another site', upgrade('/v3/devices', 'Sec-Fetch-Site: cross-site'), 403],
    ['two Hosts', upgrade('/v3/devices', 'Host: evil.example'), 400],
    ['two lists of subprotocols', upgrade('/v3/devices', 'Sec-WebSocket-Protocol: wss', 'Sec-WebSocket-Protocol: chat'), 400],
    ['two keys', upgrade('/v3/devices', 'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=='), 400],
    ['a length beside chunked', upgrade('/v3/devices', 'Content-Length: 5', 'Transfer-Encoding: chunked'), 400]
  ] as const) {
    const { status, reached } = await attacked.attack(bytes)
    t.equal(status, expected, title)
    t.equal(reached.length, 0, title)
  }
})

t.test('nor does it skip token and policy', async t => {
  const { attack, token, api } = await startWithTeam(t)
  const bearer = `Authorization: Bearer ${token}`
  const named = `Sec-WebSocket-Protocol: wss, pelion_${token}`
  for (const [title, bytes, expected] of [
    ['no token', upgrade('/v3/devices/1'), 401],
    ['a wrong token as subprotocol', upgrade('/v3/devices/1', `Sec-WebSocket-Protocol: pelion_${makeToken().token}`), 401],
    ['a right one beside a wrong Authorization', upgrade('/v3/devices/1', 'Authorization: Bearer x', named), 401],
    ['a right one in another case', upgrade('/v3/devices/1', named.replace('pelion_', 'PELION_')), 401],
    ['two tokens', upgrade('/v3/devices/1', `${named}, pelion_${token}`), 401],
    ['in the query', upgrade(`/v3/devices/1?token=${token}`), 400],
    ['in a cookie', upgrade('/v3/devices/1', `Cookie: pelion_${token}`), 401],
    ['what no rule allows', upgrade('/v3/accounts/me', bearer), 403],
    ['a rule that denies', upgrade('/v3/devices/1/logs/2', named), 403],
    ['the same, encoded', upgrade('/v3/devices/1/%6cogs/2', named), 403],
    ['the same, with two slashes and capitals', upgrade('/v3/devices//1/LOGS/2', named), 403],
    ['a remote shell', upgrade('/v3/devices/1/console', bearer), 403],
    ['a body, whose end the API would wait for', upgrade('/v3/devices/1/logs/2', bearer, 'Content-Length: 5') + 'hello', 403]
  ] as const) {
    const { status, reached } = await attack(bytes)
    t.equal(status, expected, title)
    t.equal(reached.length, 0, title)
  }
  const passed = await attack(upgrade('/v3/devices/1', named, 'X-HTTP-Method-Override: DELETE'))
  t.equal(passed.status, 200, 'what is allowed goes up, and the API says what comes of it')
  t.notOk(api.seen[0]?.rawHeaders.some(text => text.includes(token) || /override/i.test(text)), 'without the token, and without another method')
})

// A few hundred bytes that a peer unpacks into gigabytes (undici CVE-2026-22036, CVE-2026-1526; ws#2331): whoever doesn't unpack has no such problem.
t.test('decompression bomb: nothing is unpacked here', async t => {
  const bomb = deflateRawSync(Buffer.alloc(64 * 1024 * 1024))
  const api = await startRawApi(t, (socket, head) => {
    if (!/upgrade: websocket/i.test(head)) return socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: deflate\r\nContent-Length: ${bomb.length}\r\n\r\n`), bomb]))
    const key = /sec-websocket-key: (\S+)/i.exec(head)?.[1] ?? ''
    const extension = /sec-websocket-extensions/i.test(head) ? 'Sec-WebSocket-Extensions: permessage-deflate\r\n' : ''
    // A frame that claims to be compressed, though nobody agreed to it.
    const header = Buffer.from([0xc2, 127, 0, 0, 0, 0, 0, 0, 0, 0])
    header.writeBigUInt64BE(BigInt(bomb.length), 2)
    socket.write(Buffer.concat([Buffer.from(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${acceptValue(key)}\r\n${extension}\r\n`), header, bomb]))
  })
  const proxy = await startProxy(t, { api, accessKey: makeAccessKey() })
  const before = process.memoryUsage().rss
  const { text } = await sendRaw(proxy.port, 'GET /v3/devices HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: deflate\r\n\r\n')
  t.ok(text.endsWith(bomb.toString('latin1')), 'it comes down as it is')
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}/v3/devices/1`, { perMessageDeflate: true })
  const [, failure] = await Promise.all([once(socket, 'open'), new Promise<Error>(resolve => socket.once('error', resolve))])
  t.equal(socket.extensions, '', 'compression is not negotiated')
  t.match(failure.message, 'RSV1', 'so that the frame is the client\'s to refuse')
  t.ok(process.memoryUsage().rss - before < 48 * 1024 * 1024, 'and memory stays')
})
