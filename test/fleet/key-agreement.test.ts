import { test } from 'tap'
import { KeyAgreement } from '../../src/fleet/key-agreement.ts'

const [one, two] = [new Map([['sha256:a', 3]]), new Map([['sha256:b', 1], ['sha256:a', 2]])]
const minute = 60_000

test('one key, or none known, is agreement', async t => {
  const agreement = new KeyAgreement()
  t.equal(agreement.note(new Map(), 0), undefined)
  t.equal(agreement.note(one, 1), undefined)
  t.equal(agreement.problem, undefined)
})

test('different keys are told at once, are a problem when they last longer than a rotation, and each once', async t => {
  const agreement = new KeyAgreement()
  t.equal(agreement.note(two, 0), 'differ')
  t.equal(agreement.note(two, 2 * minute), undefined)
  t.equal(agreement.problem, undefined)
  t.equal(agreement.note(two, 3 * minute), 'last')
  t.equal(agreement.problem, 'instances under this PROXY_REDIS_PREFIX use different access keys (1 with sha256:b, 2 with sha256:a): give those with another key a prefix of their own, or finish the rotation')
  t.equal(agreement.note(two, 4 * minute), undefined)
  t.equal(agreement.note(one, 5 * minute), 'agree')
  t.equal(agreement.problem, undefined)
})

test('a second rotation has its time again', async t => {
  const agreement = new KeyAgreement()
  agreement.note(two, 0)
  agreement.note(one, minute)
  t.equal(agreement.note(two, 3 * minute), 'differ')
  t.equal(agreement.note(two, 5 * minute), undefined)
})
