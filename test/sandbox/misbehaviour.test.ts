import { test } from 'tap'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { faultNames, patternBytes } from '../../src/sandbox/index.ts'
import type { FaultName, Sandbox } from '../../src/sandbox/index.ts'
import { rawFaults } from '../../src/sandbox/faults.ts'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { listen } from '../support/sandbox-socket.ts'
import { converse, getRequest } from '../support/raw-tls.ts'
import type { Conversation } from '../support/raw-tls.ts'
import { waitFor } from '../support/wait-for.ts'

const me = '/v3/accounts/me'

const seen: Array<[fault: FaultName, ending: Conversation['ending'], text: RegExp]> = [
  ['reset', 'reset', /^$/],
  ['close', 'end', /^$/],
  ['stall', 'open', /^$/],
  ['stall-headers', 'open', /^HTTP\/1\.1 200 OK\r\nContent-Ty$/],
  ['stall-body', 'open', /\r\nContent-Length: 82\r\n\r\n.{40}$/],
  ['truncate', 'end', /\r\nContent-Length: 82\r\n\r\n.{40}$/],
  ['reset-body', 'reset', /\r\n\r\n.{40}$/],
  ['truncate-chunked', 'end', /chunked\r\n\r\n28\r\n.{40}\r\n$/],
  ['reset-chunked', 'reset', /chunked\r\n\r\n28\r\n.{40}\r\n$/],
  ['until-close', 'end', /Connection: close\r\n\r\n\{.*\}$/],
  ['garbage', 'end', /no HTTP at all/],
  ['garbage-after', 'end', /\}HTTP\/1\.1 200 OK\r\nContent-Length: 6\r\n\r\npoison$/],
  ['two-content-lengths', 'end', /Content-Length: 3\r\nContent-Length: 82\r\n/],
  ['content-length-list', 'end', /Content-Length: 82, 3\r\n/],
  ['content-length-negative', 'end', /Content-Length: -1\r\n/],
  ['content-length-and-chunked', 'end', /Transfer-Encoding: chunked\r\nContent-Length: 82\r\n\r\n52\r\n.*\r\n0\r\n\r\n$/],
  ['bad-chunk-size', 'end', /\r\n\r\nxyz\r\n/],
  ['big-header', 'end', /X-Big: b{20480}\r\n/],
  ['many-headers', 'end', /X-2499: 2499\r\n/],
  ['bad-status', 'end', /^HTTP\/1\.1 abc /],
  ['status-zero', 'end', /^HTTP\/1\.1 000 /],
  ['status-1000', 'end', /^HTTP\/1\.1 1000 /],
  ['bad-version', 'end', /^HTTP\/9\.9 /],
  ['http-1.0', 'end', /^HTTP\/1\.0 200 OK\r\n/],
  ['unsolicited-101', 'open', /^HTTP\/1\.1 101 .*Upgrade: websocket\r\n\r\n$/s],
  ['trailer-and-content-length', 'end', /Trailer: X-Checksum\r\nContent-Length: 2\r\n\r\n\{\}$/],
  ['trailers', 'end', /\r\n0\r\nX-Checksum: abc\r\n\r\n$/],
  ['bare-lf', 'end', /^HTTP\/1\.1 200 OK\nContent-Type: application\/json\nContent-Length: 2\n\n\{\}$/],
  ['bare-cr', 'end', /X-A: b\rX-C: d\r\n/],
  ['nul', 'end', /X-Nul: a\0b\r\n/],
  ['header-without-colon', 'end', /\r\nnonsense\r\n/],
  ['space-before-colon', 'end', /\r\nContent-Length : 2\r\n/],
  ['folded-header', 'end', /X-Fold: a\r\n b\r\n/],
  ['empty-header-name', 'end', /\r\n: a\r\n/],
  ['not-modified-with-length', 'end', /^HTTP\/1\.1 304 .*Content-Length: 12\r\n\r\n$/s],
  ['no-content-with-body', 'end', /^HTTP\/1\.1 204 .*\r\n\r\n\{\}$/s],
  ['early-hints', 'end', /^HTTP\/1\.1 103 Early Hints\r\n.*HTTP\/1\.1 200 OK/s],
  ['many-continues', 'end', /^(HTTP\/1\.1 100 Continue\r\n\r\n){50}HTTP\/1\.1 200 OK/],
  ['duplicate-headers', 'end', /X-Twice: one\r\nX-Twice: two\r\n/],
  ['set-cookie', 'end', /Set-Cookie: session=abc; Secure; HttpOnly\r\nSet-Cookie: other=def\r\n/],
  ['hop-by-hop', 'end', /Connection: close, X-Hop\r\nX-Hop: secret\r\n/],
  ['gzip-garbage', 'end', /Content-Encoding: gzip\r\nContent-Length: 82\r\n\r\n\{"object"/]
]

for (const [fault, ending, text] of seen) {
  test(`answers with the fault ${fault}`, async t => {
    const { sandbox, ask } = await setUpSandbox(t)
    sandbox.misbehave({ fault, count: 1 })
    const conversation = await converse(sandbox, getRequest(sandbox, me))
    t.match(conversation.text, text)
    t.equal(conversation.ending, ending)
    t.equal((await ask(me)).status, 200, 'and is well again')
    t.match(sandbox.received[0], { url: me, status: 0 })
  })
}

test('has a case for every raw fault', async t => {
  t.strictSame(seen.map(([fault]) => fault).sort(), Object.keys(rawFaults).sort())
  t.equal(faultNames.length, seen.length + 3)
})

test('poisons an idle connection after a good answer', async t => {
  const { sandbox } = await setUpSandbox(t)
  sandbox.misbehave({ fault: 'poison' })
  const { text, ending } = await converse(sandbox, getRequest(sandbox, me))
  t.match(text, /"object":"account".*\}HTTP\/1\.1 200 OK\r\nContent-Length: 6\r\n\r\npoison$/s)
  t.equal(ending, 'open')
})

test('writes any bytes it is told to', async t => {
  const { sandbox } = await setUpSandbox(t)
  sandbox.misbehave({ raw: 'ab\xff\0', ending: 'reset' })
  t.strictSame(await converse(sandbox, getRequest(sandbox, me)), { text: 'ab\xff\0', ending: 'reset' })
})

test('echoes the request, the key included, so that scrubbing can be tested', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  sandbox.misbehave({ fault: 'echo-request' })
  const answer = await ask(me)
  t.equal(answer.headers['x-echo-authorization'], `Bearer ${sandbox.accessKey}`)
  t.ok(answer.json.headers.includes(`Bearer ${sandbox.accessKey}`))
})

test('changes status, headers and body', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  sandbox.misbehave({ status: 503, headers: { 'Retry-After': '1', 'X-Two': ['1', '2'] }, body: { object: 'error' } })
  const answer = await ask(me)
  t.match(answer, { status: 503, headers: { 'retry-after': '1', 'x-two': '1, 2', 'content-type': 'application/json', 'x-request-id': /^[0-9a-f]{32}$/ }, json: { object: 'error' } })
  t.equal(sandbox.received.at(-1)?.status, 503)
  sandbox.behave()
  sandbox.misbehave({ headers: { 'Access-Control-Allow-Origin': '*' } })
  t.match(await ask(me), { status: 200, headers: { 'access-control-allow-origin': '*' }, json: { object: 'account' } }, 'the usual answer but for that')
  sandbox.behave()
  sandbox.misbehave({ status: 429, body: 'LIMITS_EXCEEDED' })
  t.match(await ask(me), { status: 429, text: 'LIMITS_EXCEEDED', headers: { 'content-type': /^text\/plain/ } })
  sandbox.behave()
  sandbox.misbehave({ status: 502 })
  const bare = await ask(me)
  t.match(bare, { status: 502, text: '', headers: { 'content-length': '0' } })
  t.notOk('content-type' in bare.headers)
})

test('delays the answer, and slices the body', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const usual = await ask(me)
  sandbox.misbehave({ latencyMs: 60, chunkBytes: 100, chunkDelayMs: 5 })
  const started = performance.now()
  const sliced = await ask(me)
  t.ok(performance.now() - started >= 60 + 5 * 5)
  t.equal(sliced.text, usual.text)
  t.equal(sliced.headers['transfer-encoding'], 'chunked')
})

test('compresses', async t => {
  const { sandbox } = await setUpSandbox(t)
  const read = { gzip: gunzipSync, br: brotliDecompressSync, deflate: inflateSync }
  for (const compress of ['gzip', 'br', 'deflate'] as const) {
    sandbox.misbehave({ compress, count: 1 })
    const bytes = await download(sandbox, me)
    t.match(JSON.parse(read[compress](bytes.body).toString()), { object: 'account' })
    t.equal(bytes.encoding, compress)
  }
})

async function download (sandbox: Sandbox, path: string): Promise<{ body: Buffer, encoding: string | undefined, length: string | undefined }> {
  return await new Promise((resolve, reject) => {
    request({ host: '127.0.0.1', port: sandbox.port, path, ca: sandbox.caPem, agent: false, headers: { Authorization: `Bearer ${sandbox.accessKey}` } }, answer => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject).on('end', () => {
        resolve({ body: Buffer.concat(chunks), encoding: answer.headers['content-encoding'], length: answer.headers['content-length'] })
      })
    }).on('error', reject).end()
  })
}

test('generates a body of any size, with a length or in chunks', async t => {
  const { sandbox } = await setUpSandbox(t)
  const expected = patternBytes(0, 200_001)
  sandbox.misbehave({ bodyBytes: 200_001, count: 1 })
  const whole = await download(sandbox, me)
  t.equal(whole.length, '200001')
  t.ok(whole.body.equals(expected))
  sandbox.misbehave({ bodyBytes: 200_001, chunkBytes: 1_000, count: 1 })
  const chunked = await download(sandbox, me)
  t.equal(chunked.length, undefined)
  t.ok(chunked.body.equals(expected))
})

test('makes a large body no faster than it is read', async t => {
  const { sandbox } = await setUpSandbox(t)
  sandbox.misbehave({ bodyBytes: 1_073_741_824 })
  const before = process.memoryUsage().rss
  const asked = request({ host: '127.0.0.1', port: sandbox.port, path: me, ca: sandbox.caPem, agent: false, headers: { Authorization: `Bearer ${sandbox.accessKey}` } })
  const answer = await new Promise<IncomingMessage>((resolve, reject) => asked.on('response', resolve).on('error', reject).end())
  t.equal(answer.headers['content-length'], '1073741824')
  await new Promise(resolve => answer.once('readable', resolve))
  await new Promise(resolve => setTimeout(resolve, 200))
  t.ok(process.memoryUsage().rss - before < 100_000_000, 'nobody reads, nothing is made')
  answer.destroy()
  const [received] = sandbox.received
  await received?.closed
  t.match(received, { aborted: true })
})

test('does not read an upload', async t => {
  const { sandbox } = await setUpSandbox(t)
  sandbox.misbehave({ fault: 'unread-body' })
  const upload = request({ method: 'POST', host: '127.0.0.1', port: sandbox.port, path: me, ca: sandbox.caPem, agent: false, headers: { Authorization: `Bearer ${sandbox.accessKey}` } })
  upload.on('error', () => {})
  let sent = 0
  const piece = Buffer.alloc(65_536)
  const push = (): void => { while (sent < 268_435_456 && upload.write(piece)) sent += piece.length }
  upload.on('drain', push)
  push()
  const received = await sandbox.waitFor(({ url }) => url === me)
  const before = await waitFor('the standstill', async () => {
    const then = sent
    await new Promise(resolve => setTimeout(resolve, 100))
    return sent - then
  }, progress => progress === 0)
  t.equal(before, 0)
  t.ok(sent < 100_000_000, `${sent} bytes were taken`)
  sandbox.dropConnections()
  await received.ended
  t.match(received, { complete: false, bodyLength: 0 })
})

test('strikes where, how often and after how many it was told', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const rule = sandbox.misbehave({ path: '/v3/dev*', method: 'GET', status: 500, skip: 1, count: 2 })
  const statuses = [me, '/v3/devices', '/v3/devices', '/v3/device-groups', '/v3/devices'].map(async path => await ask(path))
  const seen: number[] = []
  for (const answer of statuses) seen.push((await answer).status)
  t.equal(seen.filter(status => status === 500).length, 2)
  t.equal(seen[0], 200)
  t.equal(rule.hits, 2)
  const exact = sandbox.misbehave({ path: '/v3/devices', status: 500 })
  t.equal((await ask('/v3/devices?limit=2')).status, 500, 'the query does not count')
  t.equal((await ask('/v3/devices/')).status, 200)
  exact.remove()
  t.equal((await ask('/v3/devices')).status, 200)
})

test('strikes with a probability, the same way for the same seed', async t => {
  const runs: string[] = []
  for (const seed of [5, 5]) {
    const { sandbox, ask } = await setUpSandbox(t, { seed })
    sandbox.misbehave({ probability: 0.5, status: 500 })
    const statuses: number[] = []
    for (let index = 0; index < 20; index++) statuses.push((await ask(me)).status)
    runs.push(statuses.join())
  }
  t.equal(runs[0], runs[1])
  t.match(runs[0], /500/)
  t.match(runs[0], /200/)
})

test('misbehaves on WebSocket handshakes too', async t => {
  const { sandbox } = await setUpSandbox(t)
  const path = '/v2/notification/websocket-connect'
  sandbox.misbehave({ path, status: 503, count: 1 })
  await t.rejects(listen(t, sandbox), { message: 'HTTP 503' })
  sandbox.misbehave({ path, fault: 'reset', count: 1 })
  await t.rejects(listen(t, sandbox), { code: 'ECONNRESET' })
  sandbox.misbehave({ path, latencyMs: 80, count: 1 })
  const started = performance.now()
  await listen(t, sandbox)
  t.ok(performance.now() - started >= 80)
})

test('takes rules over HTTP, from this machine, as JSON only', async t => {
  const { sandbox, ask } = await setUpSandbox(t)
  const admin = '/_sandbox/misbehave'
  const made = await ask(admin, { key: null, method: 'POST', body: '{"status":503,"headers":{"Retry-After":"1"},"count":3}' })
  t.match(made, { status: 201, json: { id: 1, rule: { status: 503 } } })
  t.equal((await ask(me)).status, 503)
  t.match((await ask(admin, { key: null })).json, { data: [{ id: 1, hits: 1 }], faults: Array })
  t.equal((await ask(admin, { key: null, method: 'DELETE' })).status, 204)
  t.equal((await ask(me)).status, 200)
  t.match(await ask(admin, { method: 'POST', headers: { 'Content-Type': 'text/plain' }, body: '{}' }), { status: 400 })
  t.match(await ask(admin, { method: 'POST', body: 'x' }), { status: 400 })
  t.match(await ask(admin, { method: 'PUT', body: '{}' }), { status: 405 })
  t.match(await ask('/_sandbox/other'), { status: 404 })
  const wrong = { path: 1, method: [], count: -1, skip: 'a', probability: 2, latencyMs: 0.5, fault: 'none', raw: 1, ending: 'x', status: 99, headers: { a: 1 }, bodyBytes: '1', chunkBytes: 0, chunkDelayMs: null, compress: 'zip', unknown: 1 }
  const answer = await ask(admin, { method: 'POST', body: JSON.stringify(wrong) })
  t.strictSame(answer.json.fields.map((field: { name: string }) => field.name), Object.keys(wrong))
  t.notOk(sandbox.received.some(({ url }) => url.startsWith('/_sandbox')), 'which is no request to the API')
})

test('delays every answer by its latency', async t => {
  const { ask } = await setUpSandbox(t, { latencyMs: 50 })
  const started = performance.now()
  await ask(me)
  t.ok(performance.now() - started >= 50)
})

test('keeps what the HTTP parser refused', async t => {
  const { sandbox } = await setUpSandbox(t)
  const { text, ending } = await converse(sandbox, 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n')
  t.match(text, /^HTTP\/1\.1 400 .*X-Request-ID: [0-9a-f]{32}\r\n.*"type":"bad_request"/s)
  t.equal(ending, 'end')
  t.match(sandbox.malformed, [{ code: /^HPE_/ }])
  t.equal(sandbox.received.length, 0)
})

test('drops its connections, by FIN or by RST', async t => {
  const { sandbox } = await setUpSandbox(t)
  for (const [index, [reset, ending]] of ([[false, 'end'], [true, 'reset']] as const).entries()) {
    const conversation = converse(sandbox, '', 5_000)
    await waitFor('the handshake', () => sandbox.connections().secured, secured => secured === index + 1)
    sandbox.dropConnections(reset)
    t.equal((await conversation).ending, ending)
  }
})
