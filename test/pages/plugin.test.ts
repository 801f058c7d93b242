import { gzipSync, brotliCompressSync } from 'node:zlib'
import t from 'tap'
import { setUpSandbox } from '../support/sandbox-client.ts'
import { ask } from '../support/client.ts'
import { idOf, pagesById, requestIdOf, startListingApi } from '../support/listing-api.ts'
import { startPagesProxy } from '../support/pages-proxy.ts'

const listPath = '/_proxy/pages/v3/things'
const asList = { headers: { accept: 'application/json' } }
const lines = (text: string) => text.split('\n').slice(0, -1)
const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => idOf(from + index))
const idsIn = (text: string) => lines(text).map(line => (JSON.parse(line) as { id: string }).id)

t.test('every device of a fleet comes once and in order, whatever the filters, as lines and as one list', async t => {
  const { sandbox, ask: askApi } = await setUpSandbox(t, { devices: 2345 })
  const proxy = await startPagesProxy(t, { api: { origin: sandbox.origin, ca: sandbox.caPem }, accessKey: sandbox.accessKey })
  const answer = await ask(proxy.url, '/_proxy/pages/v3/devices')
  t.equal(answer.status, 200)
  t.equal(answer.headers['content-type'], 'application/x-ndjson')
  t.equal(answer.headers['cache-control'], 'no-store')
  t.match(answer.headers['x-proxy-request-id'], /^[0-9a-f]{32}$/)
  t.strictSame(idsIn(answer.text), Array.from({ length: 2345 }, (_, index) => sandbox.devices.at(index)?.id))
  t.equal(lines(answer.text)[1000], JSON.stringify((await askApi(`/v3/devices/${String(sandbox.devices.at(1000)?.id)}`)).json), 'byte for byte as the API has it')

  const filter = 'filter=state%3Dregistered%26created_at__gte%3D2021-03-01T00%253A00%253A00Z'
  sandbox.clearReceived()
  const list = JSON.parse((await ask(proxy.url, `/_proxy/pages/v3/devices?${filter}&order=DESC&include=total_count&limit=500`, asList)).text) as { data: Array<{ id: string, state: string }>, total_count: number, has_more: boolean }
  t.ok(list.data.length > 1500 && list.data.every(({ state }) => state === 'registered'))
  t.equal(list.data.length, list.total_count)
  t.strictSame(list.data.map(({ id }) => id), list.data.map(({ id }) => id).sort().reverse())
  t.equal(list.has_more, false)
  for (const { url } of sandbox.received) t.ok(url.startsWith(`/v3/devices?${filter}&order=DESC&include=total_count&limit=500`), `raw: ${url}`)
})

t.test('pre-shared keys go on by their continuation marker', async t => {
  const { sandbox, ask: askApi } = await setUpSandbox(t)
  const names = Array.from({ length: 7 }, (_, index) => `endpoint-${index}`)
  for (const name of names) await askApi('/v2/device-shared-keys', { method: 'POST', body: JSON.stringify({ endpoint_name: name, secret_hex: 'ab'.repeat(16) }) })
  const proxy = await startPagesProxy(t, { api: { origin: sandbox.origin, ca: sandbox.caPem }, accessKey: sandbox.accessKey })
  sandbox.clearReceived()
  const answer = await ask(proxy.url, '/_proxy/pages/v2/device-shared-keys?limit=3')
  t.strictSame(lines(answer.text).map(line => (JSON.parse(line) as { endpoint_name: string }).endpoint_name).sort(), names)
  t.equal(sandbox.received.length, 3)
  t.ok(sandbox.received.every(({ url }) => url.includes('limit=3')), 'the same limit on every page')
})

t.test('opaque tokens go back as they came', async t => {
  const tokens = [null, 'a+b/c==&d e', '%41é', 'last']
  const api = await startListingApi(t, ({ query, response }) => {
    const page = tokens.indexOf(query.get('after'))
    if (page >= 0) return { data: [{ id: idOf(page) }], has_more: page < 3, after: tokens[page + 1] ?? null }
    response.statusCode = 400
    return 'TOKEN_NOT_FOUND'
  })
  const proxy = await startPagesProxy(t, { api })
  t.strictSame(idsIn((await ask(proxy.url, listPath)).text), ids(0, 4))
})

t.test('a list whose answers name their own page goes on by ids, and nothing comes twice', async t => {
  const byId = pagesById(5)
  const api = await startListingApi(t, asked => {
    const known = asked.query.get('after') === 'token-of-this-page' ? null : asked.query.get('after')
    if (known === null) asked.query.delete('after')
    return String(byId(asked)).replace('"after":null', '"after":"token-of-this-page"')
  })
  const proxy = await startPagesProxy(t, { api })
  t.strictSame(idsIn((await ask(proxy.url, `${listPath}?limit=2`)).text), ids(0, 5))
  t.strictSame(api.queries(), ['limit=2', 'limit=2&after=token-of-this-page', `limit=2&after=${idOf(1)}`, `limit=2&after=${idOf(3)}`])
})

t.test('lists that come in one piece', async t => {
  const api = await startListingApi(t, ({ path }) => ({ '/v3/bare': '[{"id":"a"},\n {"id":"b"}]', '/v3/limitations': '{"data":[{"id":"a"}]}', '/v3/empty': '{"data":null}' })[path])
  const proxy = await startPagesProxy(t, { api })
  t.equal((await ask(proxy.url, '/_proxy/pages/v3/bare')).text, '{"id":"a"}\n{"id":"b"}\n')
  t.equal((await ask(proxy.url, '/_proxy/pages/v3/limitations')).text, '{"id":"a"}\n')
  const empty = await ask(proxy.url, '/_proxy/pages/v3/empty')
  t.equal(empty.status, 200)
  t.equal(empty.text, '')
  t.equal((await ask(proxy.url, '/_proxy/pages/v3/empty', asList)).text, '{"object":"list","data":[],"has_more":false,"after":null}')
  t.strictSame(api.queries().slice(0, 2), ['limit=1000', ''], 'no limit for a list that has none')
})

t.test('entities keep their bytes: numbers, escapes, white space, anything the API ever adds', async t => {
  const odd = ['{ "id" : "a\\u0062" ,"n":1.50,"big":12345678901234567890,"e":1E+2 }', '{"é":"\\ud83d\\ude00 😀","id":"2","nested":{"id":"x","data":[[],{}]}}', '"text"', '[1,[2]]', 'null', '-0.0']
  const body = `{"data" :\n [\n  ${odd.join(' ,\r\n\t')}\n ] , "has_more":false}`
  const api = await startListingApi(t, () => body)
  const proxy = await startPagesProxy(t, { api })
  t.strictSame(lines((await ask(proxy.url, listPath)).text), odd)
  t.equal((await ask(proxy.url, listPath, asList)).text, `{"object":"list","data":[${odd.join(',')}],"has_more":false,"after":null}`)
})

t.test('max_items ends the list early and says where to go on', async t => {
  const api = await startListingApi(t, pagesById(100))
  const proxy = await startPagesProxy(t, { api })
  t.strictSame(idsIn((await ask(proxy.url, `${listPath}?max_items=5`)).text), ids(0, 5))
  t.strictSame(api.queries(), ['limit=5'], 'no more is asked for than wanted, and our parameter stays here')
  const cut = JSON.parse((await ask(proxy.url, `${listPath}?limit=4&max_items=6`, asList)).text) as Record<string, unknown>
  t.match(cut, { has_more: true, after: idOf(5), total_count: 100 })
  t.equal((cut['data'] as unknown[]).length, 6)
  t.match(JSON.parse((await ask(proxy.url, `${listPath}?limit=3&max_items=6`, asList)).text), { has_more: true, after: idOf(5) })
  t.strictSame(api.queries().slice(1), ['limit=4', `limit=4&after=${idOf(3)}`, 'limit=3', `limit=3&after=${idOf(2)}`], 'and no page too many')
  t.strictSame(idsIn((await ask(proxy.url, `${listPath}?after=${idOf(97)}&max_items=50`)).text), ids(98, 100))
})

t.test('pages are asked for compressed, whatever the client takes', async t => {
  const byId = pagesById(2500)
  const encodings: unknown[] = []
  const api = await startListingApi(t, asked => {
    const body = String(byId(asked))
    encodings.push(asked.response.req.headers['accept-encoding'], asked.response.req.headers.accept, asked.response.req.headers['user-agent'])
    asked.response.setHeader('Content-Encoding', asked.page % 2 === 0 ? 'gzip' : 'identity')
    return asked.page % 2 === 0 ? gzipSync(body) : body
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, listPath, { headers: { 'accept-encoding': 'br', 'user-agent': 'test/1', 'if-none-match': '"x"', range: 'bytes=0-1' } })
  t.strictSame(idsIn(answer.text), ids(0, 2500))
  t.equal(answer.headers['content-encoding'], undefined)
  t.strictSame(encodings.slice(0, 3), ['gzip', 'application/json', 'test/1'])
  t.notOk(api.seen.some(({ rawHeaders }) => rawHeaders.some(name => /if-none-match|range/i.test(name))))
})

t.test('a compression that was not asked for is no answer', async t => {
  const api = await startListingApi(t, asked => {
    asked.response.setHeader('Content-Encoding', 'br')
    return brotliCompressSync(String(pagesById(3)(asked)))
  })
  const proxy = await startPagesProxy(t, { api })
  const answer = await ask(proxy.url, listPath)
  t.equal(answer.status, 502)
  t.equal(answer.headers['x-proxy-error'], 'upstream_invalid_response')
})

t.test('what the API says instead of the first page is the answer', async t => {
  const body = '{"object":"error","code":403,"type":"forbidden","message":"Account is not a commercial account.","request_id":"abc"} '
  const api = await startListingApi(t, ({ path, response }) => {
    response.statusCode = { '/v3/forbidden': 403, '/v3/packed': 500 }[path] ?? 400
    response.setHeader('Retry-After', '7')
    response.setHeader('Set-Cookie', 'a=b')
    if (path === '/v3/forbidden') return body
    if (path === '/v3/packed') return void response.setHeader('Content-Encoding', 'gzip').end(gzipSync('whatever'))
    response.setHeader('Content-Type', 'text/plain')
    return 'TOKEN_NOT_FOUND'
  })
  const proxy = await startPagesProxy(t, { api })
  const forbidden = await ask(proxy.url, '/_proxy/pages/v3/forbidden')
  t.equal(forbidden.status, 403)
  t.equal(forbidden.text, body)
  t.equal(forbidden.headers['x-request-id'], requestIdOf(0))
  t.equal(forbidden.headers['retry-after'], '7')
  t.equal(forbidden.headers['set-cookie'], undefined)
  t.equal(forbidden.headers['x-proxy-error'], undefined, 'it is the API\'s own')
  t.equal((await ask(proxy.url, '/_proxy/pages/v3/token')).text, 'TOKEN_NOT_FOUND')
  const packed = await ask(proxy.url, '/_proxy/pages/v3/packed')
  t.equal(packed.text, 'whatever')
  t.equal(packed.headers['content-length'], '8')
  const rows = await proxy.trail(rows => rows.length >= 6)
  t.strictSame(rows.map(({ kind, status, outcome, error_type: type, upstream_request_id: id }) => [kind, status, outcome, type, id]).slice(0, 2), [
    ['request', 403, 'answered', 'forbidden', requestIdOf(0)],
    ['page', 403, 'answered', 'forbidden', requestIdOf(0)]
  ])
})

t.test('what is no list is said to be none', async t => {
  const api = await startListingApi(t, ({ path, response }) => {
    if (path === '/v3/html') response.setHeader('Content-Type', 'text/html')
    return { '/v3/accounts/me': '{"object":"account","id":"1"}', '/v3/html': '<html>sorry</html>', '/v3/nothing': '', '/v3/cut': '{"data":[{"id":"a"},{"id"' }[path]
  })
  const proxy = await startPagesProxy(t, { api })
  const cases: Array<[path: string, status: number, type: string]> = [
    ['/v3/accounts/me', 400, 'validation_error'],
    ['/v3/html', 502, 'upstream_invalid_response'],
    ['/v3/nothing', 502, 'upstream_invalid_response']
  ]
  for (const [path, status, type] of cases) {
    const answer = await ask(proxy.url, `/_proxy/pages${path}`)
    t.equal(answer.status, status, path)
    t.match(JSON.parse(answer.text), { object: 'error', code: status, type, request_id: answer.headers['x-proxy-request-id'] })
  }
  const cut = lines((await ask(proxy.url, '/_proxy/pages/v3/cut')).text)
  t.equal(cut[0], '{"id":"a"}')
  t.match(JSON.parse(cut[1] ?? ''), { object: 'error', code: 502, type: 'upstream_invalid_response', after: 'a' })
})

t.test('only GET, and nothing of ours is ever forwarded', async t => {
  const api = await startListingApi(t, pagesById(1))
  const proxy = await startPagesProxy(t, { api })
  for (const method of ['HEAD', 'POST', 'PUT', 'DELETE']) t.equal((await ask(proxy.url, listPath, { method })).status, 404, method)
  for (const path of ['/_proxy/pages', '/_proxy/pages/', '/_proxy/pages/_proxy/livez', '/_proxy//pages/v3/devices', '/_proxy/p%61ges/v3/devices']) t.equal((await ask(proxy.url, path)).status, 404, path)
  t.equal((await ask(proxy.url, '/_proxy/pages/v2/notification/pull')).status, 400)
  t.equal((await ask(proxy.url, `${listPath}?max_items=none`)).status, 400)
  t.equal(api.seen.length, 0)
})
