import { setTimeout as pause } from 'node:timers/promises'
import { test } from 'tap'
import { AnswerWatch, type Waiting } from '../../src/upstream/answer-watch.ts'

class Exchange implements Waiting {
  place = -1
  deadlineMs = Infinity
  isReading = false
  code: string | undefined
  expire (error: Error): void { this.code = (error as NodeJS.ErrnoException).code ?? '' }
}

function makeWatch (t: { teardown (end: () => void): void }): AnswerWatch {
  const watch = new AnswerWatch()
  // Its own timer keeps no process alive.
  const alive = setInterval(() => {}, 1000)
  t.teardown(() => { watch.close(); clearInterval(alive) })
  return watch
}

test('tells who waits too long for headers from who waits too long for the rest', async t => {
  const watch = makeWatch(t)
  const [forHeaders, forBody, patient, done] = [new Exchange(), new Exchange(), new Exchange(), new Exchange()]
  for (const exchange of [forHeaders, forBody, done]) watch.await(exchange, 100)
  watch.await(patient, 0)
  forBody.isReading = true
  watch.remove(done)
  await pause(1100)
  t.equal(forHeaders.code, 'UND_ERR_HEADERS_TIMEOUT')
  t.equal(forBody.code, 'UND_ERR_BODY_TIMEOUT')
  t.equal(patient.code, undefined, '0 is no limit')
  t.equal(done.code, undefined)
})

test('is never early, and begins anew with each step', async t => {
  const watch = makeWatch(t)
  const exchange = new Exchange()
  for (let step = 0; step < 4; step++) {
    watch.await(exchange, 500)
    await pause(400)
    t.equal(exchange.code, undefined)
  }
})

test('does not hold it against upstream that this process stood still', async t => {
  const watch = makeWatch(t)
  const exchange = new Exchange()
  watch.await(exchange, 300)
  const until = performance.now() + 1500
  while (performance.now() < until) { /* blocked */ }
  // What came meanwhile is read now, before the next look.
  await new Promise(resolve => setImmediate(resolve))
  t.equal(exchange.code, undefined)
  watch.await(exchange, 300)
  await pause(200)
  t.equal(exchange.code, undefined)
})
