import t from 'tap'
import { IdleCollector, openEngine } from '../src/idle-collector.ts'

const megabyte = 1024 * 1024

function fakeEngine () {
  const engine = {
    busy: 0,
    held: 28 * megabyte,
    time: 0,
    collections: 0,
    utilization: () => engine.busy,
    heldBytes: () => engine.held,
    nowMs: () => engine.time,
    collect () {
      engine.collections++
      engine.held = 18 * megabyte
    }
  }
  return engine
}

t.test('gives back what the start took, once', async t => {
  const engine = fakeEngine()
  const collector = new IdleCollector(engine)
  collector.look()
  t.equal(engine.collections, 1)
  for (engine.time = 5_000; engine.time < 300_000; engine.time += 5_000) collector.look()
  t.equal(engine.collections, 1, 'there is nothing more to give')
})

t.test('never while there is something to do', async t => {
  const engine = fakeEngine()
  const collector = new IdleCollector(engine)
  for (engine.busy of [0.02, 0.5, 1]) collector.look()
  t.equal(engine.collections, 0)
})

t.test('again after a busy time and a minute of nothing', async t => {
  const engine = fakeEngine()
  const collector = new IdleCollector(engine)
  collector.look()
  const lookAt = (seconds: number, busy: number, held: number) => {
    Object.assign(engine, { time: seconds * 1000, busy, held: held * megabyte })
    collector.look()
    return engine.collections
  }
  t.equal(lookAt(100, 0.5, 80), 1, 'busy')
  t.equal(lookAt(105, 0, 80), 1)
  t.equal(lookAt(160, 0, 80), 1, 'not a minute yet')
  t.equal(lookAt(162, 0.02, 80), 1, 'a burst')
  t.equal(lookAt(167, 0, 80), 1)
  t.equal(lookAt(222, 0, 80), 1, 'its minute is not over')
  t.equal(lookAt(227, 0, 80), 2)
  t.equal(lookAt(400, 0, 33), 2, 'not worth it')
  t.equal(lookAt(405, 0, 34), 3)
})

t.test('a thread with a small heap gives back less', async t => {
  const engine = fakeEngine()
  const collector = new IdleCollector(engine, 4 * megabyte)
  collector.look()
  engine.time = 300_000
  engine.held = 21 * megabyte
  collector.look()
  t.equal(engine.collections, 1, 'not worth it')
  engine.held = 22 * megabyte
  collector.look()
  t.equal(engine.collections, 2)
})

t.test('the engine at hand collects, and says how busy it was', async t => {
  const engine = openEngine()
  let garbage: object[] | undefined = Array.from({ length: 300_000 }, (_, index) => ({ index }))
  t.equal(garbage.length, 300_000)
  const before = engine.heldBytes()
  garbage = undefined
  engine.collect()
  t.ok(engine.heldBytes() < before - 5 * megabyte, `${before} bytes before, ${engine.heldBytes()} after`)
  engine.utilization()
  await new Promise(resolve => { setTimeout(resolve, 200) })
  t.ok(engine.utilization() < 0.5)
  const until = performance.now() + 50
  while (performance.now() < until);
  t.ok(engine.utilization() > 0.5)
  t.equal('gc' in globalThis, false)
})
