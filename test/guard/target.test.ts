import t from 'tap'
import { describeRefusedTarget, judgeTarget } from '../../src/guard/target.ts'
import { escapeAll, fullKey, jwtKey, legacyKey, memberToken, publicPart, referenceToken } from '../support/credentials.ts'

const letIn = (raw: string) => {
  const verdict = judgeTarget(raw)
  if (typeof verdict === 'string') throw new Error(`${raw} refused: ${verdict}`)
  return verdict
}

t.test('forwards byte for byte', async t => {
  for (const raw of [
    '/', '/?', '/v3/devices', '/v3/devices/', '/v3/devices?', '/v3/devices?limit=50&after=0161991d6315&order=ASC&include=total_count',
    '/v3/devices?filter=', '/v3/devices?filter=state%3Dregistered%26created_at__gte%3D2020-01-01T00%3A00%3A00Z', '/v3/devices?filter=%257B%2522a%2522%253A1%257D',
    '/v2/subscriptions/0161991d63150000000000010010ffff//3/0/1', '/v2/endpoints/abc/3303/0/5700?noResp=true', '/v3/devices?a=/../b&c=//d\\e', '/a?b=%00&c=%zz&d=%',
    '/v3/certificates/a%20b%C3%A9', '/v3/x/100%25', '/a.b/c..d/...e', '/.well-known/x', '/a:b@c/~d!$\'()*+,=', '/{a}|"<>^`', '/v3/devices??a=1&&b=2&', '/%7Euser', '/a/%2ehidden', '/_proxy/livez', '/_proxy', '/_proxyx/y'
  ]) t.equal(letIn(raw).forward, raw)
})

t.test('splits path and query at the first question mark', async t => {
  t.match(letIn('/a/b?c=d?e'), { path: '/a/b', query: 'c=d?e', canonicalPath: '/a/b', notes: [] })
  t.match(letIn('/a'), { path: '/a', query: '' })
})

t.test('gives policy a path decoded once, with single slashes', async t => {
  const cases: Record<string, string> = {
    '/v3/%61pi-keys': '/v3/api-keys',
    '/v3/%C3%A9?q=%61': '/v3/é',
    '/v2/subscriptions/x//3/0/1': '/v2/subscriptions/x/3/0/1',
    '/a///b//': '/a/b/',
    '/a%20b': '/a b',
    '/100%25': '/100%',
    '/a%3Fb%23c': '/a%3Fb%23c',
    '/v3/api-keys/x%0d%0a%09%7Fy': '/v3/api-keys/x%0D%0A%09%7Fy'
  }
  for (const [raw, canonicalPath] of Object.entries(cases)) {
    const target = letIn(raw)
    t.equal(target.canonicalPath, canonicalPath, raw)
    t.equal(target.forward, raw)
  }
})

t.test('forwards the paths that the API documents with two slashes with one', async t => {
  t.match(letIn('//ace-auth/token'), { forward: '/ace-auth/token', path: '/ace-auth/token', canonicalPath: '/ace-auth/token' })
  t.match(letIn('//v3/trust-anchors?limit=2'), { forward: '/v3/trust-anchors?limit=2', path: '/v3/trust-anchors', query: 'limit=2' })
})

const refused: Record<string, string[]> = {
  target_form: ['', '*', 'v3/devices', 'http://api.example/v3/devices', 'https://127.0.0.1/', 'api.example:443', '?a=b', '\\v3', '%2fv3'],
  target_host: ['//', '///', '//?a', '//evil.example', '//evil.example/v3', '//evil:80/', '//user@evil/', '//[::1]/', '///v3', '//%65vil/', '//..', '//./a', '//a;b/'],
  target_characters: ['/a b', '/a\tb', '/a\x00', '/a\r\nX: y', '/a\x7f', '/é', '/a?b c', '/a?b\x00', '/a?é', '/a?\x7f'],
  target_fragment: ['/a#b', '/a?b#c', '/v3/devices#/../api-keys', '/#'],
  target_backslash: ['/a\\b', '/\\evil.example', '/..\\a', '/a/\\..\\b'],
  target_encoded_slash: ['/a%2fb', '/a%2Fb', '/v3/devices%2f..%2fapi-keys', '/a%5cb', '/a%5Cb', '/%2F'],
  target_escape: ['/%', '/%a', '/%zz', '/a%u002e', '/%c0%ae%c0%ae/', '/%c0%af', '/%e9', '/%ff', '/%ed%a0%80', '/a%2'],
  target_nul: ['/a%00', '/%00', '/v3/devices%00.png', '/a/%00/b?c'],
  target_double_encoding: ['/a%252fb', '/a%252Fb', '/a%255cb', '/%252e%252e/a', '/a%2500', '/a%2525', '/a%2561', '/a%25%32%66', '/%25%35%43', '/a%253f'],
  target_dot_segment: [
    '/.', '/..', '/./', '/../', '/a/./b', '/a/../b', '/a/..', '/a/.', '/%2e', '/%2e%2e', '/a/%2e%2E/b', '/a/.%2e/b', '/a/%2e./b', '/a/%2e/b', '/..;/a', '/a/..;x=1/b', '/.;/a', '/a/%2e%2e;/b', '/a//../b', '/../_proxy/livez'
  ],
  target_trimmed: ['/v3/api-keys.', '/v3/api-keys./x', '/v3/api-keys%2e', '/v3/api-keys%20', '/v3/%20api-keys', '/v3%20/api-keys', '/v3/api-keys%09', '/v3/api-keys%0d%0a', '/v3/api-keys%C2%A0', '/v3/api-keys%e3%80%80', '/v3/api-keys%7f', '/...', '/a...', '/a.?b', '//v3/api-keys.'],
  target_path_parameter: ['/a;b', '/v3/api-keys;x=1', '/v3;/a', '/a%3bb', '/a%3Bb', '/;'],
  target_own_path: ['//_proxy/livez', '//_proxy', '/%5fproxy/livez', '/_pro%78y/trail', '/_%70roxy']
}

for (const [refusal, targets] of Object.entries(refused)) {
  t.test(`refuses as ${refusal}`, async t => {
    for (const raw of targets) t.equal(judgeTarget(raw), refusal, JSON.stringify(raw))
  })
}

t.test('removes keys from the query, and joins what is left', async t => {
  const cases: Array<[string, string]> = [
    [`/v3/devices?apiKey=${fullKey}`, '/v3/devices'],
    [`/v3/devices?${fullKey}`, '/v3/devices'],
    [`/v3/devices?limit=2&access_key=${fullKey}&order=ASC`, '/v3/devices?limit=2&order=ASC'],
    [`/v3/devices?key=${legacyKey}&a=1`, '/v3/devices?a=1'],
    [`/v3/devices?a=1&x=pelion_${fullKey}`, '/v3/devices?a=1'],
    [`/v3/api-keys?key__eq=${fullKey}&limit=2`, '/v3/api-keys?limit=2'],
    [`/v3/api-keys?filter=key__eq%3D${fullKey}`, '/v3/api-keys'],
    [`/v3/%61?a=${escapeAll(fullKey)}&b=%20`, '/v3/%61?b=%20'],
    [`//v3/trust-anchors?token=${referenceToken}`, '/v3/trust-anchors'],
    [`/?a=b&${jwtKey}&c=d&`, '/?a=b&c=d&'],
    ['/?api_key=dummy&Access-Key=x&AUTHORIZATION=Bearer%20x&a=1', '/?a=1']
  ]
  for (const [raw, forward] of cases) {
    const target = letIn(raw)
    t.equal(target.forward, forward)
    t.equal(target.forward, target.query === '' ? target.path : `${target.path}?${target.query}`)
    t.same(target.notes, ['key_removed_from_query'])
  }
})

t.test('keeps what only looks like a key', async t => {
  for (const raw of [
    `/v3/api-keys?key__eq=${publicPart}`, `/v3/api-keys?filter=key__eq%3D${publicPart}%26limit%3D2`, `/v3/accounts/1/api-keys?key__eq=${publicPart}&limit=2`,
    '/v3/device-queries?device_key__eq=abc', '/v3/api-keys?apiKey=', '/v3/devices?break_something_long_enough_to_be_one=1', '/v3/devices?start_date_of_some_long_running_campaign=2020',
    '/v3/devices?authorization_state=x', '/v3/devices?name=weak_0123456789012345678901234567890123', '/v3/keys?after=eyJhIjoxfQ'
  ]) t.match(letIn(raw), { forward: raw, notes: [] })
})

t.test('refuses a key in the path and a member token anywhere', async t => {
  for (const key of [fullKey, legacyKey, referenceToken, jwtKey, `pelion_${fullKey}`, escapeAll(fullKey)]) {
    t.equal(judgeTarget(`/v3/api-keys/${key}`), 'key_in_path', key)
    t.equal(judgeTarget(`/v3/${key}/x?a=b`), 'key_in_path', key)
  }
  for (const raw of [`/${memberToken}`, `/a?token=${memberToken}`, `/a?${memberToken}`, `/a?filter=b%3D${memberToken}`, `/a?b=${escapeAll(memberToken)}`]) t.equal(judgeTarget(raw), 'token_in_url', raw)
})

t.test('what the trail keeps of a refused target holds no credential', async t => {
  for (const credential of [fullKey, legacyKey, referenceToken, jwtKey, memberToken]) {
    for (const written of [credential, `pelion_${credential}`, escapeAll(credential), escapeAll(escapeAll(credential))]) {
      const { path, query } = describeRefusedTarget(`/v3/x/${written}/y?a=${written}&b=c`)
      t.match(path, /^\/v3\/x\/(pelion_)?\[(access key|member token) removed\]/)
      t.match(query, /^a=|^\[/)
      t.notOk(decodeURIComponent(decodeURIComponent(path + query)).includes(credential.slice(-16)), written)
    }
  }
  t.same(describeRefusedTarget('http://x/y?a=b'), { path: 'http://x/y', query: 'a=b' })
})

t.test('judges a target of the longest length in no time', async t => {
  for (const piece of ['/a', '/', '/.a', '%41', '/%2e', 'a', 'ak_', '/a?', '?a=%61k_', 'ak_1', 'eyJ', 'eyJaaaaaaaa.', '%25', '//']) {
    const raw = '/' + piece.repeat(Math.ceil(16_000 / piece.length)) + '#'
    const start = performance.now()
    judgeTarget(raw)
    describeRefusedTarget(raw)
    t.ok(performance.now() - start < 100, piece)
  }
})
