import { test } from 'tap'
import { Rotation } from '../../src/access-key/rotation.ts'
import { Secret } from '../../src/access-key/secret.ts'
import { makeKey } from '../support/synthetic-keys.ts'

const keys: Record<string, Secret> = { A: new Secret(makeKey()), B: new Secret(makeKey()), C: new Secret(makeKey()) }
const nameOf = (key: Secret | undefined) => Object.keys(keys).find(name => keys[name]?.equals(key)) ?? 'none'

/** `take A` is a reading; `A 401` is an answer to a request that carried A. After the arrow: the event, the key in use, `?` if unproven, `!` if doubted. */
const stories: Record<string, string[]> = {
  'the first key is used at once and proven by an answer': ['take A -> taken A?', 'A 200 -> proven A', 'A 200 -> nothing A'],
  'the same key read again is no news': ['take A -> taken A?', 'take A -> nothing A?', 'A 200 -> proven A', 'take A -> nothing A'],
  'a new key takes over at once and is proven by the next answer': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'A 200 -> nothing B?', 'B 404 -> proven B'],
  'a 401 to the old key says nothing of the new one': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'A 401 -> nothing B?', 'B 200 -> proven B', 'A 401 -> nothing B'],
  'a refused new key gives way to the old, proven one': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'B 401 -> fell-back A', 'B 401 -> nothing A', 'A 200 -> nothing A'],
  'a refused new key is not taken again until it changes': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'B 401 -> fell-back A', 'take B -> nothing A', 'take C -> taken C?', 'C 200 -> proven C'],
  'the old key put back is in use, proven': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'B 401 -> fell-back A', 'take A -> nothing A', 'take B -> taken B?'],
  'the old key put back before any answer is proven as it was': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'take A -> taken A'],
  'when the old key is refused too, the new one gets one more chance': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'B 401 -> fell-back A', 'A 401 -> tried-again B?', 'B 200 -> proven B'],
  'two refused keys do not take turns for ever': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'B 401 -> fell-back A', 'A 401 -> tried-again B?', 'B 401 -> fell-back A', 'A 401 -> refused A!', 'A 401 -> nothing A!'],
  'of two new keys in a row, the proven one before them stays at hand': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'take C -> taken C?', 'C 401 -> fell-back A'],
  'an unproven first key that is refused is doubted, and used for want of another': ['take A -> taken A?', 'A 401 -> refused A?!', 'A 401 -> nothing A?!', 'A 200 -> proven A'],
  'an unproven key is not at hand when its successor is refused': ['take A -> taken A?', 'take B -> taken B?', 'B 401 -> refused B?!'],
  'a proven key that is refused is doubted until it is accepted again': ['take A -> taken A?', 'A 200 -> proven A', 'A 401 -> refused A!', 'A 403 -> proven A'],
  'a 5xx proves nothing': ['take A -> taken A?', 'A 503 -> nothing A?', 'A 502 -> nothing A?', 'A 101 -> proven A'],
  'a fresh start takes what was refused before': ['take A -> taken A?', 'A 200 -> proven A', 'take B -> taken B?', 'B 401 -> fell-back A', 'forgive -> - A', 'take B -> taken B?', 'B 200 -> proven B']
}

for (const [title, story] of Object.entries(stories)) {
  test(title, async t => {
    const rotation = new Rotation()
    for (const line of story) {
      const [step = '', expected] = line.split(' -> ')
      const event = perform(rotation, step)
      const state = `${nameOf(rotation.current)}${rotation.proven ? '' : '?'}${rotation.doubted ? '!' : ''}`
      t.equal(`${event} ${state}`, expected, line)
    }
  })
}

function perform (rotation: Rotation, step: string): string {
  if (step === 'forgive') {
    rotation.forgive()
    return '-'
  }
  const [first = '', second = ''] = step.split(' ')
  return first === 'take' ? rotation.take(keys[second] as Secret) : rotation.judge(keys[first] as Secret, Number(second))
}

test('knows every key that may still be on the way, newest first, in an array that changes only with them', async t => {
  const rotation = new Rotation()
  t.same(rotation.known(), [])
  rotation.take(keys['A'] as Secret)
  const first = rotation.known()
  rotation.judge(keys['A'] as Secret, 200)
  t.equal(rotation.known(), first)
  rotation.take(keys['B'] as Secret)
  t.same(rotation.known().map(nameOf), ['B', 'A'])
  rotation.judge(keys['B'] as Secret, 401)
  t.same(rotation.known().map(nameOf), ['A', 'B'])
  for (let count = 0; count < 6; count++) rotation.take(new Secret(makeKey()))
  t.equal(rotation.known().length, 4)
})
