import fc from 'fast-check'
import { test } from 'tap'
import { LinkedQueue, type Linked } from '../../src/upstream/linked-queue.ts'

class Item implements Linked<Item> {
  previous: Item | undefined
  next: Item | undefined
}

const walk = (first: Item | undefined): Item[] => first === undefined ? [] : [first, ...walk(first.next)]

test('keeps order as an array would, whoever leaves and from wherever', async t => {
  const steps = fc.array(fc.oneof({ weight: 2, arbitrary: fc.constant('push' as const) }, fc.nat(20)))
  fc.assert(fc.property(steps, steps => {
    const queue = new LinkedQueue<Item>()
    const expected: Item[] = []
    for (const step of steps) {
      if (step === 'push') {
        const item = new Item()
        queue.push(item)
        expected.push(item)
      } else if (step < expected.length) {
        queue.remove(expected.splice(step, 1)[0] as Item)
      }
      if (queue.size !== expected.length || queue.first !== expected[0]) return false
    }
    return walk(queue.first).every((item, index) => item === expected[index])
  }))
  t.pass('it does')
})

test('lets go of what left', async t => {
  const queue = new LinkedQueue<Item>()
  const [first, middle, last] = [new Item(), new Item(), new Item()]
  for (const item of [first, middle, last]) queue.push(item)
  queue.remove(middle)
  t.same([middle.previous, middle.next, first.next === last, last.previous === first], [undefined, undefined, true, true])
})
