import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { sliceArray, sliceObject } from '../../src/channel/json-slices.ts'

const space = fc.constantFrom('', ' ', '\n', '\r\n\t', '  ')

/** JSON text of a value with white space wherever it may stand. */
function write (value: unknown, gap: () => string): string {
  if (Array.isArray(value)) return `[${gap()}${value.map(item => write(item, gap)).join(`${gap()},${gap()}`)}${gap()}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}${gap()}:${gap()}${write(item, gap)}`)
  return `{${gap()}${members.join(`${gap()},${gap()}`)}${gap()}}`
}

function makeGap (gaps: string[]): () => string {
  let next = 0
  return () => gaps[next++ % gaps.length] as string
}

t.test('finds the members of any object, with their bytes', async () => {
  fc.assert(fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.array(space, { minLength: 1 }), (object, gaps) => {
    const text = ' ' + write(object, makeGap(gaps))
    const found = sliceObject(text).map(({ key, start, end }) => [key, JSON.parse(text.slice(start, end)) as unknown])
    assert.equal(JSON.stringify(found), JSON.stringify(Object.entries(JSON.parse(text) as object)))
  }), { numRuns: 2000 })
})

t.test('finds the items of any array, with their bytes', async () => {
  fc.assert(fc.property(fc.array(fc.jsonValue()), fc.array(space, { minLength: 1 }), (array, gaps) => {
    const text = write(array, makeGap(gaps))
    const found = sliceArray(text, 0).map(({ start, end }) => JSON.parse(text.slice(start, end)) as unknown)
    assert.equal(JSON.stringify(found), JSON.stringify(JSON.parse(text)))
  }), { numRuns: 2000 })
})

t.test('an escaped quote ends no string, an escaped backslash before a quote does', async t => {
  const text = String.raw`{"a\"}":"x\\","b":"\\\"]}","c":[]}`
  t.strictSame(sliceObject(text).map(({ key, start, end }) => [key, text.slice(start, end)]), [['a"}', String.raw`"x\\"`], ['b', String.raw`"\\\"]}"`], ['c', '[]']])
})

t.test('keeps repeated keys apart', async t => {
  t.strictSame(sliceObject('{"a":1,"a":2}').map(({ key, start }) => [key, start]), [['a', 5], ['a', 11]])
})
