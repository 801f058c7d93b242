import fc from 'fast-check'
import { test } from 'tap'
import { InFlight, type Placed } from '../src/in-flight.ts'

test('holds what was added and not deleted, as a set would, whatever the order', async t => {
  fc.assert(fc.property(fc.array(fc.record({ item: fc.nat(9), add: fc.boolean() })), steps => {
    const items = Array.from({ length: 10 }, (_, id): Placed & { id: number } => ({ id, place: -1 }))
    const inFlight = new InFlight<Placed & { id: number }>()
    const expected = new Set<number>()
    for (const { item, add } of steps) {
      const one = items[item] as Placed & { id: number }
      if (add) inFlight.add(one)
      else inFlight.delete(one)
      if (add) expected.add(item)
      else expected.delete(item)
      const listed = inFlight.list().map(({ id }) => id)
      if (inFlight.size !== expected.size || listed.length !== expected.size || !listed.every(id => expected.has(id))) return false
    }
    return true
  }))
  t.pass('it does')
})
