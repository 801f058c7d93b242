import t from 'tap'
import { framingCases, headerCases, hostCases, protocolCases, targetCases } from '../support/attack-cases.ts'
import { checkCases, startAttacked } from '../support/attacked-proxy.ts'

// Length and chunked disagree, or one of them is written so that readers differ: what one takes for the body, the next takes for
// another request, which then goes out under the key (CVE-2022-32213, -32214, -32215; AWS http-desync-guardian).
t.test('request smuggling: two readings of where a body ends', async t => {
  await checkCases(t, await startAttacked(t), framingCases)
})

// A line break that only one reader sees turns a value into a header, or into a request of its own (CVE-2026-1527, CVE-2023-23936).
t.test('header splitting: characters that end a line for somebody', async t => {
  await checkCases(t, await startAttacked(t), headerCases)
})

// evil.example resolves to 127.0.0.1 on its second look-up: for the browser the proxy is then part of the attacker's site
// (CVE-2025-66414, CVE-2024-28224). Only the Host header tells. Two Hosts: each reader believes another one.
t.test('DNS rebinding: a foreign name that points here', async t => {
  await checkCases(t, await startAttacked(t), hostCases)
})

// Policy judges /v3/devices/…, the API serves /v3/api-keys: dot segments, encoded or not, encoded slashes, double encodings,
// path parameters (CVE-2021-21322, CVE-2026-15631, CVE-2021-29492, CVE-2026-6321). A whole URL or a host in the target would turn
// the proxy into an open one (CVE-2020-36851, CVE-2022-35949); a # ends the path for whoever parses it as a URL (GHSA-pxq7-h93f-9jrg).
t.test('path confusion: a target that policy and API read differently', async t => {
  await checkCases(t, await startAttacked(t), targetCases)
})

// TRACE would send the key back to the client, CONNECT open a tunnel past everything, an accepted h2c upgrade let requests
// through unseen (h2c smuggling), an HTTP/2.0 version line make upstream answer in another protocol.
t.test('protocol confusion: other versions, TRACE, CONNECT, h2c', async t => {
  await checkCases(t, await startAttacked(t), protocolCases)
})

// A refused request and a good one in one segment: the good one may be the body, or the tail, of the refused one.
t.test('pipelining behind a refusal: nothing more is served from that connection', async t => {
  const attacked = await startAttacked(t)
  const refused = [...framingCases, ...headerCases, ...hostCases, ...targetCases, ...protocolCases].filter(({ verdict }) => verdict === 'out')
  for (const { title, bytes } of refused) {
    const { reached } = await attacked.attack(`${bytes}GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n`)
    t.equal(reached.length, 0, title)
  }
})

// The parser finds the fault in a body only after the request was handed on: no second request may be made of what is left.
t.test('broken body behind a request that is already with upstream', async t => {
  const attacked = await startAttacked(t)
  const start = 'POST /v3/devices HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n'
  const bodies = ['zz\r\n', '5\r\nhelloX', '-1\r\n', '0x5\r\nhello\r\n0\r\n\r\n', '5 \r\nhello\r\n0\r\n\r\n', '5\nhello\n0\n\n', '5\r\nhello\r\n0\r\nX Y: z\r\n\r\n', 'FFFFFFFFFFFFFFFFF\r\n', '5;\x00\r\nhello\r\n0\r\n\r\n', '5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n', '5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n', '5\r\nhello\r\n6_0\r\n', '5\r\nhello\r\n 0\r\n\r\n', ' ;a=b\r\nhello\r\n', '\r\nhello\r\n', '5;a=b\rc\r\nhello\r\n0\r\n\r\n', '+5\r\nhello\r\n0\r\n\r\n']
  for (const rest of bodies) {
    const { status, closed, reached } = await attacked.attack([start, rest + 'GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n'])
    t.equal(status, 400, JSON.stringify(rest))
    t.ok(closed)
    t.ok(reached.every(({ url }) => url === '/v3/devices'), 'nothing smuggled')
  }
  const rows = await attacked.rows(bodies.length)
  t.equal(rows.length, bodies.length, 'one row each')
  t.ok(rows.every(row => row.status === 400))
  t.equal(rows.filter(row => row.attempts > 0).length, attacked.api.seen.length, 'as many with an attempt as upstream saw requests')
})
