import { test } from 'tap'
import { pageOf, readListQuery } from '../../src/sandbox/pagination.ts'

const items = Array.from({ length: 5 }, (_, index) => ({ id: `id${index}`, even: index % 2 === 0 }))
const read = (query: string) => readListQuery(new URLSearchParams(query))
const idsOf = (query: string): string[] => pageOf(items, read(query)).data.map(({ id }) => id)

const limits: Array<[text: string, limit: number]> = [['', 50], ['limit=', 50], ['limit=2', 2], ['limit=1', 2], ['limit=0', 2], ['limit=-5', 2], ['limit=1000', 1000], ['limit=99999', 1000], ['limit=abc', 50], ['limit=2.5', 50]]
for (const [text, limit] of limits) {
  test(`takes ?${text} as a limit of ${limit}`, async t => {
    t.equal(read(text).limit, limit)
  })
}

test('pages forward, and says whether there is more', async t => {
  t.match(pageOf(items, read('limit=2')), { object: 'list', limit: 2, after: null, order: 'ASC', has_more: true, data: [{ id: 'id0' }, { id: 'id1' }] })
  t.match(pageOf(items, read('limit=2&after=id1')), { after: 'id1', has_more: true, data: [{ id: 'id2' }, { id: 'id3' }] })
  t.match(pageOf(items, read('limit=2&after=id3')), { has_more: false, data: [{ id: 'id4' }] })
  t.match(pageOf(items, read('limit=2&after=id4')), { has_more: false, data: [] })
})

test('pages backward', async t => {
  t.strictSame(idsOf('limit=2&order=DESC'), ['id4', 'id3'])
  t.strictSame(idsOf('limit=2&order=desc&after=id3'), ['id2', 'id1'])
})

test('counts only when asked to, and what the filter lets through', async t => {
  t.notOk('total_count' in pageOf(items, read('limit=2')))
  t.equal(pageOf(items, read('limit=2&include=total_count')).total_count, 5)
  t.equal(pageOf(items, read('limit=2&include=x,total_count&even__eq=true')).total_count, 3)
})

test('pages through what a filter lets through', async t => {
  t.strictSame(idsOf('limit=2&even__eq=true'), ['id0', 'id2'])
  t.strictSame(idsOf('limit=2&even__eq=true&after=id2'), ['id4'])
})
