import t from 'tap'
import { makeTimeLimits } from '../../src/upstream/time-limits.ts'
import { overlap } from '../../src/upstream/addresses.ts'

t.test('exempts long polls and event streams by route, nothing else', async t => {
  const limits = makeTimeLimits({ upstreamHeadersTimeout: 30_000, upstreamBodyIdleTimeout: 60_000 })
  t.same(limits('/v3/devices', undefined), { headersTimeout: 30_000, bodyTimeout: 60_000 })
  t.same(limits('/v2/notification/pull', undefined), { headersTimeout: 150_000, bodyTimeout: 60_000 })
  t.same(limits('/v2/notification/pullover', undefined), { headersTimeout: 30_000, bodyTimeout: 60_000 })
  t.same(limits('/v3/x', 'text/event-stream'), { headersTimeout: 30_000, bodyTimeout: 0 })
})

t.test('a host has moved when none of its old addresses is left', async t => {
  t.equal(overlap('10.0.0.1', '10.0.0.1'), true)
  t.equal(overlap('10.0.0.1 10.0.0.2', '10.0.0.2 10.0.0.3'), true)
  t.equal(overlap('10.0.0.1', '10.0.0.9'), false)
})
