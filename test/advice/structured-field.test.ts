import fc from 'fast-check'
import t from 'tap'
import { serializeItem, serializeList } from '../../src/advice/structured-field.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { parseTokens } from '../support/structured-field.ts'

t.test('a list is one that RFC 9651 reads', t => {
  t.equal(serializeList([serializeItem('a_b', 'x'), serializeItem('c', 'say "no" to \\')]), 'a_b;text="x", c;text="say \\"no\\" to \\\\"')
  t.strictSame(parseTokens('a_b;text="x", c;text="say \\"no\\" to \\\\"'), [['a_b', 'x'], ['c', 'say "no" to \\']])
  t.end()
})

const texts = fc.array(fc.oneof(fc.string(), fc.constantFrom('"', '\\', '\n', '\u0000', 'é', '😀', ',', ';'))).map(parts => parts.join(''))

t.test('any text survives, less what a header can\'t hold', t => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('a', 'key_removed', 'x-y.z'), texts), { minLength: 1, maxLength: 4 }), items => {
    const parsed = parseTokens(serializeList(items.map(([token, text]) => serializeItem(token, text))))
    return parsed.every(([token, text], index) => token === items[index]?.[0] && text === items[index]?.[1].replace(/[^ -~]/g, '?'))
  }), fuzzRuns())
  t.end()
})

t.test('what is no token is refused', t => {
  for (const token of ['', '1a', 'a b', 'a"', 'é']) t.throws(() => serializeItem(token, ''), TypeError)
  t.end()
})
