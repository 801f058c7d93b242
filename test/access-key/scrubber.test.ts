import fc from 'fast-check'
import { test } from 'tap'
import { createScrubber, scrubHeaderValue, type Scrubber } from '../../src/access-key/scrubber.ts'
import { Secret } from '../../src/access-key/secret.ts'
import { anyCuts, cut, passThrough } from '../support/chunks.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { findWindows } from '../support/leaks.ts'
import { makeKey, makeOfEachLayout, makeSecretPart, seededBytes } from '../support/synthetic-keys.ts'
import { anyEncoding, encodings, mixedEncoding, surroundings } from '../support/wraps.ts'

const runs = fuzzRuns()
const bytes = seededBytes(runs.seed ?? 0)
const key = makeKey(bytes)
const secrets = [new Secret(key)]
const create = (keys: readonly Secret[] = secrets) => createScrubber(keys) as Scrubber
const scrubWhole = (text: string) => passThrough(create(), [Buffer.from(text)])
/** What stands in the place of so many characters. */
const removed = (length: number) => '[access key removed]' + '*'.repeat(length - 20)

test('takes the key out of a body, whatever its writing, and nothing else', async t => {
  const pelion = 'pelion_' + key
  for (const [name, encode] of Object.entries(encodings)) {
    for (const text of [key, pelion]) {
      const written = encode(text)
      const body = `{"a": "é", "echo": "${written}", "b": 1}`
      const clean = scrubWhole(body)
      t.equal(clean.length, body.length, name)
      t.equal(clean.slice(0, 20), body.slice(0, 20), name)
      t.equal(clean.slice(-10), body.slice(-10), name)
      t.same(findWindows(clean, key.slice(79)), [], name)
      t.match(clean, '[access key removed]', name)
    }
  }
  t.equal(scrubWhole(`"${key}"`), `"${removed(111)}"`)
  t.equal(scrubWhole(`"${pelion}"`), `"${removed(118)}"`)
  t.equal(scrubWhole(`["${key.slice(79)}"]`), `["${removed(32)}"]`, 'the secret part alone')
  t.equal(scrubWhole(`["${key.slice(90, 106)}"]`), `["${'*'.repeat(16)}"]`, 'too short for the words')
  t.equal(scrubWhole(key + key), removed(222))
})

test('leaves other keys, also of the same account, and the public part of its own', async t => {
  const sibling = key.slice(0, 47) + makeKey(bytes).slice(47)
  const body = JSON.stringify({ object: 'api-key', key: sibling, mine: key.slice(0, 79), id: key.slice(47, 79), secret: makeSecretPart(bytes), almost: key.slice(0, 79 + 15) })
  t.equal(scrubWhole(body), body)
  const chunk = Buffer.from(JSON.stringify({ key: sibling, id: key.slice(47, 79) }))
  t.equal(create().push(chunk), chunk, 'not copied')
})

test('any body without the key passes byte for byte, however it is cut', async () => {
  const parts = fc.oneof(surroundings, fc.string({ unit: 'binary' }), fc.constantFrom(key.slice(0, 79), key.slice(79, 94), key.slice(-15), makeKey(bytes)))
  fc.assert(fc.property(anyCuts(fc.array(parts, { maxLength: 8 }).map(all => all.join(' '))), chunks =>
    passThrough(create(), chunks) === Buffer.concat(chunks).toString()), runs)
})

test('no sixteen characters in a row of a secret part survive, whatever wraps them, however the body is cut', async t => {
  for (const { what, key, secret } of makeOfEachLayout(bytes)) {
    const keys = [new Secret(key)]
    const stretch = fc.tuple(fc.nat({ max: key.length - 16 }), fc.nat({ max: key.length })).map(([from, more]) => key.slice(from, from + 16 + more))
    const wrapped = fc.tuple(surroundings, stretch, surroundings, anyEncoding).map(([before, text, after, encode]) => encode(before + text + after))
    const written = fc.tuple(surroundings, fc.oneof(wrapped, stretch.chain(mixedEncoding)), surroundings).map(parts => parts.join(''))
    fc.assert(fc.property(anyCuts(written), chunks => {
      const before = Buffer.concat(chunks).toString()
      const after = passThrough(create(keys), chunks)
      return Buffer.byteLength(after) === Buffer.byteLength(before) && findWindows(after, secret).length === 0
    }), runs)
    t.pass(what)
  }
})

test('what stands around a key passes byte for byte, however the body is cut', async () => {
  const text = fc.string({ maxLength: 40 }).filter(text => !/[A-Za-z0-9%\\]$/.test(text))
  const cuts = fc.oneof(fc.constant('bytes' as const), fc.array(fc.nat(), { maxLength: 8 }))
  fc.assert(fc.property(text, text, cuts, (before, after, cuts) => {
    const whole = Buffer.from(`${before}"${key}"${after}`)
    const clean = passThrough(create(), cut(whole, cuts))
    // Up to seven characters of the prefix may have been passed on before there was reason to hold them.
    const prefix = /^[^[]{0,7}/.exec(clean.slice(before.length + 1))?.[0] ?? ''
    return clean === `${before}"${prefix}${removed(111 - prefix.length)}"${after}` && key.startsWith(prefix)
  }), runs)
})

test('an event goes out at once, and so does anything that cannot be the beginning of a key', async t => {
  const scrubber = create()
  for (const text of ['data: {"a":1}\n\n', ': keep-alive\n\n', '.', '7', 'progress 10%', 'C:\\', 'ak_1', 'the end of a chunk that was cut in the middle of a wor']) {
    const chunk = Buffer.from(text)
    t.equal(scrubber.push(chunk), chunk, text)
  }
  t.equal(scrubber.end().length, 0)
})

test('holds back what may become a key, and gives it out as soon as it is none', async t => {
  const scrubber = create()
  t.equal(scrubber.push(Buffer.from('{"key":"' + key.slice(0, 60))).toString(), '{"key":"')
  t.equal(scrubber.push(Buffer.from('!"}\n')).toString(), key.slice(0, 60) + '!"}\n')
  t.equal(scrubber.push(Buffer.from('more')).toString(), 'more')
  t.equal(scrubber.push(Buffer.from(key.slice(0, 30))).length, 0)
  t.equal(scrubber.end().toString(), key.slice(0, 30), 'a body may end like that')
})

test('counts what it took out', async t => {
  const scrubber = create()
  passThrough(scrubber, [Buffer.from(`${key} ${key.slice(79)}`), Buffer.from(' and '), Buffer.from(key.slice(0, 50)), Buffer.from(key.slice(50))])
  t.equal(scrubber.removed, 3)
})

test('looks for every key that may be in flight', async t => {
  const keys = [new Secret(makeKey(bytes)), new Secret(makeKey(bytes))]
  for (const one of keys) t.equal(passThrough(create(keys), [Buffer.from(one.reveal())]), removed(111))
})

test('without a key there is nothing to look for', async t => {
  t.equal(createScrubber([]), undefined)
  t.equal(scrubHeaderValue('a value of a header', []), 'a value of a header')
})

test('takes the key out of header values', async t => {
  for (const [name, encode] of Object.entries(encodings)) {
    const clean = scrubHeaderValue(`Bearer ${encode(key)}; x`, secrets)
    t.same(findWindows(clean, key.slice(79)), [], name)
    t.match(clean, '[access key removed]', name)
  }
  t.equal(scrubHeaderValue(`/v3/echo?key=${encodeURIComponent(key)}&a=b`, secrets), '/v3/echo?key=[access key removed]&a=b')
  for (const value of ['', 'application/json; charset=utf-8', 'Sat, 22 Nov 2025 21:59:00 GMT', key.slice(47, 79), key.slice(0, 79), makeKey(bytes)]) t.equal(scrubHeaderValue(value, secrets), value)
})
