import assert from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { MemoryLog } from '../../src/channel/memory-log.ts'

const event = (text: string) => ({ to: null, text, gap: null })

t.test('holds what was appended, up to its size, the newest always', async () => {
  fc.assert(fc.property(fc.array(fc.nat(3000), { maxLength: 300 }), sizes => {
    const log = new MemoryLog({ maxBytes: 20_000, maxAgeMs: 1e9 }, 'e', () => 0)
    for (const size of sizes) log.append(event('x'.repeat(size)))
    assert.equal(log.head, sizes.length)
    let bytes = 0
    for (let position = log.first; position <= log.head; position++) {
      const held = log.at(position)
      assert.equal(held?.position, position)
      assert.equal(held?.bytes.length, sizes[position - 1])
      bytes += (held?.bytes.length ?? 0) + 256
    }
    assert.equal(log.stats().bytes, bytes)
    assert.ok(bytes <= 20_000 || log.first === log.head)
    assert.equal(log.at(log.first - 1), undefined)
    assert.equal(log.at(log.head + 1), undefined)
  }), { numRuns: 100 })
})

t.test('holds no more memory than it says: an event has its bytes to itself, not a piece of a pool', async t => {
  const log = new MemoryLog({ maxBytes: 20_000, maxAgeMs: 1e9 }, 'e', () => 0)
  for (const text of ['x'.repeat(300), 'ü€', '']) log.append(event(text))
  for (const [position, text] of ['x'.repeat(300), 'ü€', ''].entries()) {
    const bytes = log.at(position + 1)?.bytes
    t.equal(bytes?.toString(), text)
    t.equal(bytes?.buffer.byteLength, bytes?.length)
  }
})

t.test('drops what is too old', async t => {
  let now = 0
  const log = new MemoryLog({ maxBytes: 1e6, maxAgeMs: 100 }, 'e', () => now)
  log.append(event('a'))
  now = 50
  log.append(event('b'))
  now = 101
  log.expire()
  t.same([log.first, log.head], [2, 2])
})

t.test('keeps one event that is larger than the log', async t => {
  const log = new MemoryLog({ maxBytes: 10, maxAgeMs: 1e9 }, 'e', () => 0)
  log.append(event('x'.repeat(100)))
  t.equal(log.at(1)?.bytes.length, 100)
  log.append(event('y'))
  t.equal(log.first, 2)
})

t.test('knows its own ids and no others', async t => {
  const log = new MemoryLog({ maxBytes: 1e6, maxAgeMs: 1e9 }, 'now', () => 0)
  log.append(event('a'))
  t.equal(log.positionOf(log.idOf(1)), 1)
  t.equal(log.positionOf('now-0'), 0, 'the place before the first event')
  for (const id of ['before-1', 'now-2', 'now-', 'now', '', 'now--1', 'now-1e3', 'now-x', '1']) t.equal(log.positionOf(id), undefined, id)
})

t.test('tells its listeners until they leave', async t => {
  const log = new MemoryLog({ maxBytes: 1e6, maxAgeMs: 1e9 }, 'e', () => 0)
  let calls = 0
  const leave = log.onAppend(() => { calls++ })
  log.append(event('a'))
  leave()
  log.append(event('b'))
  t.equal(calls, 1)
})
