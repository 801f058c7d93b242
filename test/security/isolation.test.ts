import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startApi } from '../support/api-server.ts'
import { ask } from '../support/client.ts'
import { makeAccessKey, startProxy } from '../support/proxy.ts'
import { makeToken } from '../support/team-server.ts'

/** A team of two behind an API that says who could have got which answer. */
async function startTeam (t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-isolation-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const [alice, bob] = [makeToken(), makeToken()]
  writeFileSync(join(folder, 'team.json'), JSON.stringify({ members: { alice: { tokens: [alice.entry] }, bob: { tokens: [bob.entry] } } }))
  const bodies: string[] = []
  const api = await startApi(t, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', () => {
      bodies.push(Buffer.concat(chunks).toString('latin1'))
      response.writeHead(200, { 'Content-Type': 'text/plain', 'Cache-Control': 'public, max-age=3600', ETag: '"1"' }).end(`answer ${bodies.length}`)
    })
  })
  const proxy = await startProxy(t, { api, accessKey: makeAccessKey(), flags: { '--team-file': join(folder, 'team.json') } })
  return { api, proxy, alice, bob, bodies }
}

// A shared cache, or two equal requests answered by one, gives one member what another one asked for (CVE-2026-13697); a cache of
// parsed URLs whose keys collide sends a request elsewhere (CVE-2026-16158).
t.test('every request gets an answer of its own, whatever the API says of caching', async t => {
  const { api, proxy, alice, bob } = await startTeam(t)
  const paths = ['/v3/devices', '/v3/devices', '/v3/devices?limit=2', '/v3/devices?limit=2&', '/v3/Devices', '/v3/devices/', '/v3//devices', '/v3/%64evices']
  const asked = paths.flatMap(path => [alice, bob].map(({ headers }) => ask(proxy.url, path, { headers: { ...headers, 'Cache-Control': 'max-stale', 'If-None-Match': '"1"' } })))
  const answers = await Promise.all(asked)
  t.equal(new Set(answers.map(({ text }) => text)).size, answers.length)
  t.same(api.seen.map(({ url }) => url).toSorted(), [...paths, ...paths].toSorted(), 'each went up as it was sent')
})

// A body that is parsed and written anew, by a type that was misread, is another body (CVE-2023-51701, CVE-2026-33806).
t.test('a body goes up byte for byte, whatever its type claims to be', async t => {
  const { proxy, alice, bodies, api } = await startTeam(t)
  const body = '{"a": 1, "a" : 2,\t"__proto__": {}}\r\n\xff\x00'
  const types = ['application/json', 'application/json ; charset=utf-7', 'application/json\tx', 'text/plain', 'multipart/form-data', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded', 'APPLICATION/JSON', 'application/json, text/plain', 'nonsense', '']
  for (const type of types) t.equal((await ask(proxy.url, '/v3/devices', { method: 'POST', headers: { ...alice.headers, 'Content-Type': type }, body: Buffer.from(body, 'latin1') })).status, 200, type)
  t.same(bodies, types.map(() => body))
  t.same(api.seen.map(({ rawHeaders }) => rawHeaders[rawHeaders.findIndex(name => name.toLowerCase() === 'content-type') + 1]), types)
})

// Who trusts X-Forwarded-For of everybody counts, logs and limits whom a client names (CVE-2026-3635).
t.test('a client is who connects, not who it says it is', async t => {
  const { proxy, alice } = await startTeam(t)
  const claims = { 'X-Forwarded-For': '203.0.113.9', 'X-Real-IP': '203.0.113.9', Forwarded: 'for=203.0.113.9', 'X-Forwarded-User': 'bob', 'X-Forwarded-Host': 'evil.example', 'X-Proxy-Request-ID': 'f'.repeat(32), 'X-Request-ID': 'e'.repeat(32) }
  const answer = await ask(proxy.url, '/v3/devices', { headers: { ...alice.headers, ...claims } })
  t.equal(answer.status, 200)
  const [row] = await proxy.trail(rows => rows[0]?.outcome === 'answered')
  t.match(row, { client_address: '127.0.0.1', member: 'alice' })
  t.not(row?.id, 'f'.repeat(32))
  t.not(answer.headers['x-proxy-request-id'], 'f'.repeat(32))
})
