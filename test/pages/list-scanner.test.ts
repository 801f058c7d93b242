import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import type { Run } from '../../src/pages/item-cutter.ts'
import { ListError } from '../../src/pages/list-error.ts'
import { ListScanner, type ListFacts } from '../../src/pages/list-scanner.ts'
import { fuzzRuns } from '../support/fuzz.ts'
import { arrayTexts, cut, objectTexts, stringTexts, valueTexts, type Written } from '../support/json-texts.ts'

const newline = 0x0a

interface Scanned { items: string[], facts: ListFacts, scanner: ListScanner }

/** As the pages room joins runs, for lines or for a list. */
function scan (chunks: Buffer[], options: { oneLine?: boolean, maxItems?: number, maxHeldBytes?: number } = {}): Scanned {
  const scanner = new ListScanner({ separator: newline, oneLine: options.oneLine ?? false, ...options })
  const runs = chunks.flatMap(chunk => scanner.push(chunk))
  const facts = scanner.end()
  return { items: split(runs), facts, scanner }
}

/** No test item holds a raw separator unless `oneLine` is off and it is a line break between tokens. */
function split (runs: Run[]): string[] {
  const joined = runs.map(({ pieces, ends }) => Buffer.concat(pieces).toString('utf8').replaceAll('\n', '\u0001') + (ends ? '\n' : '')).join('')
  return joined.split('\n').slice(0, -1).flatMap(run => run.split('\u0001'))
}

function faultOf (scan: () => unknown): string {
  try {
    scan()
    return 'none'
  } catch (error) {
    if (error instanceof ListError) return error.fault
    throw error
  }
}

const members: fc.Arbitrary<Array<[Written, Written]>> = fc.array(fc.tuple(stringTexts(fc.oneof(fc.string(), fc.constantFrom('object', 'limit', 'order'))), valueTexts), { maxLength: 4 })
const flag = fc.boolean().map(value => ({ value, text: String(value) }))
const key = (name: string) => stringTexts(fc.constant(name))
const entities = fc.oneof(valueTexts, objectTexts(fc.tuple(members, key('id'), stringTexts(), members).map(([before, name, id, after]) => [...before, [name, id], ...after])))

const lists = fc.tuple(members, arrayTexts(entities), fc.option(flag), fc.option(stringTexts()), fc.option(stringTexts()), fc.option(fc.nat()), key('data'), fc.nat())
  .map(([others, data, more, after, marker, total, dataKey, seed]) => {
    const plain = (name: string): Written => ({ text: JSON.stringify(name), value: name })
    const listed: Array<[Written, Written]> = others.filter(([name]) => !['data', 'has_more', 'after', 'continuation_marker', 'total_count'].includes(name.value as string))
    listed.push([dataKey, data.written])
    if (more !== null) listed.push([plain('has_more'), more])
    if (after !== null) listed.push([plain('after'), after])
    if (marker !== null) listed.push([plain('continuation_marker'), marker])
    if (total !== null) listed.push([plain('total_count'), { text: String(total), value: total }])
    listed.sort(([a], [b]) => (hash(a.text) ^ seed) - (hash(b.text) ^ seed))
    return { members: listed, items: data.items }
  })

function hash (text: string): number { return [...text].reduce((sum, character) => (sum * 31 + character.charCodeAt(0)) & 0xffff, 7) }

t.test('whatever the order, the white space and the chunks, items keep their bytes and facts are JSON.parse\'s', t => {
  fc.assert(fc.property(lists.chain(({ members, items }) => objectTexts(fc.constant(members)).map(list => ({ list, items }))), fc.array(fc.nat(), { maxLength: 12 }), ({ list, items }, cuts) => {
    const { facts, scanner, ...scanned } = scan(cut(Buffer.from(list.text), cuts))
    const value = list.value as Record<string, unknown>
    assert.deepEqual(scanned.items.join('\u0001').replaceAll('\n', '\u0001'), items.map(item => item.text).join('\u0001').replaceAll('\n', '\u0001'))
    assert.equal(scanner.items.items, items.length)
    assert.equal(facts.hasMore, value['has_more'] === true)
    assert.equal(facts.after, value['after'] === '' ? undefined : value['after'])
    assert.equal(facts.continuationMarker, value['continuation_marker'] === '' ? undefined : value['continuation_marker'])
    assert.equal(facts.totalCount, value['total_count'])
    assert.equal(scanner.items.firstId, idOf(items.at(0)))
    assert.equal(scanner.items.lastId, idOf(items.at(-1)))
  }), fuzzRuns(800))
  t.end()
})

function idOf (item: Written | undefined): unknown {
  const value = item?.value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const id = (value as Record<string, unknown>)['id']
  return typeof id === 'string' ? id : undefined
}

t.test('on one line each item is the same value at the same length', t => {
  fc.assert(fc.property(arrayTexts(entities), fc.array(fc.nat(), { maxLength: 8 }), ({ written, items }, cuts) => {
    const scanned = scan(cut(Buffer.from(written.text), cuts), { oneLine: true })
    assert.equal(scanned.items.length, items.length)
    for (const [index, line] of scanned.items.entries()) {
      assert.deepEqual(JSON.parse(line), items[index]?.value)
      assert.equal(Buffer.byteLength(line), Buffer.byteLength(items[index]?.text ?? ''))
    }
  }), fuzzRuns(300))
  t.end()
})

t.test('of a text that breaks off anywhere, only whole items are passed on', t => {
  fc.assert(fc.property(lists.chain(({ members, items }) => objectTexts(fc.constant(members)).map(list => ({ list, items }))), fc.nat(), fc.array(fc.nat(), { maxLength: 5 }), ({ list, items }, length, cuts) => {
    const bytes = Buffer.from(list.text)
    const scanner = new ListScanner({ separator: newline, oneLine: true })
    const runs = cut(bytes.subarray(0, length % bytes.length), cuts).flatMap(chunk => scanner.push(chunk))
    assert.equal(faultOf(() => scanner.end()), 'incomplete')
    assert.deepEqual(split(runs).map(text => JSON.parse(text) as unknown), items.slice(0, scanner.items.items).map(item => item.value))
  }), fuzzRuns(300))
  t.end()
})

t.test('bytes at random end in a ListError or in what JSON.parse reads, never in another error', t => {
  const soup = fc.array(fc.constantFrom('{', '}', '[', ']', ',', ':', '"', '\\', 'n', 'null', '1', ' ', '"data"', '"data":[', '"has_more":true', '{"id":"a"}', '\n', '\u0000', 'é'), { maxLength: 20 }).map(parts => parts.join(''))
  fc.assert(fc.property(soup, fc.array(fc.nat(), { maxLength: 5 }), (text, cuts) => {
    let failed: unknown
    let items: string[] = []
    try {
      items = scan(cut(Buffer.from(text), cuts), { oneLine: true }).items
    } catch (error) {
      failed = error
    }
    assert.ok(failed === undefined || failed instanceof ListError, String(failed))
    const value = parse(text) as { data?: unknown } | unknown[] | undefined
    const isList = Array.isArray(value) || (typeof value === 'object' && value !== null && (Array.isArray(value.data) || value.data === null))
    if (isList && !/"data".*"data"/s.test(text)) assert.equal(failed, undefined, `${JSON.stringify(text)}: a list`)
    if (isList && failed === undefined) assert.equal(items.length, (Array.isArray(value) ? value : value.data as unknown[] | null ?? []).length)
  }), fuzzRuns(1500))
  t.end()
})

function parse (text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

t.test('what is no list is told apart from what is no JSON', t => {
  const faults = [
    ['{}', 'not-a-list'],
    ['{"object":"account","id":"1"}', 'not-a-list'],
    ['{"data":{"a":1}}', 'not-a-list'],
    ['{"data":"text"}', 'not-a-list'],
    ['', 'incomplete'],
    ['{"data":[', 'incomplete'],
    ['{"data":[]', 'incomplete'],
    ['<html>', 'malformed'],
    ['"text"', 'malformed'],
    ['{"data":[]}}', 'malformed'],
    ['{"data":[,]}', 'malformed'],
    ['{"data":[1 2]}', 'malformed'],
    ['{"data":[1,]}', 'malformed'],
    ['{"data":nope}', 'malformed'],
    ['{"data":[],"data":[]}', 'malformed'],
    ['{"data":[] "has_more":true}', 'malformed'],
    ['{"data":[],}', 'malformed'],
    ['{data:[]}', 'malformed'],
    ['{"data":["a\nb"]}', 'malformed']
  ] as const
  for (const [text, fault] of faults) t.equal(faultOf(() => scan([Buffer.from(text)])), fault, text)
  t.equal(faultOf(() => scan([Buffer.from('{"data":[],"has_more":tru}')])), 'malformed', 'a damaged has_more is no silent end')
  t.strictSame(scan([Buffer.from('{"data":null}')]).items, [], 'null is an empty list')
  t.end()
})

t.test('no more than maxItems are passed on, the rest is counted', t => {
  const text = '{"data":[{"id":"a"},{"id":"b"}, {"id":"c"},{"id":"d"}],"has_more":true}'
  for (const size of [1, 3, 7, 100]) {
    for (let maxItems = 1; maxItems <= 5; maxItems++) {
      const { items, scanner, facts } = scan(cut(Buffer.from(text), Array.from({ length: text.length }, (_, index) => index * size)), { maxItems })
      const kept = ['a', 'b', 'c', 'd'].slice(0, maxItems)
      t.strictSame(items, kept.map(id => `{"id":"${id}"}`), `${maxItems} of 4, chunks of ${size}`)
      t.equal(scanner.items.leftOut, 4 - kept.length)
      t.equal(scanner.items.lastId, kept.at(-1))
      t.ok(facts.hasMore)
    }
  }
  t.end()
})

t.test('an item too large to wait for is passed on in pieces', t => {
  const big = `{"id":"big","text":"${'x'.repeat(5000)}"}`
  const chunks = cut(Buffer.from(`[{"id":"a"},${big},{"id":"z"}]`), Array.from({ length: 60 }, (_, index) => index * 100))
  const scanner = new ListScanner({ separator: newline, oneLine: true, maxHeldBytes: 1000 })
  const spills: boolean[] = []
  const runs = chunks.flatMap(chunk => {
    const runs = scanner.push(chunk)
    spills.push(scanner.items.spilled)
    return runs
  })
  t.strictSame(split(runs), ['{"id":"a"}', big, '{"id":"z"}'])
  t.ok(spills.includes(true) && spills.at(-1) === false)
  t.equal(runs.filter(({ begins }) => begins).length, 3)
  t.ok(Math.max(...runs.map(({ pieces }) => Buffer.concat(pieces).length)) <= 1200, 'never much more at a time')
  t.end()
})

t.test('keys and ids that are longer than anything sensible are passed on all the same', t => {
  const long = 'k'.repeat(10_000)
  const text = `{"${long}":1,"data":[{"${long}":1,"id":"a"},{"id":"${long}","n":1}],"after":"${long}"}`
  const { items, facts, scanner } = scan(cut(Buffer.from(text), Array.from({ length: 400 }, (_, index) => index * 97)))
  t.strictSame(items, [`{"${long}":1,"id":"a"}`, `{"id":"${long}","n":1}`])
  t.equal(scanner.items.firstId, 'a')
  t.equal(scanner.items.lastId, undefined)
  t.equal(facts.after, undefined)
  t.end()
})
