import fc from 'fast-check'
import t from 'tap'
import { forwardRequestHeaders } from '../../src/guard/request-headers.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { escapeAll, fullKey, legacyKey, memberToken } from '../support/credentials.ts'

function forward (...raw: string[]): string[] {
  return forwardRequestHeaders(raw, { acceptEncoding: value => value })
}

t.test('passes what it does not know: order, case, duplicates and bytes', async t => {
  const raw = [
    'user-agent', 'curl/8', 'ACCEPT', '*/*', 'Content-Type', 'application/json', 'content-length', '2', 'Content-MD5', 'abc==', 'X-Custom', 'one', 'x-custom', 'two',
    'X-Empty', '', 'X-Latin', 'caf\xe9', 'X-Request-ID', 'abc', 'If-None-Match', '"x"', 'Range', 'bytes=0-1', 'Priority', 'u=1'
  ]
  t.same(forward(...raw), raw)
})

t.test('drops what belongs to this connection, or is not the client\'s to say', async t => {
  for (const name of [
    'Host', 'Authorization', 'Cookie', 'Cookie2', 'Keep-Alive', 'TE', 'Trailer', 'Transfer-Encoding', 'Upgrade', 'HTTP2-Settings', 'Expect', 'Proxy-Connection', 'Proxy-Authorization', 'Proxy-Anything',
    'X-Forwarded-For', 'X-Forwarded-Host', 'X-Forwarded-Anything', 'Forwarded', 'Via', 'X-Real-IP', 'X-Client-IP', 'True-Client-IP', 'CF-Connecting-IP',
    'X-Original-URL', 'X-Rewrite-URL', 'X-HTTP-Method', 'X-HTTP-Method-Override', 'X-Method-Override',
    'Origin', 'Sec-Fetch-Site', 'Sec-Fetch-Mode', 'Access-Control-Request-Method', 'Sec-WebSocket-Key', 'Sec-WebSocket-Protocol', 'X-Proxy-Request-ID',
    'X_Forwarded_For', 'X_Real_IP', 'Content_Length', 'Transfer_Encoding', 'Authorization_', '_', 'AUTHORIZATION', 'hOsT'
  ]) t.same(forward('A', '1', name, 'x', 'B', '2'), ['A', '1', 'B', '2'], name)
})

t.test('drops what Connection names, wherever it stands, but never the length of the body', async t => {
  t.same(forward('X-Hop', '1', 'Connection', 'x-hop, X-Other ,close', 'x-other', '2', 'X-End', '3'), ['X-End', '3'])
  t.same(forward('Connection', 'a', 'Connection', 'b', 'A', '1', 'B', '2', 'C', '3'), ['C', '3'])
  t.same(forward('Connection', 'keep-alive', 'Keep-Alive', 'timeout=5', 'A', '1'), ['A', '1'])
  t.same(forward('Connection', 'content-length, host, authorization', 'Content-Length', '5', 'A', '1'), ['Content-Length', '5', 'A', '1'])
})

t.test('asks for the encodings it is told to', async t => {
  const headers = (wanted: string | undefined) => forwardRequestHeaders(['Accept-Encoding', 'gzip, br', 'A', '1'], { acceptEncoding: () => wanted })
  t.same(headers('identity'), ['Accept-Encoding', 'identity', 'A', '1'])
  t.same(headers(undefined), ['A', '1'])
})

t.test('takes keys out of Referer and of every other header', async t => {
  const page = 'http://localhost:5173/app'
  t.same(forward('Referer', `${page}?apiKey=${fullKey}&host=x`), ['Referer', `${page}?host=x`])
  t.same(forward('referer', `${page}?${fullKey}`), ['referer', page])
  t.same(forward('Referer', `${page}/${fullKey}#x`), ['Referer', `${page}/[access key removed]#x`])
  t.same(forward('Referer', `${page}?a=${memberToken}`), ['Referer', `${page}?a=[member token removed]`])
  t.same(forward('Referer', `${page}?a=b`), ['Referer', `${page}?a=b`])
  t.same(forward('X-Api-Key', fullKey, 'X-Old', `k ${legacyKey} k`, 'X-Escaped', escapeAll(fullKey), 'X-Token', memberToken),
    ['X-Api-Key', '[access key removed]', 'X-Old', 'k [access key removed] k', 'X-Escaped', '[access key removed]', 'X-Token', '[member token removed]'])
})

const managed = /^(?:host|authorization|cookie2?|connection|keep-alive|te|trailer|transfer-encoding|upgrade|http2-settings|expect|forwarded|via|origin|x-real-ip|proxy-.*|x-forwarded-.*|x-proxy-.*|sec-fetch-.*|.*_.*)$/i

const names = fc.oneof(
  fc.constantFrom('Host', 'Authorization', 'Cookie', 'Connection', 'Keep-Alive', 'TE', 'Transfer-Encoding', 'Upgrade', 'X-Forwarded-For', 'X_Forwarded_For', 'Proxy-Authorization', 'Content-Length', 'Accept', 'X-A', 'x-a', 'X-B'),
  fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,20}$/))
const values = fc.oneof(fc.constantFrom('x-a', 'x-b, close', 'keep-alive', 'authorization', fullKey, ''), fc.stringMatching(/^[!-~\x80-\xff]([ -~\x80-\xff]{0,30}[!-~\x80-\xff])?$/))

t.test('for any headers: nothing managed goes on, nothing is invented, the rest keeps its order', async () => {
  fc.assert(fc.property(fc.array(fc.tuple(names, values), { maxLength: 20 }), pairs => {
    const headers = forward(...pairs.flat())
    const named = new Set(pairs.filter(([name]) => name.toLowerCase() === 'connection').flatMap(([, value]) => value.split(',').map(option => option.trim().toLowerCase())))
    const expected = pairs.filter(([name]) => !managed.test(name) && (name.toLowerCase() === 'content-length' || !named.has(name.toLowerCase()))).map(([name]) => name)
    const kept = headers.filter((_, i) => i % 2 === 0)
    if (JSON.stringify(kept) !== JSON.stringify(expected)) throw new Error(`kept ${kept.join()} of ${expected.join()}`)
    if (headers.join('\n').includes(fullKey)) throw new Error('a key went on')
  }), fuzzRuns())
})
