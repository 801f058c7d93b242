import { test } from 'tap'
import { rehearse, rehearseLater } from '../../src/upstream/rehearsal.ts'

test('a request to nobody is answered, by nobody', { timeout: 10_000 }, async t => {
  t.equal(await rehearse(), 200)
})

test('it can be called off, and holds up no end', { timeout: 10_000 }, async t => {
  const waiting = () => process.getActiveResourcesInfo().filter(name => name === 'Timeout').length
  const before = waiting()
  const callOff = rehearseLater()
  t.equal(waiting(), before, 'nothing that keeps a process')
  callOff()
})
