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

t.test('again after a busy time, at most every 20 seconds', async t => {
  const engine = fakeEngine()
  const collector = new IdleCollector(engine)
  collector.look()
  engine.held = 33 * megabyte
  engine.time = 30_000
  collector.look()
  t.equal(engine.collections, 1, 'not worth it')
  engine.held = 80 * megabyte
  collector.look()
  t.equal(engine.collections, 2)
  engine.held = 80 * megabyte
  for (const [time, expected] of [[35_000, 2], [49_999, 2], [50_000, 3]] as const) {
    engine.time = time
    collector.look()
    t.equal(engine.collections, expected, `at ${time} ms`)
  }
})

t.test('a thread with a small heap gives back less', async t => {
  const engine = fakeEngine()
  const collector = new IdleCollector(engine, 4 * megabyte)
  collector.look()
  engine.time = 30_000
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
