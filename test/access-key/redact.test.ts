import fc from 'fast-check'
import { test } from 'tap'
import { keyMarker, redact, Redactor, tokenMarker } from '../../src/access-key/redact.ts'
import { Secret } from '../../src/access-key/secret.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { findWindows } from '../support/leaks.ts'
import { makeJwt, makeKey, makeMemberToken, makeOfEachLayout, makePublicPart, makeReferenceToken, makeSecretPart, makeShortKey, seededBytes } from '../support/synthetic-keys.ts'
import { anyEncoding, encodings, mixedEncoding, surroundings } from '../support/wraps.ts'

const runs = fuzzRuns()
const bytes = seededBytes(runs.seed ?? 0)

test('removes keys of strangers by their looks', async t => {
  const key = makeKey()
  const cases: [what: string, text: string, expected: string][] = [
    ['a key', `key ${key}.`, `key ${keyMarker}.`],
    ['an access key of version 2', makeKey(bytes, '2'), keyMarker],
    ['an older, shorter key', makeShortKey(), keyMarker],
    ['the public part alone', makePublicPart(), keyMarker],
    ['a key cut short', key.slice(0, 30), keyMarker],
    ['a WebSocket subprotocol', `wss, pelion_${key}`, `wss, ${keyMarker}`],
    ['a query parameter', `/v3/devices?apiKey=${key}&limit=2`, `/v3/devices?apiKey=${keyMarker}&limit=2`],
    ['a bare query', `/?${key}`, `/?${keyMarker}`],
    ['a percent-encoded key', `?k=${encodeURIComponent(key)}&l`, `?k=${keyMarker}&l`],
    ['a nested filter', `filter=key__eq%3D${encodeURIComponent(key)}%26a%3Db`, `filter=key__eq%3D${keyMarker}%26a%3Db`],
    ['one encoded letter', '%61k_' + key.slice(3), keyMarker],
    ['an encoded underscore', 'ak%5F' + key.slice(3), keyMarker],
    ['encoded twice', 'a%256b_' + key.slice(3), keyMarker],
    ['escaped by JSON', '"\\u0061k_' + key.slice(3).replaceAll('/', '\\/') + '"', `"${keyMarker}"`],
    ['escaped by JSON in JSON', '"\\\\u0061k_' + key.slice(3) + '\\n"', `"${keyMarker}\\n"`],
    ['glued to a word', `token${key}`, `token${keyMarker}`],
    ['base64 of a key', `user=${Buffer.from(key).toString('base64')}`, `user=${keyMarker}`],
    ['base64 of pelion_ and a key', Buffer.from('pelion_' + key).toString('base64url'), keyMarker],
    ['a reference token', `"reference_token":"${makeReferenceToken()}"`, `"reference_token":"${tokenMarker}"`],
    ['a member token', makeMemberToken(), tokenMarker],
    ['a member token of a WebSocket', `pelion_${makeMemberToken()}`, tokenMarker],
    ['a JWT', `Authorization: Bearer ${makeJwt()}`, `Authorization: Bearer ${tokenMarker}`],
    ['a percent-encoded JWT', makeJwt().replaceAll('.', '%2E'), tokenMarker],
    ['basic credentials', `Basic ${Buffer.from('me:a password 1').toString('base64')}`, `Basic ${tokenMarker}`]
  ]
  for (const [what, text, expected] of cases) t.equal(redact(text), expected, what)
})

test('leaves ordinary text as it is', async t => {
  const cases = [
    '/v3/devices/0161991d63150000000000010010cbd8?include=total_count',
    'peak_load_measurement_of_the_sensor', 'break_glass_procedure_enabled', 'full_report_file', 'start_time_of_campaign',
    'support_rt_channel', 'ak_', 'rt_', 'izp_…', 'Bearer izp_…', 'A valid member token is needed: Authorization: Bearer izp_…',
    'state%3Dregistered%26created_at__gte%3D2024-01-01T00%3A00%3A00Z', '%7B%22a%22%3A%5B1%5D%7D', keyMarker, tokenMarker,
    'sha256:0123abcd', 'Basic authentication is not supported', 'C:\\u00e9\\file', ''
  ]
  for (const text of cases) t.equal(redact(text), text, text)
})

test('keeps JSON valid', async t => {
  const inner = fc.oneof(fc.constant(makeKey(bytes)), fc.constant(makeJwt(bytes)), fc.string(), fc.constantFrom('\\', '\\u0061k_', '"', '/', 'ak_1', '\n'))
  const value = fc.array(inner, { maxLength: 6 }).map(parts => parts.join(''))
  fc.assert(fc.property(value, fc.boolean(), (text, nested) => {
    const line = JSON.stringify({ text: nested ? JSON.stringify({ text }).replaceAll('/', '\\/') : text })
    const redactor = new Redactor()
    redactor.add(new Secret(makeKey(bytes)))
    JSON.parse(redact(line))
    JSON.parse(redactor.redact(line))
  }), runs)
})

test('is done after one pass', async t => {
  const part = fc.oneof(fc.constant(makeKey(bytes)), fc.constant(makeJwt(bytes)), surroundings)
  fc.assert(fc.property(fc.array(part, { maxLength: 6 }), parts => {
    const once = redact(parts.join(''))
    return redact(once) === once
  }), runs)
})

test('no sixteen characters in a row of a known key survive, whatever wraps them', async t => {
  for (const { what, key, secret } of makeOfEachLayout(bytes)) {
    const redactor = new Redactor()
    redactor.add(new Secret(key))
    const stretch = fc.tuple(fc.nat({ max: key.length - 16 }), fc.nat({ max: key.length })).map(([from, more]) => key.slice(from, from + 16 + more))
    const wrapped = fc.tuple(surroundings, stretch, surroundings, anyEncoding, anyEncoding, surroundings, surroundings)
      .map(([before, text, after, inner, outer, left, right]) => left + outerOf(outer, inner)(before + text + after) + right)
    const mixed = fc.tuple(surroundings, stretch.chain(mixedEncoding), surroundings).map(parts => parts.join(''))
    fc.assert(fc.property(fc.oneof(wrapped, mixed), text => findWindows(redactor.redact(text), secret).length === 0), runs)
    t.pass(what)
  }
})

test('the search for survivors finds what is there', async t => {
  const secret = makeSecretPart()
  for (const [name, encode] of Object.entries(encodings)) {
    t.equal(findWindows(`a "${encode('x' + secret + 'yz')}"`, secret).length, 17, name)
  }
})

test('tells a known key from others', async t => {
  const redactor = new Redactor()
  const key = makeKey()
  redactor.add(new Secret(key))
  t.equal(redactor.redact(`a ${key.slice(79)} b`), `a ${keyMarker} b`, 'its secret part alone')
  t.equal(redactor.redact(`b64 ${Buffer.from('me:' + key.slice(70)).toString('base64')}`).includes(keyMarker), true)
  const keyId = key.slice(47, 79)
  t.equal(redactor.redact(`/v3/api-keys/${keyId}`), `/v3/api-keys/${keyId}`, 'its id is no secret')
  const other = makeSecretPart()
  t.equal(redactor.redact(other), other)
})

test('remembers the last sixteen keys', async t => {
  const redactor = new Redactor()
  const keys = Array.from({ length: 17 }, () => makeKey())
  for (const key of keys) redactor.add(new Secret(key))
  redactor.add(new Secret(keys[16] as string))
  t.equal(keys.filter(key => redactor.redact(key.slice(79)) === keyMarker).length, 16)
})

/** The second encoding of two must leave the first readable: reading hex of base64 takes two steps, and nobody logs that. */
function outerOf (outer: (text: string) => string, inner: (text: string) => string): (text: string) => string {
  const escaping = [encodings['raw'], encodings['percent'], encodings['JSON, slashes escaped'], encodings['JSON in JSON'], encodings['JSON, all of it escaped']]
  return escaping.includes(outer) ? text => outer(inner(text)) : inner
}
