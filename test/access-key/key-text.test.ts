import { test } from 'tap'
import { KeyFault, parseKey } from '../../src/access-key/key-text.ts'
import { makeJwt, makeKey, makeMemberToken, makeOfEachLayout, makePublicPart, seededBytes } from '../support/synthetic-keys.ts'

test('takes a key of every layout', async t => {
  for (const { what, key } of makeOfEachLayout(seededBytes(1))) t.equal(parseKey(key).reveal(), key, what)
})

test('drops white space around a key, as editors and echo leave it', async t => {
  const key = makeKey()
  for (const text of [`${key}\n`, `${key}\r\n`, `${key}\n\n`, `  ${key}\t`, `\ufeff${key}\n`]) t.equal(parseKey(text).reveal(), key)
})

test('says what is wrong with a text that is no key, and never the text', async t => {
  const key = makeKey()
  const cases: [text: string, reason: RegExp][] = [
    ['', /^is empty$/],
    ['\n \r\n', /^is empty$/],
    [`${key}\n${key}\n`, /more than one word or line/],
    [`Bearer ${key}`, /begins with "Bearer"/],
    [`IZUMA_ACCESS_KEY=${key}`, /holds a name/],
    [`key="${key}"`, /holds a name/],
    [`"${key}"`, /cannot stand in a key/],
    [`${key}\0`, /cannot stand in a key/],
    [`${key}é`, /cannot stand in a key/],
    [`${key}\r\nX-Evil: 1`, /more than one word or line/],
    [makeMemberToken(), /member token of this proxy/],
    [makePublicPart(), /only the public part/],
    ['changeme', /holds 8 characters/],
    ['a'.repeat(8193), /more than 8192 characters/]
  ]
  for (const [text, reason] of cases) {
    try {
      parseKey(text)
      t.fail(`took ${JSON.stringify(text)}`)
    } catch (error) {
      if (!(error instanceof KeyFault)) throw error
      t.match(error.message, reason)
      t.not(error.nextStep, '')
      t.notMatch(error.message + error.nextStep + error.stack, key.slice(79))
    }
  }
  t.ok(makeJwt().length < 8192)
})
