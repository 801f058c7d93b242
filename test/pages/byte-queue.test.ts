import t from 'tap'
import { ByteQueue } from '../../src/pages/byte-queue.ts'

const bytes = (count: number) => Buffer.alloc(count)

async function collect (queue: ByteQueue): Promise<Buffer[]> {
  const chunks: Buffer[] = []
  for await (const chunk of queue) chunks.push(chunk)
  return chunks
}

t.test('a writer waits while more than the bound lies in the queue', async t => {
  const queue = new ByteQueue(10)
  const reader = queue[Symbol.asyncIterator]()
  let pushed = false
  await queue.push(bytes(10))
  const waiting = queue.push(bytes(1)).then(() => { pushed = true })
  await new Promise(resolve => setImmediate(resolve))
  t.notOk(pushed)
  t.equal((await reader.next()).value?.length, 10)
  const next = reader.next()
  await waiting
  t.ok(pushed)
  t.equal((await next).value?.length, 1)
})

t.test('a reader gets what is there before the end or the error', async t => {
  const ended = new ByteQueue(100)
  await ended.push(bytes(1))
  ended.end()
  t.strictSame((await collect(ended)).length, 1)
  const failed = new ByteQueue(100)
  await failed.push(bytes(1))
  failed.end(new Error('broken'))
  const reader = failed[Symbol.asyncIterator]()
  t.equal((await reader.next()).value?.length, 1)
  await t.rejects(reader.next(), { message: 'broken' })
})

t.test('a reader that waits is woken by bytes and by the end', async t => {
  const queue = new ByteQueue(100)
  const all = collect(queue)
  await new Promise(resolve => setImmediate(resolve))
  await queue.push(bytes(3))
  await new Promise(resolve => setImmediate(resolve))
  queue.end()
  t.equal((await all).length, 1)
})

t.test('the end frees a writer whose reader has left', async t => {
  const queue = new ByteQueue(1)
  const pushing = queue.push(bytes(5))
  queue.end(new Error('left'))
  await pushing
  queue.end()
  await t.rejects(collect(queue), { message: 'left' }, 'the first word counts')
})
