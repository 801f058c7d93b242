import { test, type Test } from 'tap'
import { HeldEvents } from '../../src/channel/shared/held-events.ts'
import { StreamWriter } from '../../src/channel/shared/stream-writer.ts'
import type { FleetService } from '../../src/decorations.ts'
import { waitFor } from '../support/wait-for.ts'

type Answer = [state: number, head: string]

interface Write { head: number, after: string, texts: string[], answer: (answer: Answer) => void, fail: () => void }

/** A writer whose Redis is the test: what was written, and when it is answered. `seen` = read back from the stream up to there. */
function startWriter () {
  const writes: Write[] = []
  const held = new HeldEvents('me', 100_000)
  const marks: string[] = []
  const stream = {
    epoch: 'e',
    first: 1,
    known: 0,
    whole: true,
    lost: 0,
    seen: 0,
    async catchUp () {
      for (; stream.seen < stream.known; stream.seen++) held.confirm(marks[stream.seen] ?? '')
    },
    noteWritten (head: number) { stream.known = Math.max(stream.known, head) },
    noteOvertaken (head: number) { stream.known = Math.max(stream.known, head) },
    noteLost () { stream.lost++ }
  }
  const redis = {
    eval: (_script: string, _count: number, _epoch: string, _head: string, _events: string, ...words: Array<string | number>) => new Promise((resolve, reject) => {
      const texts = words.slice(4).filter((_, index) => index % 3 === 2).map(String)
      writes.push({ head: Number(words[1]), after: String(words[3]), texts, answer: resolve, fail: () => reject(new Error('Command timed out')) })
      marks.push(...words.slice(4).filter((_, index) => index % 3 === 0).map(String))
    })
  }
  const writer = new StreamWriter({ fleet: { redis, up: true } as unknown as FleetService, keys: ['epoch', 'head', 'events'], held, stream, dropKnown: text => text === 'known' ? null : text })
  const append = (text: string) => {
    held.add({ to: null, text, gap: null }, 1)
    writer.write()
  }
  return { writes, held, stream, writer, append, marks }
}

const written = (writes: Write[], count: number) => waitFor(`${count} writes`, () => writes.length, length => length === count, 2000)
const turn = () => new Promise(resolve => setTimeout(resolve, 5))

test('an event goes out when it comes, whatever has not been answered yet, each behind the one before', async (t: Test) => {
  const { writes, append, held, stream } = startWriter()
  append('a')
  await written(writes, 1)
  append('b')
  append('c')
  t.same(writes.map(({ head, after, texts }) => [head, after, texts]), [[0, '', ['a']], [1, 'me:1', ['b']], [2, 'me:2', ['c']]], 'in the same turn, with no answer yet')
  for (const [index, { answer }] of writes.entries()) answer([1, String(index + 1)])
  await turn()
  append('d')
  t.same(writes.at(-1)?.head, 3, 'nor does it wait for its own events to be read back')
  t.equal(stream.known, 3)
  await stream.catchUp()
  t.equal(held.size, 1)
})

test('where another has written, what was under way goes again behind it, once, less what the other brought', async t => {
  const { writes, append, stream, marks, held } = startWriter()
  append('a')
  await written(writes, 1)
  append('known')
  append('c')
  writes[0]?.answer([1, '1'])
  marks.splice(1, 2, 'other:1', 'other:2')
  writes[1]?.answer([0, '3'])
  await turn()
  append('d')
  t.equal(writes.length, 3, 'not before all is answered')
  writes[2]?.answer([0, '3'])
  await written(writes, 4)
  t.same([writes[3]?.head, writes[3]?.after, writes[3]?.texts], [3, '', ['c', 'd']])
  t.equal(held.size, 2)
  t.equal(stream.lost, 0)
})

test('what may or may not have arrived is looked for before it goes again', async t => {
  const { writes, append } = startWriter()
  append('a')
  await written(writes, 1)
  append('b')
  writes[0]?.answer([1, '1'])
  writes[1]?.fail()
  await written(writes, 3)
  t.same([writes[2]?.head, writes[2]?.texts], [1, ['b']], 'as if it had not arrived')
  writes[2]?.answer([0, '2'])
  await turn()
  append('c')
  await written(writes, 4)
  t.same([writes[3]?.head, writes[3]?.texts], [2, ['c']], 'it had')
})

test('a stream that is another, or shorter than it was, is looked at, and everything unconfirmed waits', async t => {
  const { writes, append, stream, held, writer } = startWriter()
  append('a')
  await written(writes, 1)
  writes[0]?.answer([-1, '0'])
  await turn()
  t.equal(stream.lost, 1)
  t.equal(held.size, 1)
  writer.write()
  await written(writes, 2)
  t.same(writes[1]?.texts, ['a'])
})
