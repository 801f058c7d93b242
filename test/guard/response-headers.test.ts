import fc from 'fast-check'
import t from 'tap'
import { forwardResponseHeaders } from '../../src/guard/response-headers.ts'
import { fuzzRuns } from '../support/fuzz.ts'

const options = { apiOrigin: 'https://api.us-east-1.mbedcloud.com', proxyOrigin: () => 'http://localhost:8080' }
const forward = (...raw: Array<string | Buffer>) => forwardResponseHeaders(raw, options)

t.test('passes what it does not know: order, case, duplicates and bytes', async t => {
  const raw = ['date', 'Thu, 01 Jan 2026 00:00:00 GMT', 'X-Request-ID', '0161991d6315', 'Warning', '1', 'warning', '2', 'Content-Length', '5', 'ETag', '"x"', 'X-Latin', 'caf\xe9', 'Retry-After', '2', 'Vary', 'Accept', 'X-Empty', '']
  t.same(forward(...raw), raw)
  t.same(forward(...raw.map(text => Buffer.from(text, 'latin1'))), raw, 'given as bytes')
})

t.test('drops what belongs to upstream\'s connection or origin', async t => {
  for (const name of [
    'Keep-Alive', 'Proxy-Authenticate', 'Proxy-Connection', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade', 'Set-Cookie', 'Set-Cookie2', 'Alt-Svc', 'Strict-Transport-Security', 'Clear-Site-Data',
    'Access-Control-Allow-Origin', 'access-control-expose-headers', 'Access-Control-Anything', 'Timing-Allow-Origin', 'X-Proxy-Error', 'X-Proxy-Request-ID', 'x-proxy-advice', 'TRAILER'
  ]) t.same(forward('A', '1', name, 'x', 'B', '2'), ['A', '1', 'B', '2'], name)
})

t.test('drops what Connection names, but never the length of the body', async t => {
  t.same(forward('X-Hop', '1', 'Connection', 'close, x-hop, content-length', 'Content-Length', '3'), ['Content-Length', '3'])
})

t.test('turns references to the API\'s own origin into the proxy\'s', async t => {
  const cases: Array<[string, string]> = [
    ['https://api.us-east-1.mbedcloud.com/v3/devices/1?a=b#c', 'http://localhost:8080/v3/devices/1?a=b#c'],
    ['https://api.us-east-1.mbedcloud.com', 'http://localhost:8080'],
    ['https://api.us-east-1.mbedcloud.com?a', 'http://localhost:8080?a'],
    ['HTTPS://API.us-east-1.MBEDCLOUD.com/V3', 'http://localhost:8080/V3'],
    ['https://api.us-east-1.mbedcloud.com:443/v3', 'http://localhost:8080/v3'],
    ['//api.us-east-1.mbedcloud.com/v3', 'http://localhost:8080/v3']
  ]
  for (const [reference, rewritten] of cases) {
    t.same(forward('Location', reference), ['Location', rewritten])
    t.same(forward('Content-Location', reference), ['Content-Location', rewritten])
    t.same(forward('Link', `<${reference}>; rel="next", <https://other.example/>; rel=prev`), ['Link', `<${rewritten}>; rel="next", <https://other.example/>; rel=prev`])
  }
})

t.test('leaves every other reference alone', async t => {
  for (const reference of [
    '/v3/devices/1', 'devices/1', '', '?a=b', 'https://other.example/v3', 'https://api.us-east-1.mbedcloud.com.evil.example/', 'https://api.us-east-1.mbedcloud.com@evil.example/', 'https://api.us-east-1.mbedcloud.com:444/',
    'https://api.us-east-1.mbedcloud.com:4430/', 'https://api.us-east-1.mbedcloud.com:443@evil.example/', 'http://api.us-east-1.mbedcloud.com/', 'https://evil.example/https://api.us-east-1.mbedcloud.com/', '///api.us-east-1.mbedcloud.com/'
  ]) t.same(forward('Location', reference), ['Location', reference])
})

t.test('an API origin with a port is that port only', async t => {
  const withPort = (reference: string) => forwardResponseHeaders(['Location', reference], { ...options, apiOrigin: 'https://127.0.0.1:9443' })[1]
  t.equal(withPort('https://127.0.0.1:9443/a'), 'http://localhost:8080/a')
  for (const reference of ['https://127.0.0.1/a', 'https://127.0.0.1:443/a', 'https://127.0.0.1:94430/a']) t.equal(withPort(reference), reference)
})

const names = fc.oneof(fc.constantFrom('Connection', 'Set-Cookie', 'Trailer', 'Keep-Alive', 'Access-Control-Allow-Origin', 'X-A', 'x-a', 'Content-Length', 'Location'), fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/))
const values = fc.oneof(fc.constantFrom('x-a', 'close', 'trailer', ''), fc.stringMatching(/^[!-~\x80-\xff]([ -~\x80-\xff]{0,30}[!-~\x80-\xff])?$/))
const managed = /^(?:connection|keep-alive|te|trailer|transfer-encoding|upgrade|set-cookie2?|alt-svc|strict-transport-security|clear-site-data|timing-allow-origin|proxy-.*|x-proxy-.*|access-control-.*)$/i

t.test('for any headers: nothing managed comes down, the rest keeps order and bytes', async () => {
  fc.assert(fc.property(fc.array(fc.tuple(names, values), { maxLength: 20 }), pairs => {
    const named = new Set(pairs.filter(([name]) => name.toLowerCase() === 'connection').flatMap(([, value]) => value.split(',').map(option => option.trim().toLowerCase())))
    const expected = pairs.filter(([name]) => !managed.test(name) && (name.toLowerCase() === 'content-length' || !named.has(name.toLowerCase()))).flat()
    const headers = forward(...pairs.flat())
    if (JSON.stringify(headers) !== JSON.stringify(expected)) throw new Error(`${JSON.stringify(headers)} instead of ${JSON.stringify(expected)}`)
  }), fuzzRuns())
})
