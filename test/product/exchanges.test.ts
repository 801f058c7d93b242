import { createHash } from 'node:crypto'
import t from 'tap'
import { startApi, startRawApi } from '../support/api-server.ts'
import { sendRaw } from '../support/client.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { openPeer } from '../support/sockets.ts'

// HTTP/1 as clients really speak it, byte by byte on the wire. Much of it makes @fastify/http-proxy on its defaults answer 500.

const accessKey = makeAccessKey()

/** An API that says in its body what it got. */
const mirror = (t: Parameters<typeof startApi>[0]) => startApi(t, async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  response.setHeader('Content-Type', 'application/json')
  response.end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, trailers: request.trailers, body: Buffer.concat(chunks).toString('latin1') }))
})

interface Mirrored { method: string, url: string, headers: Record<string, string>, trailers: Record<string, string>, body: string }

/** The mirror's words in each answer of a connection, in order. */
const mirrored = (text: string) => [...text.matchAll(/\{"method".*?\}(?=HTTP\/1\.|\r\n|$)/gs)].map(([json]) => JSON.parse(json) as Mirrored)

t.test('Expect: 100-continue is answered here; the API gets the body, and no Expect', async t => {
  const api = await mirror(t)
  const proxy = await startProxy(t, { api, accessKey })
  const peer = await openPeer({ port: proxy.port, host: '127.0.0.1' }, 'POST /v3/device-groups HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 13\r\nConnection: close\r\n\r\n')
  t.match(await peer.until(/\r\n\r\n/), /^HTTP\/1\.1 100 Continue\r\n\r\n$/)
  peer.socket.write('{"name":"ab"}')
  await peer.closed
  t.match(peer.received(), /\r\n\r\nHTTP\/1\.1 200 OK\r\n/)
  t.match(mirrored(peer.received()), [{ body: '{"name":"ab"}', headers: { 'content-length': '13' } }])
  t.equal(mirrored(peer.received())[0]?.headers['expect'], undefined)
})

t.test('headers that are about the connection are no error, and stay here', async t => {
  const api = await mirror(t)
  const proxy = await startProxy(t, { api, accessKey })
  for (const header of ['Keep-Alive: timeout=5', 'Upgrade: h2c', 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk', 'Proxy-Connection: keep-alive', 'TE: trailers']) {
    const text = await sendRaw(proxy.port, `GET /v3/devices HTTP/1.1\r\nHost: localhost\r\n${header}\r\n\r\n`)
    t.match(text, /^HTTP\/1\.1 200 /, header)
    const { headers } = mirrored(text)[0] as Mirrored
    for (const name of ['keep-alive', 'upgrade', 'http2-settings', 'proxy-connection', 'te']) t.equal(headers[name], undefined, `${header}: ${name}`)
  }
})

t.test('an upload keeps its framing: its length and Content-MD5, or its chunks; trailers stay here', async t => {
  const api = await mirror(t)
  const proxy = await startProxy(t, { api, accessKey })
  const md5 = createHash('md5').update('chunk').digest('base64')
  const lengthy = await sendRaw(proxy.port, `PUT /v3/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-MD5: ${md5}\r\n\r\nchunk`)
  t.match(mirrored(lengthy), [{ body: 'chunk', headers: { 'content-length': '5', 'content-md5': md5 } }])
  t.equal(mirrored(lengthy)[0]?.headers['transfer-encoding'], undefined)
  const chunked = await sendRaw(proxy.port, 'POST /v3/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3;ext=1\r\nchu\r\n2\r\nnk\r\n0\r\nX-Sum: 1\r\n\r\n')
  t.match(mirrored(chunked), [{ body: 'chunk', headers: { 'transfer-encoding': 'chunked' }, trailers: {} }])
  t.equal(mirrored(chunked)[0]?.headers['content-length'], undefined)
  t.equal(mirrored(chunked)[0]?.headers['trailer'], undefined)
  const none = await sendRaw(proxy.port, 'POST /v3/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n')
  t.match(mirrored(none), [{ body: '', headers: { 'content-length': '0' } }])
})

t.test('an HTTP/1.0 client gets no chunks: its answer ends with the connection, or is as long as it says', async t => {
  const api = await startRawApi(t, (socket, head) => {
    if (head.startsWith('GET /chunked')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n')
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabcde')
  })
  const proxy = await startProxy(t, { api, accessKey })
  const chunked = await sendRaw(proxy.port, 'GET /chunked HTTP/1.0\r\nHost: localhost\r\n\r\n')
  t.match(chunked, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nabcde$/)
  t.notMatch(chunked, /transfer-encoding/i)
  const kept = await openPeer({ port: proxy.port, host: '127.0.0.1' }, 'GET /length HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n')
  t.match(await kept.until(/abcde$/), /connection: keep-alive/i)
  kept.socket.write('GET /length HTTP/1.0\r\nHost: localhost\r\n\r\n')
  await kept.closed
  t.equal(kept.received().split('abcde').length - 1, 2)
})

t.test('pipelined requests are answered in their order, own pages and refusals among them', async t => {
  const api = await startApi(t, (request, response) => { setTimeout(() => response.end(`<${request.url}>`), request.url === '/v3/slow' ? 100 : 0) })
  const proxy = await startProxy(t, { api, accessKey })
  const text = await sendRaw(proxy.port, ['/v3/slow', '/_proxy/livez', '/v3/fast', '/_proxy/nothing'].map(path => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`).join(''), 1500)
  t.match(text, /<\/v3\/slow>HTTP\/1\.1 200 OK[^]*"object":"health"[^]*<\/v3\/fast>HTTP\/1\.1 404 [^]*"type":"not_found"/)
  t.equal(text.split('HTTP/1.1 ').length - 1, 4)
})

t.test('what the API says of its connection is not said to the client, whose connection stays', async t => {
  const api = await startRawApi(t, (socket, head) => {
    if (head.startsWith('GET /close')) socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab')
    else socket.end('HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\n\r\nto the end')
  })
  const proxy = await startProxy(t, { api, accessKey })
  const peer = await openPeer({ port: proxy.port, host: '127.0.0.1' }, 'GET /close HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await peer.until(/\r\n\r\nab$/), /connection: keep-alive\r\nkeep-alive: timeout=72/i)
  peer.socket.write('GET /until-the-end HTTP/1.1\r\nHost: localhost\r\n\r\n')
  t.match(await peer.until(/\r\n0\r\n\r\n$/), /transfer-encoding: chunked[^]*to the end/i)
  peer.socket.write('GET /close HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  await peer.closed
  t.match(peer.received(), /connection: close\r\n\r\nab$/i)
})

t.test('every answer has the proxy\'s id, and its own ones the type, the id again and the API\'s shape', async t => {
  const api = await startApi(t, (_request, response) => { response.writeHead(404, { 'X-Request-ID': 'of-the-api', 'X-Proxy-Error': 'forged', 'X-Proxy-Request-ID': 'forged' }).end() })
  const proxy = await startProxy(t, { api, accessKey })
  const get = (rest: string) => sendRaw(proxy.port, `${rest}\r\n\r\n`)
  const passed = await get('GET /v3/x HTTP/1.1\r\nHost: localhost')
  t.match(passed, /^X-Request-ID: of-the-api\r$/m)
  t.match(passed, /^X-Proxy-Request-ID: [0-9a-f]{32}\r$/m)
  t.notMatch(passed, /x-proxy-error|forged/i)
  const own: Record<string, string> = {
    host_not_allowed: 'GET / HTTP/1.1\r\nHost: evil.example',
    origin_not_allowed: 'GET / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example',
    request_target_invalid: 'GET http://localhost/ HTTP/1.1\r\nHost: localhost',
    header_invalid: 'GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost',
    header_too_large: `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}`,
    http_version_not_supported: 'GET / HTTP/2.0\r\nHost: localhost',
    method_not_allowed: 'TRACE / HTTP/1.1\r\nHost: localhost',
    access_key_in_url: `GET /v3/${accessKey} HTTP/1.1\r\nHost: localhost`,
    not_found: 'GET /_proxy/nothing HTTP/1.1\r\nHost: localhost',
    validation_error: 'GET /_proxy/trail?limit=some HTTP/1.1\r\nHost: localhost',
    upgrade_required: 'GET /v2/notification/websocket-connect HTTP/1.1\r\nHost: localhost'
  }
  for (const [type, request] of Object.entries(own)) {
    const text = await get(request)
    const id = /^x-proxy-request-id: ([0-9a-f]{32})\r$/im.exec(text)?.[1]
    t.ok(id, `${type}: an id`)
    t.match(text.toLowerCase(), `\r\nx-proxy-error: ${type}\r\n`)
    t.match(text.toLowerCase(), `\r\nx-request-id: ${id}\r\n`)
    t.match(JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4)), { object: 'error', code: Number(text.slice(9, 12)), type, message: String, request_id: id })
  }
})
