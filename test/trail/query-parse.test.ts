import fc from 'fast-check'
import { test } from 'tap'
import { isProxyError } from '../../src/errors.ts'
import { parseDate } from '../../src/trail/query/dates.ts'
import { parseListQuery, type Filter } from '../../src/trail/query/parse.ts'

const ms = (text: string) => Date.parse(text)

const dates: Array<[text: string, from: string, to: string | number]> = [
  ['2026', '2026-01-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['2026-12', '2026-12-01T00:00:00Z', '2027-01-01T00:00:00Z'],
  ['2024-02-29', '2024-02-29T00:00:00Z', '2024-03-01T00:00:00Z'],
  ['2026-01-02T03', '2026-01-02T03:00:00Z', '2026-01-02T04:00:00Z'],
  ['2026-01-02T03:04', '2026-01-02T03:04:00Z', '2026-01-02T03:05:00Z'],
  ['2026-01-02T03:04:05Z', '2026-01-02T03:04:05Z', 1],
  ['2026-01-02T03:04:05.6789Z', '2026-01-02T03:04:05.678Z', 1],
  ['2026-01-02T03:04:05+02:00', '2026-01-02T01:04:05Z', 1],
  ['2026-01-02T23:04-0130', '2026-01-03T00:34:00Z', 60_000],
  ['20161130T162512Z', '2016-11-30T16:25:12Z', 1]
]

for (const [text, from, to] of dates) {
  test(`reads the date ${text}`, t => {
    t.strictSame(parseDate(text), { from: ms(from), to: typeof to === 'number' ? ms(from) + to : ms(to) })
    t.end()
  })
}

test('refuses what is no date', t => {
  for (const text of ['', 'yesterday', '26', '2026-13', '2026-02-30', '2025-02-29', '2026-01-02T24', '2026-01-02T03:60', '2026-01-02T03:04:05Zx', '1700000000000']) {
    t.equal(parseDate(text), undefined, text)
  }
  t.end()
})

test('parses the API\'s conventions', t => {
  t.strictSame(parseListQuery(''), { filters: [], text: '', limit: 50, after: null, order: 'ASC', includeTotal: false })
  const id = 'a'.repeat(32)
  t.match(parseListQuery(`limit=7&after=${id}&order=desc&include=total_count&q=%20devices%20`), { limit: 7, after: id, order: 'DESC', includeTotal: true, text: 'devices' })
  t.equal(parseListQuery('limit=1').limit, 2, 'out of range is clamped')
  t.equal(parseListQuery('limit=-5').limit, 2)
  t.equal(parseListQuery('limit=100000').limit, 1000)
  t.strictSame(parseListQuery('filter=').filters, [], 'the vendor\'s SDK sends it so')
  const filters: Array<[string, Filter]> = [
    ['status__eq=404', { field: 'status', op: 'in', values: [404] }],
    ['status=404', { field: 'status', op: 'in', values: [404] }],
    ['status__neq=200', { field: 'status', op: 'nin', values: [200] }],
    ['status__in=404,500', { field: 'status', op: 'in', values: [404, 500] }],
    ['member__nin=a,b', { field: 'member', op: 'nin', values: ['a', 'b'] }],
    ['error_type__eq=', { field: 'error_type', op: 'in', values: [null] }],
    ['duration_ms__gte=1.5', { field: 'duration_ms', op: 'gte', value: 1.5 }],
    ['started_at__gte=2026-01', { field: 'started_at', op: 'gte', value: ms('2026-01-01T00:00:00Z') }],
    ['started_at__lte=2026-01', { field: 'started_at', op: 'lte', value: ms('2026-02-01T00:00:00Z') - 1 }],
    ['started_at__eq=2026', { field: 'started_at', op: 'within', spans: [{ from: ms('2026-01-01T00:00:00Z'), to: ms('2027-01-01T00:00:00Z') }] }],
    ['started_at__gte=2026-01-02T03:04:05+02:00', { field: 'started_at', op: 'gte', value: ms('2026-01-02T01:04:05Z') }],
    ['filter=path__eq%3D%252Fv3%252Fdevices', { field: 'path', op: 'in', values: ['/v3/devices'] }]
  ]
  for (const [text, filter] of filters) t.strictSame(parseListQuery(text).filters, [filter], text)
  t.strictSame(parseListQuery('filter=status%3D404%26method__eq%3DGET').filters.length, 2)
  t.end()
})

test('names every wrong parameter, and what it should be', t => {
  const wrong: Array<[string, string, RegExp]> = [
    ['limit=ten', 'limit', /2 to 1000/],
    ['after=17', 'after', /32 hex/],
    ['order=up', 'order', /ASC or DESC/],
    ['include=everything', 'include', /total_count/],
    ['staus__eq=1', 'staus__eq', /Did you mean status\?/],
    ['status__like=4', 'status__like', /__gte/],
    ['status__eq=many', 'status__eq', /whole number/],
    ['duration_ms__gte=', 'duration_ms__gte', /Needs a value/],
    ['outcome__eq=fine', 'outcome__eq', /answered/],
    ['started_at__gte=soon', 'started_at__gte', /RFC 3339/],
    ['filter=nonsense%3D1', 'filter', /No such parameter/],
    [`member__in=${'a,'.repeat(100)}`, 'member__in', /100 values/],
    ['__proto__=1', '__proto__', /No such parameter/],
    ['constructor=1', 'constructor', /No such parameter/]
  ]
  for (const [text, name, message] of wrong) {
    try {
      parseListQuery(text)
      t.fail(text)
    } catch (error) {
      t.ok(isProxyError(error) && error.type === 'validation_error', text)
      t.match((error as { fields?: unknown }).fields, [{ name, message }])
    }
  }
  t.throws(() => parseListQuery('limit=x&order=y'), { fields: [{ name: 'limit' }, { name: 'order' }] } as never)
  t.end()
})

test('never throws anything but validation_error', t => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.webQueryParameters()), text => {
    try {
      parseListQuery(text)
    } catch (error) {
      return isProxyError(error) && error.type === 'validation_error'
    }
    return true
  }), { numRuns: 3000 })
  t.end()
})
