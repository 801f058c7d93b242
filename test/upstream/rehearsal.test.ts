import { test } from 'tap'
import { rehearseSending } from '../../src/upstream/rehearsal.ts'

test('a request to nobody is answered, by nobody, as often as one likes', { timeout: 10_000 }, async t => {
  t.equal(await rehearseSending(), 200)
  t.equal(await rehearseSending(), 200)
})
