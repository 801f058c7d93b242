import t from 'tap'
import { bounds, DurationHistogram } from '../../src/ops/duration-histogram.ts'

t.test('counts each duration in every bound that it does not exceed', async t => {
  const histogram = new DurationHistogram()
  for (const seconds of [0, 0.001, 0.0011, 59, 60, 61]) histogram.observe(seconds)
  const at = Object.fromEntries(histogram.cumulative().map(({ le, count }) => [le, count]))
  t.match(at, { 0.001: 2, 0.0025: 3, 30: 3, 60: 5, '+Inf': 6 })
  t.equal(histogram.count, 6)
  t.ok(Math.abs(histogram.sumSeconds - 180.0021) < 1e-9)
  t.equal(histogram.cumulative().length, bounds.length + 1)
})
