import { renameSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { get } from 'node:http'
import { test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { findWindows } from '../support/leaks.ts'
import { writeKeyFile } from '../support/key-app.ts'
import { startProxy } from '../support/proxy.ts'
import { makeKey } from '../support/synthetic-keys.ts'
import { waitFor } from '../support/wait-for.ts'
import { encodings } from '../support/wraps.ts'

const replaceFile = (path: string, key: string) => { renameSync(writeKeyFile(path + '.next', key), path) }

test('three rotations under load: no request lost, open streams live on', async t => {
  const keys = [makeKey(), makeKey(), makeKey(), makeKey()] as const
  const valid = new Set<string>([keys[0]])
  let stream: ServerResponse | undefined
  const api = await startApi(t, (request, response) => {
    const isValid = valid.has((request.headers.authorization ?? '').slice('Bearer '.length))
    if (request.url === '/stream' && isValid) {
      stream = response.writeHead(200, { 'Content-Type': 'text/event-stream' })
      stream.write(': hello\n\n')
      return
    }
    // Some are still on their way while the key changes.
    setTimeout(() => response.writeHead(isValid ? 200 : 401, { 'Content-Type': 'application/json' }).end('{}'), 20)
  })
  const proxy = await startProxy(t, { api, accessKey: keys[0] })
  const received = openStream(proxy.url + '/stream')
  await waitFor('the stream', () => received.text, text => text === ': hello\n\n')

  const statuses: number[] = []
  const ended = new AbortController()
  const clients = Array.from({ length: 8 }, async () => {
    while (!ended.signal.aborted) statuses.push((await ask(proxy.url, '/v3/devices')).status)
  })
  for (const key of keys.slice(1)) {
    valid.add(key)
    const start = performance.now()
    replaceFile(proxy.accessKeyFile, key)
    await waitFor('the new key at the API', () => api.seen.at(-1)?.rawHeaders.includes(`Bearer ${key}`), arrived => arrived === true)
    // Within a second, where nothing else is going on: source-file.test.ts.
    t.ok(performance.now() - start < 5000, `taken up after ${Math.round(performance.now() - start)} ms`)
    // Behind the change-over the old one is deleted in the portal.
    await new Promise(resolve => setTimeout(resolve, 100))
    for (const old of valid) if (old !== key) valid.delete(old)
  }
  ended.abort()
  await Promise.all(clients)
  t.same(statuses.filter(status => status !== 200), [], `${statuses.length} requests`)
  stream?.write('data: 1\n\n')
  await waitFor('the stream', () => received.text, text => text === ': hello\n\ndata: 1\n\n')
  received.close()
})

test('a wrong new key costs one request: the old one is in use again', async t => {
  const [right, wrong] = [makeKey(), makeKey()]
  const api = await startApi(t, (request, response) => response.writeHead(request.headers.authorization === `Bearer ${right}` ? 200 : 401).end())
  const proxy = await startProxy(t, { api, accessKey: right })
  t.equal((await ask(proxy.url, '/v3/devices')).status, 200)
  replaceFile(proxy.accessKeyFile, wrong)
  await waitFor('the wrong key', async () => (await ask(proxy.url, '/v3/devices')).status, status => status === 401)
  for (let count = 0; count < 5; count++) t.equal((await ask(proxy.url, '/v3/devices')).status, 200)
  t.match((await ask(proxy.url, '/_proxy/status')).text, 'the API refused the new key')
  t.match(proxy.log(), 'the API refuses the new access key; the old one is used again')
  for (const key of [right, wrong]) t.same(findWindows(proxy.log(), key.slice(79)), [])
})

test('an API that echoes what it gets gives the client everything but the key', async t => {
  const [key, issued] = [makeKey(), makeKey()]
  const echoes = Object.values(encodings).map(encode => encode(`Bearer pelion_${key}`))
  const body = JSON.stringify({ echoes, key: issued, public_part: key.slice(0, 79) })
  const api = await startApi(t, (request, response) => {
    const headers = { 'Content-Type': 'application/json', 'X-Echo': request.headers.authorization ?? '', 'X-Encoded': Buffer.from(request.headers.authorization ?? '').toString('base64'), Location: `/v3/x?key=${encodeURIComponent(key)}` }
    if (request.url === '/v3/length') return response.writeHead(200, { ...headers, 'Content-Length': Buffer.byteLength(body) }).end(body)
    if (request.url === '/v3/error') return response.writeHead(400, headers).end(JSON.stringify({ object: 'error', code: 400, type: 'validation_error', message: `no such key: ${key}`, request_id: 'f'.repeat(32) }))
    response.writeHead(200, headers)
    for (const byte of Buffer.from(body)) response.write(Buffer.from([byte]))
    return response.end()
  })
  const proxy = await startProxy(t, { api, accessKey: key })
  for (const path of ['/v3/length', '/v3/chunked', '/v3/error']) {
    const answer = await ask(proxy.url, path)
    t.ok(answer.complete)
    t.same(findWindows(answer.text + answer.rawHeaders.join('\n'), key.slice(79)), [], path)
    t.match(answer.headers, { 'x-echo': 'Bearer [access key removed]' })
    if (path === '/v3/error') continue
    t.equal(answer.body.length, Buffer.byteLength(body), 'as long as the API said')
    t.match(JSON.parse(answer.text), { key: issued, public_part: key.slice(0, 79) }, 'what the API issues passes')
  }
  const rows = await proxy.trail(rows => rows.filter(row => row.outcome === 'answered').length === 3)
  t.equal(rows.at(-1)?.error_message, 'no such key: [access key removed]')
  for (const secret of [key, issued]) t.same(findWindows(proxy.log() + JSON.stringify(rows), secret.slice(79)), [], 'neither is written down')
})

test('a compressed answer is not asked for, unless the setting passes it', async t => {
  const api = await startApi(t, (request, response) => response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify(request.headers['accept-encoding'])))
  const asked = { headers: { 'Accept-Encoding': 'gzip, br' } }
  t.equal((await ask((await startProxy(t, { api, accessKey: makeKey() })).url, '/v3/devices', asked)).text, '"identity"')
  t.equal((await ask((await startProxy(t, { api, accessKey: makeKey(), environment: { PROXY_SCRUB_COMPRESSED: 'pass' } })).url, '/v3/devices', asked)).text, '"gzip, br"')
})

test('URLs of the API in JSON lead to the proxy when the setting says so, else they pass', async t => {
  const api = await startApi(t, (request, response) => response.writeHead(200, { 'Content-Type': request.url === '/v3/text' ? 'text/plain' : 'application/json' })
    .end(JSON.stringify({ full_report_file: `${api.origin}/v3/report`, datafile: 'https://elsewhere.example/x', lookalike: `${api.origin}0/v3` })))
  const rewriting = await startProxy(t, { api, accessKey: makeKey(), environment: { PROXY_REWRITE_BODY_URLS: 'true' } })
  const { text } = await ask(rewriting.url, '/v3/report-links')
  t.same(JSON.parse(text), { full_report_file: `${rewriting.url}/v3/report`, datafile: 'https://elsewhere.example/x', lookalike: `${api.origin}0/v3` })
  t.match((await ask(rewriting.url, '/v3/text')).text, `"${api.origin}/v3/report"`)
  const plain = await startProxy(t, { api, accessKey: makeKey() })
  t.equal((await ask(plain.url, '/v3/report-links')).text, text.replace(rewriting.url, api.origin))
})

function openStream (url: string) {
  const received = { text: '', close: () => { request.destroy() } }
  const request = get(url, { agent: false }, response => { response.on('data', (chunk: Buffer) => { received.text += chunk.toString() }).on('error', () => {}) })
  request.on('error', () => {})
  return received
}
