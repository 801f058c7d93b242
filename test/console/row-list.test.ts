import t from 'tap'
import type { TrailRecord } from '../../src/console/web/answers.ts'
import { addNewer, addOlder, findWindow, noRows } from '../../src/console/web/row-list.ts'

const record = (id: string, outcome: TrailRecord['outcome'] = 'answered') => ({ id, outcome }) as TrailRecord
const idsOf = ({ rows }: { rows: readonly TrailRecord[] }) => rows.map(row => row.id).join('')

t.test('new records come on top, newest first', async t => {
  const { list, added } = addNewer(addNewer(noRows, [record('a'), record('b')]).list, [record('c'), record('d')])
  t.equal(idsOf(list), 'dcba')
  t.equal(added, 2)
})

t.test('a record that comes again is replaced where it stands', async t => {
  const before = addNewer(noRows, [record('a', 'open'), record('b')]).list
  const { list, added } = addNewer(before, [record('a'), record('c')])
  t.equal(idsOf(list), 'cba')
  t.equal(list.rows[2]?.outcome, 'answered')
  t.equal(added, 1)
  t.equal(before.rows[1]?.outcome, 'open', 'the list before stays as it was')
})

t.test('a record told twice in one burst is one row, the latest', async t => {
  const { list } = addNewer(noRows, [record('a', 'open'), record('a')])
  t.same(list.rows, [record('a')])
})

t.test('keeps no more rows than it may, and says what fell off', async t => {
  const { list, added, dropped } = addNewer(addOlder(noRows, [record('b'), record('a')]), [record('c'), record('d')], 3)
  t.equal(idsOf(list), 'dcb')
  t.same([added, dropped], [2, 1])
  t.equal(idsOf(addOlder(list, [record('b'), record('a')])), 'dcba', 'it can be loaded again')
})

t.test('puts the rows in sight on the page, and a few around them', async t => {
  const cases: Array<[scrollTop: number, height: number, count: number, start: number, end: number]> = [
    [0, 100, 0, 0, 0],
    [0, 100, 5, 0, 5],
    [0, 100, 10_000, 0, 12],
    [100_000, 100, 10_000, 9_998, 10_000],
    [50_000, 100, 10_000, 4_998, 5_012],
    [-20, 100, 10_000, 0, 12],
    // The list has become shorter than where the reader is.
    [90_000, 100, 10, 8, 10]
  ]
  for (const [scrollTop, height, count, start, end] of cases) t.same(findWindow(scrollTop, height, 10, count, 2), { start, end }, `${scrollTop} of ${count}`)
})
