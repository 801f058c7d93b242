import t from 'tap'
import { proxyError } from '../../src/errors.ts'
import { sendRaw, startGuardedApp, type GuardedAppOptions } from '../support/guarded-app.ts'

const page = 'http://localhost:5173'
const start = (options: GuardedAppOptions = {}) => startGuardedApp({ ...options, settings: { allowedOrigins: [page], clientBodyIdleTimeout: 200 } })
const request = (line: string, ...headers: string[]) => [`${line} HTTP/1.1`, 'Host: localhost:8080', ...headers, '', ''].join('\r\n')

t.test('every answer to an allowed origin carries its CORS headers', async t => {
  const { app, port } = await start({ judge: ({ raw }) => raw.url === '/forbidden' ? proxyError('member_forbidden') : undefined })
  t.teardown(() => app.close())
  const told = /\r\naccess-control-expose-headers: [^\r]*X-Proxy-Error[^\r]*X-Proxy-Gap/i
  for (const [target, status] of [['/v3/devices', 200], ['/forbidden', 403], ['/a/../b', 400], ['/%zz', 400]] as const) {
    const answer = await sendRaw(port, request(`GET ${target}`, `Origin: ${page}`))
    t.equal(answer.status, status, target)
    t.match(answer.text, new RegExp(`\r\naccess-control-allow-origin: ${page}\r\n`, 'i'), target)
    t.match(answer.text, told, target)
    t.match(answer.text, /\r\nvary: Origin\r\n/i, target)
  }
  const late = await sendRaw(port, request('POST /slow', `Origin: ${page}`, 'Content-Length: 5'), { quietMs: 2000 })
  t.match(late.text, new RegExp(`\r\naccess-control-allow-origin: ${page}\r\n`, 'i'), 'too late')
})

t.test('a preflight is answered here, before anybody asks for a token', async t => {
  const { app, port, reached, entries } = await start({ judge: () => proxyError('member_unknown') })
  t.teardown(() => app.close())
  const { status, text } = await sendRaw(port, request('OPTIONS /v3/devices', `Origin: ${page}`, 'Access-Control-Request-Method: DELETE', 'Access-Control-Request-Headers: authorization,content-type', 'Access-Control-Request-Private-Network: true'))
  t.equal(status, 204)
  t.match(text, /\r\naccess-control-allow-methods: [^\r]*DELETE/i)
  t.match(text, /\r\naccess-control-allow-headers: authorization,content-type\r\n/i)
  t.match(text, /\r\naccess-control-allow-private-network: true\r\n/i)
  t.match(text, /\r\naccess-control-max-age: 600\r\n/i)
  t.match(text, /\r\nvary: Origin, Access-Control-Request-Method, Access-Control-Request-Headers\r\n/i)
  t.notMatch(text, /access-control-allow-credentials/i)
  t.equal(reached.length, 0)
  t.equal(entries.length, 1)
})

t.test('a preflight of any other origin is refused, and says nothing of what would be allowed', async t => {
  const { app, port, reached } = await start()
  t.teardown(() => app.close())
  for (const origin of ['http://evil.example', 'null']) {
    const { status, text } = await sendRaw(port, request('OPTIONS /v3/devices', `Origin: ${origin}`, 'Access-Control-Request-Method: DELETE'))
    t.equal(status, 403, origin)
    t.notMatch(text, /access-control-/i, origin)
  }
  t.equal(reached.length, 0)
})

t.test('OPTIONS that is no preflight goes on', async t => {
  const { app, port, reached } = await start()
  t.teardown(() => app.close())
  t.equal((await sendRaw(port, request('OPTIONS /v3/devices'))).status, 200)
  t.equal(reached.length, 1)
})

t.test('Origin and what the browser says of itself do not go on', async t => {
  const { app, port } = await start()
  t.teardown(() => app.close())
  const { text } = await sendRaw(port, request('GET /', `Origin: ${page}`, 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: cors', 'X-Mine: 1'))
  t.match(text, /"headers":\["X-Mine","1"\]/)
})
