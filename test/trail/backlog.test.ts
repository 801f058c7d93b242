import { test } from 'tap'
import { Backlog } from '../../src/trail/backlog.ts'

const lines = Array.from({ length: 450 }, (_, index) => `${String(index).padStart(3, '0')}\n`)

test('what was kept is written in order, and once', async t => {
  const backlog = new Backlog(10_000)
  backlog.keep(lines)
  const written: string[] = []
  let count = 0
  backlog.write(text => { written.push(text) }, more => { count += more })
  t.equal(written.join(''), lines.join(''))
  t.same([count, backlog.size, backlog.lost], [450, 0, 0])
})

test('where writing fails, that piece and all behind it stay', async t => {
  const backlog = new Backlog(10_000)
  backlog.keep(lines)
  const written: string[] = []
  let count = 0
  const failSecond = (text: string) => {
    if (written.length === 1) throw new Error('ENOSPC')
    written.push(text)
  }
  t.throws(() => backlog.write(failSecond, more => { count += more }), { message: 'ENOSPC' })
  t.same([count, backlog.size], [200, 250])
  written.length = 0
  backlog.write(text => { written.push(text) }, more => { count += more })
  t.same([written.join(''), count], [lines.slice(200).join(''), 450])
})

test('what finds no room is counted as lost, and room is there again once some was written', async t => {
  const backlog = new Backlog(10)
  backlog.keep(['1234567\n', '123\n', '\n'])
  t.same([backlog.size, backlog.lost], [2, 1])
  backlog.write(() => {}, () => {})
  backlog.keep(['123456789\n'])
  t.same([backlog.size, backlog.lost], [1, 1])
})
