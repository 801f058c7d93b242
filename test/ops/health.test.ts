import t from 'tap'
import type { HealthReport } from '../../src/decorations.ts'
import { createHealth, failingParts } from '../../src/ops/health.ts'

const ok: HealthReport = { state: 'ok', ready: true }

t.test('is as well as its worst part, and ready when all parts are', async t => {
  const cases: Array<[HealthReport[], string, boolean]> = [
    [[], 'ok', true],
    [[ok, ok], 'ok', true],
    [[ok, { state: 'degraded', ready: true }], 'degraded', true],
    [[{ state: 'failed', ready: true }, { state: 'degraded', ready: true }], 'failed', true],
    [[{ state: 'ok', ready: false }, ok], 'ok', false],
    [[{ state: 'failed', ready: false }, ok], 'failed', false]
  ]
  for (const [reports, state, ready] of cases) {
    const health = createHealth()
    reports.forEach((report, index) => health.register(`part-${index}`, () => report))
    t.match(health.overview(), { state, ready, draining: false })
  }
})

t.test('names the parts that fail and no other', async t => {
  const health = createHealth()
  health.register('fine', () => ok)
  health.register('slow', () => ({ state: 'degraded', ready: true }))
  health.register('gone', () => ({ state: 'ok', ready: false }))
  t.same(Object.keys(failingParts(health.overview())), ['slow', 'gone'])
})

t.test('a report that throws is a failed part, and its message is not shown', async t => {
  const health = createHealth()
  health.register('broken', () => { throw new Error('postgres://user:password@db') })
  const overview = health.overview()
  t.match(overview, { state: 'failed', ready: false })
  t.notMatch(JSON.stringify(overview), /password/)
})

t.test('refuses two parts of one name', async t => {
  const health = createHealth()
  health.register('trail', () => ok)
  t.throws(() => health.register('trail', () => ok), /registered twice/)
})

t.test('a drain is not ready, tells its listeners once, and late ones at once', async t => {
  const health = createHealth()
  const told: string[] = []
  health.onDrain(() => told.push('first'))
  const unsubscribe = health.onDrain(() => told.push('left'))
  unsubscribe()
  t.notOk(health.draining)
  health.beginDrain()
  health.beginDrain()
  health.onDrain(() => told.push('late'))
  t.same(told, ['first', 'late'])
  t.match(health.overview(), { ready: false, draining: true })
})

t.test('says whether anybody heard the wish to quit', async t => {
  const health = createHealth()
  t.notOk(health.quit())
  let quit = 0
  health.onQuit(() => { quit++ })
  t.ok(health.quit())
  t.equal(quit, 1)
})
