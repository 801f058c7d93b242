import t from 'tap'
import { Cursor, type PageFacts, type Step } from '../../src/pages/cursor.ts'

function facts (given: Partial<PageFacts>): PageFacts {
  return { hasMore: true, after: undefined, continuationMarker: undefined, totalCount: undefined, firstId: undefined, lastId: undefined, ...given }
}

/** Where each page in turn leads. */
function walk (pages: Array<Partial<PageFacts>>, after?: string): Step[] {
  const cursor = new Cursor(after)
  return pages.map(page => cursor.advance(facts(page)))
}

t.test('a list goes on after the id of its last item', t => {
  t.strictSame(walk([{ lastId: 'b' }, { lastId: 'd', after: 'b' }, { lastId: 'e', after: 'd', hasMore: false }]), [{ after: 'b' }, { after: 'd' }, 'end'])
  t.strictSame(walk([{ lastId: 'd', after: 'b' }], 'b'), [{ after: 'd' }], 'also when the client began in the middle')
  t.strictSame(walk([{ lastId: 'd', after: '2017-07-26T00:00:00Z' }], 'c'), [{ after: 'd' }], 'metrics answer with another spelling of what was sent')
  t.end()
})

t.test('a continuation marker comes before everything else', t => {
  t.strictSame(walk([{ continuationMarker: 'm1', after: 'x', lastId: 'b' }, { continuationMarker: 'm2', after: 'm1' }, { hasMore: false }]), [{ after: 'm1' }, { after: 'm2' }, 'end'])
  t.end()
})

t.test('a list that hands out tokens gets them back', t => {
  t.strictSame(walk([{ after: 't1', lastId: 'b' }, { after: 't2', lastId: 'd' }, { hasMore: false }]), [{ after: 't1' }, { after: 't2' }, 'end'])
  t.strictSame(walk([{ after: 't1' }, { after: 't2' }]), [{ after: 't1' }, { after: 't2' }], 'items without an id')
  t.strictSame(walk([{ after: 't2' }], 't1'), [{ after: 't2' }], 'items without an id, begun in the middle')
  t.end()
})

t.test('a token that leads back to the same page is given up for the last id', t => {
  const cursor = new Cursor(undefined)
  t.strictSame(cursor.advance(facts({ after: 'this page', firstId: 'a', lastId: 'b' })), { after: 'this page' })
  t.ok(cursor.usesTokens)
  t.ok(cursor.isRepeated('a'))
  t.strictSame(cursor.retreat(), { after: 'b' })
  t.notOk(cursor.usesTokens)
  t.strictSame(cursor.advance(facts({ after: 'another page', firstId: 'c', lastId: 'd' })), { after: 'd' }, 'from then on by ids')
  t.equal(cursor.retreat(), 'loop')
  t.end()
})

t.test('no way on is told apart from a way back', t => {
  t.strictSame(walk([{}]), ['lost'], 'has_more without an item, an id or a token')
  t.strictSame(walk([{ lastId: 'x'.repeat(5000) }]), ['lost'], 'an id that fits into no URL')
  t.strictSame(walk([{ lastId: 'a' }, { lastId: 'b' }, { lastId: 'a' }]), [{ after: 'a' }, { after: 'b' }, 'loop'])
  t.strictSame(walk([{ lastId: 'a' }], 'a'), ['loop'], 'what the client itself began with')
  t.strictSame(walk([{ after: 'x' }], 'x'), ['lost'], 'the echo of what was sent is no token')
  t.strictSame(walk([{ continuationMarker: 'm' }, { continuationMarker: 'm' }]), [{ after: 'm' }, 'loop'])
  t.end()
})

t.test('an item without an id is no repetition', t => {
  const cursor = new Cursor(undefined)
  t.notOk(cursor.isRepeated(undefined))
  cursor.advance(facts({ lastId: 'b' }))
  t.notOk(cursor.isRepeated(undefined))
  t.notOk(cursor.isRepeated('c'))
  t.end()
})

t.test('memory is bounded over any number of pages, and a loop is found all the same', t => {
  const cursor = new Cursor(undefined)
  const steps = Array.from({ length: 25_000 }, (_, page) => cursor.advance(facts({ lastId: `id-${page}` })))
  t.notOk(steps.some(step => typeof step === 'string'))
  const lap = () => Array.from({ length: 100 }, (_, page) => cursor.advance(facts({ lastId: `lap-${page}` })))
  lap()
  t.ok(lap().includes('loop'))
  t.end()
})
