import { test } from 'tap'
import { balanceShare, fillShare, takeShare } from '../../src/team/limits-share.ts'
import { countTokens, msToToken, takeToken } from '../../src/team/token-bucket.ts'

const noticedMs = 2000
const rate = { perSecond: 30, burst: 60 }
const share = { perSecond: 10, burst: 20 }

test('a share is of what was left; in the time until the others notice it grows to the share of the burst and no further', async t => {
  const taken = takeShare(15, rate, 3, noticedMs)
  t.match(taken, { tokens: 5, advanceMs: 1500 })
  const bucket = fillShare(taken, 100, noticedMs)
  t.same([100, 1100, 1600, 2100, 2600, 10_000].map(nowMs => countTokens(bucket, share, nowMs)), [5, 15, 20, 20, 20, 20])
  for (let count = 0; count < 20; count++) t.equal(takeToken(bucket, share, 1600), 0)
  t.equal(takeToken(bucket, share, 1600), 600, '500 ms until it is noticed, 100 for a token')
  t.equal(takeToken(bucket, share, 2200), 0)
})

test('what was taken in debt is a share of the debt', async t => {
  const bucket = fillShare(takeShare(-30, rate, 3, noticedMs), 0, noticedMs)
  t.equal(bucket.tokens, -10)
  t.equal(msToToken(bucket, share), 1100)
})

test('put back is what was not spent of the share and of what was added since the others noticed', async t => {
  const taken = takeShare(15, rate, 3, noticedMs)
  t.equal(balanceShare(taken, 5, 0), 0)
  t.equal(balanceShare(taken, 15, 1000), 0, 'what was added before was not kept aside')
  t.equal(balanceShare(taken, 2, 1000), -13)
  t.equal(balanceShare(taken, 20, 9000), 0, 'what ran over is nobody\'s')
  t.equal(balanceShare(takeShare(60, rate, 3, noticedMs), 0, 1000), -20)
})
