import t from 'tap'
import { judgeHeaders } from '../../src/guard/framing.ts'
import { escapeAll, fullKey, memberToken } from '../support/credentials.ts'

t.test('lets one Host and one framing in', async t => {
  t.same(judgeHeaders(['Host', 'a'], '1.1'), { host: 'a', hasBody: false, keyAsToken: false, keyElsewhere: false })
  t.same(judgeHeaders(['host', 'a', 'Content-Length', '0'], '1.0'), { host: 'a', hasBody: false, keyAsToken: false, keyElsewhere: false })
  t.same(judgeHeaders(['HOST', 'a', 'content-length', '5', 'Content-Type', 'x'], '1.1'), { host: 'a', hasBody: true, keyAsToken: false, keyElsewhere: false })
  t.same(judgeHeaders(['Host', 'a', 'transfer-encoding', 'Chunked'], '1.1'), { host: 'a', hasBody: true, keyAsToken: false, keyElsewhere: false })
})

t.test('notices a key where the member token belongs', async t => {
  t.match(judgeHeaders(['Host', 'a', 'Authorization', `Bearer ${fullKey}`], '1.1'), { keyAsToken: true, keyElsewhere: false })
  t.match(judgeHeaders(['Host', 'a', 'Sec-WebSocket-Protocol', `wss, pelion_${fullKey}`], '1.1'), { keyAsToken: true, keyElsewhere: false })
  t.match(judgeHeaders(['Host', 'a', 'Authorization', 'Bearer ak_dummy-for-the-sdk'], '1.1'), { keyAsToken: false })
  t.match(judgeHeaders(['Host', 'a', 'Authorization', `Bearer ${memberToken}`, 'Sec-WebSocket-Protocol', `pelion_${memberToken}`], '1.1'), { keyAsToken: false, keyElsewhere: false })
})

t.test('notices a key or a token in any other header', async t => {
  for (const value of [fullKey, `cloudKey=${fullKey}; a=b`, `http://localhost/?apiKey=${escapeAll(fullKey)}`, memberToken]) {
    for (const name of ['Cookie', 'Referer', 'X-Api-Key']) t.match(judgeHeaders(['Host', 'a', name, value], '1.1'), { keyAsToken: false, keyElsewhere: true }, name)
  }
  t.match(judgeHeaders(['Host', 'a', 'User-Agent', 'a client with the key in its name', 'X-Key', 'ak_'], '1.1'), { keyElsewhere: false })
})

t.test('refuses a header that may occur only once', async t => {
  for (const name of ['Host', 'Authorization', 'Content-Type', 'Content-Length', 'Transfer-Encoding', 'Origin', 'Sec-Fetch-Site', 'Sec-WebSocket-Key', 'Sec-WebSocket-Version']) {
    t.equal(judgeHeaders(['Host', 'a', name, 'chunked', 'X', 'y', name.toUpperCase(), 'chunked'], '1.1'), 'header_repeated', name)
  }
  t.equal(typeof judgeHeaders(['Host', 'a', 'Accept', 'x', 'Accept', 'y', 'Cookie', 'a', 'Cookie', 'b'], '1.1'), 'object')
})

t.test('refuses a missing Host', async t => {
  t.equal(judgeHeaders([], '1.1'), 'host_missing')
  t.equal(judgeHeaders(['X-Host', 'a'], '1.0'), 'host_missing')
})

t.test('refuses any coding but chunked, and chunked in HTTP/1.0', async t => {
  for (const coding of ['gzip, chunked', 'identity', 'chunked, chunked', 'xchunked', '', 'chunked;q=1', '"chunked"', '\x0bchunked']) t.equal(judgeHeaders(['Host', 'a', 'Transfer-Encoding', coding], '1.1'), 'transfer_encoding', coding)
  t.equal(judgeHeaders(['Host', 'a', 'Transfer-Encoding', 'chunked'], '1.0'), 'transfer_encoding')
})

t.test('speaks no other version', async t => {
  for (const version of ['2.0', '0.9', '1.2', '3.0']) t.equal(judgeHeaders(['Host', 'a'], version), 'http_version', version)
})
