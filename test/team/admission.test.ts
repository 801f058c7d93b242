import { Agent } from 'node:http'
import { request as requestTls } from 'node:https'
import { test } from 'tap'
import { createToken } from '../../src/team/token.ts'
import { findNetwork } from '../../src/team/wrong-tokens.ts'
import { makeAuthority } from '../support/certificates.ts'
import { ask } from '../support/client.ts'
import { makeToken, startTeamServer } from '../support/team-server.ts'

test('lets a member in by the token in Authorization, whatever the case of the scheme', async t => {
  const { token, entry } = makeToken()
  const { url, entries } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry] } } } })
  for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEARER ']) {
    const response = await fetch(`${url}/v3/devices`, { headers: { authorization: `${scheme} ${token}` } })
    t.equal(response.status, 200, scheme)
    t.same(await response.json(), { member: { name: 'alice', role: 'member' }, decision: 'allow' })
  }
  t.match(entries[0], { member: 'alice', policy_decision: 'allow' })
})

test('answers everybody else with one constant 401, whatever they try', async t => {
  const { token, entry } = makeToken()
  const expired = makeToken({ expires: '2020-01-01' })
  const { url, entries } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry, expired.entry] } } } })
  const attempts: Array<[string, Record<string, string>]> = [
    ['no token', {}],
    ['an unknown token', { authorization: `Bearer ${createToken()}` }],
    ['an expired token', expired.headers],
    ['another scheme', { authorization: `Token ${token}` }],
    ['no scheme', { authorization: token }],
    ['Basic', { authorization: `Basic ${Buffer.from(`x:${token}`).toString('base64')}` }],
    ['half a token', { authorization: `Bearer ${token.slice(0, -1)}` }],
    ['more than a token', { authorization: `Bearer ${token}x` }],
    ['another case', { authorization: `Bearer ${token.toUpperCase()}` }],
    ['two tokens', { authorization: `Bearer ${token} ${token}` }],
    ['a list', { authorization: `Bearer ${token}, Bearer ${token}` }],
    ['a tab', { authorization: `Bearer\t${token}` }],
    ['the digest', { authorization: `Bearer ${String(entry['sha256'])}` }],
    ['8 KiB', { authorization: `Bearer izp_${'A'.repeat(8192)}` }],
    ['a real key\'s shape', { authorization: 'Bearer ak_1' + 'A'.repeat(107) }],
    ['a cookie', { cookie: `token=${token}; Authorization=Bearer ${token}` }],
    ['another header', { 'x-api-key': token, 'proxy-authorization': `Bearer ${token}` }],
    ['a subprotocol without an upgrade', { 'sec-websocket-protocol': `wss, pelion_${token}` }],
    ['a forwarded member', { 'x-forwarded-user': 'alice', 'x-forwarded-uri': '/_proxy/livez', 'x-original-url': '/_proxy/livez' }],
    ['a health checker\'s name', { 'user-agent': 'GoogleHC/1.0 kube-probe/1.30' }]
  ]
  const bodies = new Set<string>()
  for (const [what, headers] of attempts) {
    const answer = await ask(url, '/v3/devices', { headers })
    t.equal(answer.status, 401, what)
    bodies.add(answer.text.replace(/"request_id":"[^"]*"/, ''))
  }
  t.equal((await ask(url, `/v3/devices?token=${token}&authorization=Bearer%20${token}`)).status, 401, 'the query')
  t.equal(bodies.size, 1, [...bodies].join('\n'))
  t.ok(entries.every(({ attempts, member, policy_decision: decision }) => attempts === 0 && member === '' && decision === ''), 'nothing was attributed or forwarded')
})

test('asks for a token on every method and path, the probes and the console\'s files aside', async t => {
  const { entry } = makeToken()
  const { url } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry] } } } })
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) t.equal((await ask(url, '/v3/devices', { method })).status, 401, method)
  for (const path of ['/', '/nothing/here', '/_proxy', '/_proxy/status', '/_proxy/trail', '/_proxy/metrics', '/_proxy/pages/v3/devices', '/_proxy/livez/', '/_proxy/livez/x', '/_proxy//livez', '/_proxy/livez2', '/_proxy/LIVEZ', '/livez', '/_proxy/consolex', '/_proxy//console/x']) {
    t.equal((await ask(url, path)).status, 401, path)
  }
  t.equal((await ask(url, '/_proxy/livez', { method: 'POST' })).status, 401)
  t.equal((await ask(url, '/_proxy/console/', { method: 'DELETE' })).status, 401)
  for (const path of ['/_proxy/livez', '/_proxy/readyz', '/_proxy/readyz?verbose', '/_proxy/console', '/_proxy/console/', '/_proxy/console/assets/a.js']) {
    t.equal((await ask(url, path)).status, 200, path)
  }
})

test('takes the token of a WebSocket from the subprotocol, in any order', async t => {
  const { token, entry } = makeToken()
  const { app, url } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry] } } } })
  // Without an upgrade listener Node hands the request to the ordinary routes, headers and all.
  app.server.removeAllListeners('upgrade')
  const upgrade = async (protocol: string, more = {}) => (await ask(url, '/v2/notification/websocket-connect', { headers: { connection: 'upgrade', upgrade: 'websocket', 'sec-websocket-protocol': protocol, ...more } })).status
  t.equal(await upgrade(`wss, pelion_${token}`), 200)
  t.equal(await upgrade(`pelion_${token},wss`), 200)
  t.equal(await upgrade(`pelion_${token}`), 200)
  t.equal(await upgrade('wss'), 401)
  t.equal(await upgrade(`wss, ${token}`), 401)
  t.equal(await upgrade(`pelion_${token}, pelion_${token}`), 401, 'two are none')
  t.equal(await upgrade(`wss, pelion_${createToken()}`), 401)
  t.equal(await upgrade(`wss, pelion_${token}`, { authorization: `Bearer ${createToken()}` }), 401, 'a wrong Authorization is not helped by the subprotocol')
})

test('the policy decides on the canonical path, and the 403 names the rule', async t => {
  const { headers, entry } = makeToken()
  const { url, entries } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry], deny: ['DELETE /v3/devices/*'] } } } })
  const answer = await ask(url, '/v3//devices/1', { method: 'DELETE', headers })
  t.equal(answer.status, 403)
  t.match(JSON.parse(answer.text), { type: 'member_forbidden', code: 403, message: 'The policy of the member alice forbids this: DELETE /v3/devices/*. izuma-proxy team test alice METHOD PATH explains it.' })
  t.match(entries[0], { member: 'alice', policy_decision: 'deny DELETE /v3/devices/*', attempts: 0 })
  const console = await ask(url, '/v3/devices/1/console', { headers })
  t.equal(console.status, 403)
  t.match(JSON.parse(console.text), { message: /no-remote-shell.*a rule in the member's "allow" that names the path lifts it/ })
})

test('report mode lets through and leaves a note', async t => {
  const { headers, entry } = makeToken()
  const { url, entries } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry], mode: 'report', presets: ['read-only'] } } } })
  t.equal((await ask(url, '/v3/devices', { method: 'POST', headers })).status, 200)
  t.match(entries[0], { policy_decision: 'would-deny read-only' })
})

test('without a team everybody is local and may do everything', async t => {
  const { url, entries } = await startTeamServer(t)
  t.same(JSON.parse((await ask(url, '/v3/devices', { method: 'DELETE' })).text), { member: { name: 'local', role: 'admin' }, decision: 'allow' })
  for (const [method, path] of [['GET', '/_proxy/metrics'], ['POST', '/v3/api-keys'], ['GET', '/v3/devices/1/console']] as const) {
    t.equal((await ask(url, path, { method })).status, 200, path)
  }
  t.match(entries.at(-1), { member: 'local', policy_decision: 'allow' })
})

test('PROXY_LOCAL_DENY takes presets and rules', async t => {
  const { url, entries } = await startTeamServer(t, { settings: { '--local-deny': 'no-remote-shell, DELETE /v3/devices/**' } })
  t.equal((await ask(url, '/v3/api-keys', { method: 'POST' })).status, 200)
  t.equal((await ask(url, '/v3/devices')).status, 200)
  t.equal((await ask(url, '/v3/devices/1', { method: 'DELETE' })).status, 403)
  const denied = await ask(url, '/v3/devices/1/console')
  t.equal(denied.status, 403)
  t.match(JSON.parse(denied.text), { message: /no-remote-shell\. PROXY_LOCAL_DENY says so/ })
  t.match(entries.at(-1), { policy_decision: 'deny no-remote-shell' })
  await t.rejects(startTeamServer(t, { settings: { '--local-deny': 'v3/api-keys' } }), { message: /PROXY_LOCAL_DENY: "v3\/api-keys" is no preset/ })
})

test('with mutual TLS the certificate\'s CN names the member', async t => {
  const authority = makeAuthority()
  const stranger = makeAuthority('somebody else')
  const server = authority.issue()
  const { token, entry } = makeToken()
  const bobs = makeToken()
  const { url } = await startTeamServer(t, {
    team: { members: { alice: { tokens: [entry] }, bob: { tokens: [bobs.entry] } } },
    settings: { '--tls-cert-file': 'unread', '--tls-key-file': 'unread', '--tls-client-ca-file': 'unread' },
    https: { ...server, ca: authority.ca, requestCert: true, rejectUnauthorized: false }
  })
  const askAs = (certificate: { cert: string, key: string } | undefined, headers = {}) => new Promise<[number, string]>((resolve, reject) => {
    requestTls(`${url}/v3/devices`, { ca: authority.ca, agent: false, headers, ...certificate }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', (text: string) => { body += text }).on('end', () => resolve([answer.statusCode ?? 0, body]))
    }).on('error', reject).end()
  })
  const alice = authority.issue({ commonName: 'alice', altNames: [] })
  t.match(await askAs(alice), [200, /"alice"/])
  t.match(await askAs(alice, { authorization: `Bearer ${token}` }), [200, /"alice"/])
  t.match(await askAs(alice, bobs.headers), [401, /member_unknown/], 'a certificate and a token of two members are nobody\'s')
  t.match(await askAs(alice, { authorization: 'Bearer nonsense' }), [401, /member_unknown/])
  t.match(await askAs(authority.issue({ commonName: 'mallory', altNames: [] })), [401, /member_unknown/])
  t.match(await askAs(stranger.issue({ commonName: 'alice', altNames: [] })), [401, /member_unknown/], 'a certificate that others signed is none')
  t.match(await askAs(undefined), [401, /member_unknown/])
})

test('a thousand wrong tokens cost little, are limited by address, and shut no member out', async t => {
  const { headers, entry } = makeToken()
  const { url, entries, log } = await startTeamServer(t, { team: { members: { alice: { tokens: [entry] } } } })
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const wrong = { agent, headers: { authorization: `Bearer ${createToken()}` } }
  const startedAt = performance.now()
  const before = process.cpuUsage()
  const answers = await Promise.all(Array.from({ length: 1000 }, () => ask(url, '/v3/devices', wrong)))
  agent.destroy()
  const elapsedMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(before)
  const refused = answers.filter(({ status }) => status === 401).length
  t.ok(refused >= 50 && refused <= 50 + 5 * elapsedMs / 1000 + 1, `${refused} × 401`)
  t.equal(answers.filter(({ status, headers }) => status === 429 && headers['retry-after'] === '1').length, 1000 - refused, 'the rest 429')
  t.equal((await fetch(`${url}/v3/devices`, { headers })).status, 200)
  t.ok(entries.length >= 1001, 'each has its entry')
  t.match(log.filter(line => line['network'] !== undefined), [{ network: '127.0.0.1' }], 'one line says so')
  t.comment(`${Math.round(elapsedMs)} ms, CPU of server and client together ${Math.round((user + system) / 1000)} ms`)
})

test('counts IPv6 clients by their network and IPv4 clients one by one', async t => {
  t.equal(findNetwork('192.0.2.7'), '192.0.2.7')
  t.equal(findNetwork('::ffff:192.0.2.7'), '192.0.2.7')
  t.equal(findNetwork('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2')
  t.equal(findNetwork('2001:db8:1:2::9'), '2001:db8:1:2')
  t.equal(findNetwork('2001:db8::9'), '2001:db8:0:0')
  t.equal(findNetwork('fe80::1%eth0'), 'fe80:0:0:0')
  t.equal(findNetwork('::1'), '0:0:0:0')
  t.equal(findNetwork(''), '')
})
