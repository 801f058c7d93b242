import t from 'tap'
import { checkForwarded, startAttacked, valuesOf } from '../support/attacked-proxy.ts'
import { fullKey, memberToken } from '../support/credentials.ts'

const get = (...headers: string[]) => ['GET /v3/devices HTTP/1.1', 'Host: localhost', ...headers, '', ''].join('\r\n')

// A proxy that obeys Connection after it has set its own headers lets the client strip them (CVE-2026-33805, CVE-2024-45410, CVE-2025-48865).
t.test('Connection names headers to take away: not ours', async t => {
  const attacked = await startAttacked(t)
  for (const named of ['authorization', 'host, authorization', 'Authorization, close', 'content-length', 'x-mine, authorization']) {
    const { status, reached } = await attacked.attack(get(`Connection: ${named}`, 'X-Mine: 1', 'Authorization: Bearer x'))
    t.equal(status, 200, named)
    const [request] = reached
    if (request === undefined) return t.fail('nothing forwarded')
    checkForwarded(t, attacked, request, named)
    t.same(valuesOf(request.rawHeaders, 'x-mine'), named.includes('x-mine') ? [] : ['1'], 'but those of the client')
    t.notMatch(valuesOf(request.rawHeaders, 'connection').join(), /authorization/i)
  }
})

// Stripping Content-Length by Connection would leave a body without an end.
t.test('Connection names Content-Length: the body keeps its end', async t => {
  const attacked = await startAttacked(t)
  const { status, reached } = await attacked.attack('POST /v3/devices HTTP/1.1\r\nHost: localhost\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello')
  t.equal(status, 200)
  t.same(valuesOf(reached[0]?.rawHeaders ?? [], 'content-length'), ['5'])
})

// X_Forwarded_For and X-Forwarded-For are one variable for CGI and its heirs: the twin gets past whoever strips the other (CVE-2025-64484).
t.test('underscore twins of managed headers', async t => {
  const attacked = await startAttacked(t)
  const { reached } = await attacked.attack(get('X_Forwarded_For: 1.2.3.4', 'Authorization_: x', 'Content_Length: 99', 'Transfer_Encoding: chunked', 'X_Anything: y', 'X-Kept: z'))
  const [request] = reached
  if (request === undefined) return t.fail('nothing forwarded')
  checkForwarded(t, attacked, request, 'twins')
  t.same(request.rawHeaders.filter((name, i) => i % 2 === 0 && name.includes('_')), [])
  t.same(valuesOf(request.rawHeaders, 'x-kept'), ['z'])
})

// Whoever believes X-Original-URL, X-Forwarded-Uri or a method override judges, or serves, another request than the one that was sent (CVE-2026-40575).
t.test('headers that claim another URL, method or origin of the request', async t => {
  const attacked = await startAttacked(t)
  const claims = ['X-Original-URL', 'X-Rewrite-URL', 'X-Forwarded-Uri', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Proto', 'Forwarded', 'X-Real-IP', 'X-HTTP-Method-Override', 'X-Method-Override', 'Via']
  const { reached } = await attacked.attack(get(...claims.map(name => `${name}: /v3/api-keys`)))
  const names = (reached[0]?.rawHeaders ?? []).filter((_, i) => i % 2 === 0).map(name => name.toLowerCase())
  t.same(names.filter(name => claims.some(claim => claim.toLowerCase() === name)), [])
  t.match(reached, [{ method: 'GET', url: '/v3/devices' }])
})

// What is meant for this hop, and the client's own credentials, are nobody else's business (reliability: hop-by-hop leaks upstream).
t.test('hop-by-hop headers, cookies and credentials of the client stay here', async t => {
  const attacked = await startAttacked(t)
  const dropped = ['Proxy-Authorization', 'Proxy-Connection', 'Keep-Alive', 'TE', 'Trailer', 'HTTP2-Settings', 'Cookie', 'Origin', 'Sec-Fetch-Site', 'Sec-Fetch-Mode']
  const { status, reached } = await attacked.attack(get(...dropped.map(name => `${name}: ${name === 'Origin' ? 'http://localhost' : name === 'Sec-Fetch-Site' ? 'same-origin' : 'x'}`), `Authorization: Bearer ${memberToken}`, `X-Api-Key: ${fullKey}`, `Referer: http://localhost/?apiKey=${fullKey}`))
  t.equal(status, 200)
  const { rawHeaders = [] } = reached[0] ?? {}
  for (const name of dropped) t.same(valuesOf(rawHeaders, name.toLowerCase()), [], name)
  for (const credential of [memberToken, fullKey]) t.notOk(rawHeaders.join('\n').includes(credential))
  t.same(valuesOf(rawHeaders, 'referer'), ['http://localhost/'])
})

// A key in a URL is in histories, logs and Referer headers from then on; in a page's own address it came from the vendor's samples.
t.test('keys and tokens in the URL', async t => {
  const attacked = await startAttacked(t)
  const ask = (target: string) => attacked.attack(`GET ${target} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  t.match(await ask(`/v3/devices?apiKey=${fullKey}&limit=2`), { status: 200, reached: [{ url: '/v3/devices?limit=2' }] })
  t.match(await ask(`/v3/api-keys/${fullKey}`), { status: 400, reached: { length: 0 } })
  t.match(await ask(`/v3/devices?token=${memberToken}`), { status: 400, reached: { length: 0 } })
  const rows = await attacked.rows(3)
  t.same(rows.map(({ notes }) => notes), ['key_removed_from_query', 'key_in_path', 'token_in_url'])
  for (const credential of [fullKey, memberToken]) t.notOk((JSON.stringify(rows) + attacked.proxy.log()).includes(credential.slice(-16)))
})

// A log line or a trail row that a header or a target can break, or fill, is one an attacker can write.
t.test('log injection: control characters and endless values', async t => {
  const attacked = await startAttacked(t)
  await attacked.attack(get(`User-Agent: \x1b[31m{"msg":"forged"} ${'a'.repeat(4000)}`.replace('\x1b', '\xe9')))
  await attacked.attack('GET /v3/devices?a=%0a%7b%22msg%22:%22forged%22%7d HTTP/1.1\r\nHost: localhost\r\n\r\n')
  const lines = attacked.proxy.log().trim().split('\n').map(line => JSON.parse(line) as { msg?: string })
  t.notOk(lines.some(({ msg }) => msg === 'forged'))
})
