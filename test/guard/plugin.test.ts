import t from 'tap'
import { proxyError } from '../../src/errors.ts'
import { sendRaw, startGuardedApp } from '../support/guarded-app.ts'
import { fullKey, legacyKey, memberToken } from '../support/credentials.ts'

const get = (target: string, ...headers: string[]) => [`GET ${target} HTTP/1.1`, 'Host: localhost', ...headers, '', ''].join('\r\n')
const bodyOf = (text: string) => JSON.parse(text.slice(text.indexOf('\r\n\r\n'))) as Record<string, unknown>

t.test('lets an ordinary request in and keeps the connection', async t => {
  const { app, port, entries, reached } = await startGuardedApp()
  t.teardown(() => app.close())
  const { status, text, closed } = await sendRaw(port, get('/v3/devices?limit=2&filter=a%3Db', 'X-A: 1', 'x-a: 2'))
  t.equal(status, 200)
  t.match(bodyOf(text), { target: { forward: '/v3/devices?limit=2&filter=a%3Db', canonicalPath: '/v3/devices' }, headers: ['X-A', '1', 'x-a', '2'] })
  t.notOk(closed)
  t.equal(reached.length, 1)
  t.match(entries, [{ path: '/v3/devices', query: 'limit=2&filter=a%3Db', notes: '' }])
})

t.test('answers a refusal in the proxy\'s own name, closes, and writes it into the trail', async t => {
  const { app, port, entries, reached } = await startGuardedApp()
  t.teardown(() => app.close())
  const { status, text, closed } = await sendRaw(port, get('/v3/%2e%2e/x?a=b'))
  t.equal(status, 400)
  t.ok(closed)
  t.match(text, /\r\nx-proxy-error: request_target_invalid\r\n/i)
  t.match(text, /\r\nconnection: close\r\n/i)
  t.match(bodyOf(text), { object: 'error', code: 400, type: 'request_target_invalid', message: /\. or \.\. segment/ })
  t.match(entries, [{ path: '/v3/%2e%2e/x', query: 'a=b', notes: 'target_dot_segment', status: 400, error_type: 'request_target_invalid' }])
  t.equal(reached.length, 0)
})

t.test('a refused Host or Origin is recorded with what was asked for', async t => {
  const { app, port, entries } = await startGuardedApp()
  t.teardown(() => app.close())
  t.equal((await sendRaw(port, 'GET /v3/devices HTTP/1.1\r\nHost: evil.example\r\n\r\n')).status, 403)
  t.equal((await sendRaw(port, get('/v3/devices', 'Origin: http://evil.example'))).status, 403)
  t.match(entries, [{ path: '/v3/devices', notes: 'host_not_allowed' }, { path: '/v3/devices', notes: 'origin_not_allowed' }])
})

t.test('the trail and the log name a credential in a URL, and do not hold it', async t => {
  const { app, port, entries, reached, log } = await startGuardedApp()
  t.teardown(() => app.close())
  t.equal((await sendRaw(port, get(`/v3/devices?apiKey=${fullKey}&limit=2`))).status, 200)
  t.equal(reached[0]?.url, '/v3/devices?limit=2', 'nobody behind the guard sees the key')
  t.match(bodyOf((await sendRaw(port, get(`/v3/${legacyKey}`))).text), { code: 400, type: 'access_key_in_url' })
  t.match(bodyOf((await sendRaw(port, get(`/v3/devices?token=${memberToken}`))).text), { code: 400, type: 'access_key_in_url', message: /member token/ })
  t.equal((await sendRaw(port, get('/v3/devices', `Authorization: Bearer ${fullKey}`))).status, 200)
  t.equal((await sendRaw(port, get('/v3/devices', `Referer: http://localhost/?${fullKey}`))).status, 200)
  t.same(entries.map(entry => entry.notes), ['key_removed_from_query', 'key_in_path', 'token_in_url', 'key_sent_as_token', 'key_removed_from_header'])
  t.match(entries[0], { query: 'limit=2' })
  for (const code of ['key_removed_from_query', 'key_in_path', 'token_in_url', 'key_sent_as_token', 'key_removed_from_header']) t.match(log(), `"code":"${code}"`)
  for (const credential of [fullKey, legacyKey, memberToken]) {
    const written = JSON.stringify(entries) + log()
    t.notOk(written.includes(credential.slice(-16)))
  }
})

t.test('names a careless client once, not with every request', async t => {
  const { app, port, log } = await startGuardedApp()
  t.teardown(() => app.close())
  for (let i = 0; i < 3; i++) await sendRaw(port, get(`/?${fullKey}`))
  t.equal(log().trim().split('\n').length, 1)
})

t.test('TRACE and unknown methods get 405 with Allow; CONNECT too, and no tunnel', async t => {
  const { app, port, entries, reached } = await startGuardedApp()
  t.teardown(() => app.close())
  for (const method of ['TRACE', 'PROPFIND', 'PURGE', 'QUERY', 'M-SEARCH']) {
    const { status, text, closed } = await sendRaw(port, `${method} /v3/devices HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    t.equal(status, 405, method)
    t.match(text, /\r\nallow: GET, HEAD, POST/i)
    t.ok(closed)
  }
  for (const target of ['evil.example:443', '/v3/devices', 'http://localhost/']) {
    const { status, text, closed } = await sendRaw(port, `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\nGET /secret HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    t.equal(status, 405, target)
    t.equal(text.split('HTTP/1.1').length, 2, 'one answer')
    t.ok(closed)
  }
  t.equal(reached.length, 0)
  t.equal(entries.length, 8)
  t.match(entries.at(-1), { method: 'CONNECT', error_type: 'method_not_allowed', status: 405 })
})

t.test('an upload that is refused is never asked for', async t => {
  const { app, port } = await startGuardedApp({ judge: request => request.raw.url === '/no' ? proxyError('member_unknown') : undefined })
  t.teardown(() => app.close())
  const upload = (path: string) => `POST ${path} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n`
  t.notMatch((await sendRaw(port, upload('/no'))).text, /100 Continue/)
  t.match((await sendRaw(port, upload('/yes'))).text, /^HTTP\/1\.1 100 Continue/)
  t.match((await sendRaw(port, [upload('/yes'), 'hello'])).text, /100 Continue[^]*HTTP\/1\.1 200/)
})

t.test('an unknown expectation is no reason to refuse', async t => {
  const { app, port } = await startGuardedApp()
  t.teardown(() => app.close())
  t.equal((await sendRaw(port, get('/', 'Expect: a-miracle'))).status, 200)
})

t.test('on a unix socket any Host is served', async t => {
  const { app, port } = await startGuardedApp({ settings: { listen: { socketPath: '/tmp/x.sock' } } })
  t.teardown(() => app.close())
  t.equal((await sendRaw(port, 'GET / HTTP/1.1\r\nHost: anything.example\r\n\r\n')).status, 200)
})

t.test('no header is dropped unseen, be they thousands', async t => {
  const { app, port } = await startGuardedApp()
  t.teardown(() => app.close())
  const { status, text } = await sendRaw(port, `GET / HTTP/1.1\r\n${'a:b\r\n'.repeat(2500)}Host: localhost\r\n\r\n`)
  t.equal(status, 200)
  t.equal((bodyOf(text)['headers'] as string[]).length, 5000)
})
