import t from 'tap'
import { createOrigins, isPreflight, preflightHeaders, type BrowserRequest } from '../../src/guard/origins.ts'

const page = 'http://localhost:5173'
const origins = createOrigins([page, 'https://app.example'])
const judge = (headers: Record<string, string>, more: Partial<BrowserRequest> = {}) =>
  origins.judge({ method: 'GET', path: '/v3/devices', host: 'localhost:8080', secure: false, headers, ...more })

t.test('lets in what is no browser, an allowed page, the proxy\'s own pages, and what a person typed', async t => {
  for (const headers of [{}, { origin: page }, { origin: 'https://app.example', 'sec-fetch-site': 'cross-site' }, { origin: 'http://localhost:8080' }, { 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }]) t.equal(judge(headers), undefined, JSON.stringify(headers))
})

t.test('refuses every other origin', async t => {
  for (const origin of ['null', '*', '', 'http://evil.example', 'http://localhost', 'http://localhost:51730', 'https://localhost:5173', 'http://LOCALHOST:5173', 'http://localhost:5173/', 'http://localhost:5173.evil.example', 'http://app.example', 'http://127.0.0.1:8080', `${page}, ${page}`, 'file://', 'chrome-extension://abc']) {
    t.equal(judge({ origin }), 'origin_not_allowed', origin)
    t.equal(judge({ origin, 'sec-fetch-site': 'same-origin' }), 'origin_not_allowed', origin)
  }
})

t.test('tells its own origin by scheme, unless the browser says it is the same', async t => {
  t.equal(judge({ origin: 'https://localhost:8080' }, { secure: true }), undefined)
  t.equal(judge({ origin: 'http://localhost:8080' }, { secure: true }), 'origin_not_allowed')
  t.equal(judge({ origin: 'https://localhost:8080' }), 'origin_not_allowed')
  t.equal(judge({ origin: 'https://localhost:8080', 'sec-fetch-site': 'same-origin' }), undefined, 'behind a TLS terminator')
  t.equal(judge({ origin: 'http://localhost:8080' }, { host: 'LOCALHOST:8080' }), undefined)
})

t.test('refuses requests without an Origin that come from another site: images, frames, links', async t => {
  for (const site of ['cross-site', 'same-site', 'anything']) {
    t.equal(judge({ 'sec-fetch-site': site, 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' }), 'cross_site')
    t.equal(judge({ 'sec-fetch-site': site, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }), 'cross_site')
  }
})

t.test('lets a link open the console, but no frame, and nothing else', async t => {
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
  for (const path of ['/_proxy/console', '/_proxy/console/', '/_proxy/console/trail']) t.equal(judge(link, { path }), undefined, path)
  t.equal(judge(link, { path: '/_proxy/consoles' }), 'cross_site')
  t.equal(judge({ ...link, 'sec-fetch-dest': 'iframe' }, { path: '/_proxy/console/' }), 'cross_site')
  t.equal(judge({ ...link, 'sec-fetch-mode': 'no-cors' }, { path: '/_proxy/console/' }), 'cross_site')
  t.equal(judge(link, { path: '/_proxy/console/', method: 'POST' }), 'cross_site')
  t.equal(judge(link, { path: '/_proxy/status' }), 'cross_site')
})

t.test('lets images and downloads of an allowed page in, by its Referer', async t => {
  const image = { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors' }
  t.equal(judge({ ...image, referer: `${page}/` }), undefined)
  t.equal(judge({ ...image, referer: `${page}/app?x` }), undefined)
  for (const referer of [page, '', 'x', 'http://evil.example/', `http://evil.example/${page}/`, `${page}.evil.example/`, `${page}@evil.example/`, '://', `://${page}/`]) t.equal(judge({ ...image, referer }), 'cross_site', referer)
})

t.test('with no origin allowed, Referer says nothing and no header is added', async t => {
  const closed = createOrigins([])
  t.equal(closed.judge({ method: 'GET', path: '/', host: 'localhost', secure: false, headers: { 'sec-fetch-site': 'same-site', referer: '/' } }), 'cross_site')
  t.same(closed.answerHeaders({ origin: page }), [])
})

t.test('names an allowed origin, and never a wildcard or credentials, on its answers', async t => {
  const headers = origins.answerHeaders({ origin: page })
  t.same(headers.slice(0, 2), ['Access-Control-Allow-Origin', page])
  for (const name of ['X-Request-ID', 'X-Proxy-Request-ID', 'X-Proxy-Error', 'X-Proxy-Advice', 'Retry-After', 'Location']) t.match(headers[3], name)
  t.same(headers.slice(-2), ['Vary', 'Origin'])
  t.notMatch(headers.join(), 'Credentials')
  t.equal(origins.answerHeaders({ origin: page }), headers, 'without making it anew')
  for (const origin of [undefined, 'null', 'http://evil.example']) t.same(origins.answerHeaders(origin === undefined ? {} : { origin }), ['Vary', 'Origin'], 'a cache must know that others get another answer')
})

t.test('answers a preflight', async t => {
  t.ok(isPreflight('OPTIONS', { origin: page, 'access-control-request-method': 'PUT' }))
  t.notOk(isPreflight('OPTIONS', { origin: page }))
  t.notOk(isPreflight('OPTIONS', { 'access-control-request-method': 'PUT' }))
  t.notOk(isPreflight('PUT', { origin: page, 'access-control-request-method': 'PUT' }))
  t.match(preflightHeaders({ 'access-control-request-headers': 'authorization,content-type, x-y' }), {
    'access-control-allow-methods': /GET.*PUT.*DELETE/,
    'access-control-allow-headers': 'authorization,content-type, x-y',
    'access-control-max-age': /^[0-9]+$/,
    vary: /Access-Control-Request-Headers/
  })
  t.equal(preflightHeaders({ 'access-control-request-private-network': 'true' })['access-control-allow-private-network'], 'true')
  t.notMatch(preflightHeaders({}), { 'access-control-allow-private-network': /./ })
  for (const names of ['a b', 'a,,b', 'a\n', 'a: b', ',']) t.notOk('access-control-allow-headers' in preflightHeaders({ 'access-control-request-headers': names }), names)
})
