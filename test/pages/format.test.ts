import t from 'tap'
import { chooseFormat, createLines, createList } from '../../src/pages/format.ts'
import type { Run } from '../../src/pages/item-cutter.ts'

const run = (text: string, { begins = true, ends = true } = {}): Run => ({ pieces: [Buffer.from(text)], begins, ends })
const ending = { hasMore: false, after: undefined, totalCount: undefined }

t.test('lines are what a client gets that doesn\'t ask for JSON', t => {
  const cases: Array<[accept: string | undefined, type: string]> = [
    [undefined, 'application/x-ndjson'],
    ['', 'application/x-ndjson'],
    ['*/*', 'application/x-ndjson'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'application/x-ndjson'],
    ['application/x-ndjson', 'application/x-ndjson'],
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    ['application/json, text/plain, */*', 'application/json'],
    ['application/json;q=0', 'application/x-ndjson'],
    ['application/json;q=0.5, application/x-ndjson', 'application/x-ndjson'],
    ['application/json, application/x-ndjson;q=0.1', 'application/json'],
    ['application/jsonp', 'application/x-ndjson']
  ]
  for (const [accept, type] of cases) t.equal(chooseFormat(accept).contentType, type, accept ?? 'none')
  t.end()
})

t.test('lines: one item each, in pieces or not, and the error is the last one', t => {
  const lines = createLines()
  const text = String(lines.open()) + String(lines.join([run('{"a":1}\n{"a":2}'), run('{"a":', { ends: false }), run('3}', { begins: false })])) + String(lines.fail({ object: 'error' }, false, ending)) + String(lines.close(ending))
  t.equal(text, '{"a":1}\n{"a":2}\n{"a":3}\n{"object":"error"}\n')
  t.equal(String(lines.fail({ object: 'error' }, true, ending)), '\n{"object":"error"}\n', 'on a line of its own, whatever stands before it')
  t.end()
})

t.test('a list: commas between items over the borders of runs and pages, valid at its end in any case', t => {
  const write = () => {
    const list = createList()
    return { list, text: String(list.open()) + String(list.join([run('{"a":1},{"a":2}'), run('{"a":', { ends: false }), run('3}', { begins: false })])) + String(list.join([run('{"a":4}')])) }
  }
  const whole = write()
  t.strictSame(JSON.parse(whole.text + String(whole.list.close({ hasMore: false, after: undefined, totalCount: 4 }))), { object: 'list', data: [{ a: 1 }, { a: 2 }, { a: 3 }, { a: 4 }], has_more: false, after: null, total_count: 4 })
  const broken = write()
  t.strictSame(JSON.parse(broken.text + String(broken.list.fail({ object: 'error', code: 500 }, false, { hasMore: true, after: 'x"', totalCount: undefined }))), { object: 'list', data: [{ a: 1 }, { a: 2 }, { a: 3 }, { a: 4 }], has_more: true, after: 'x"', error: { object: 'error', code: 500 } })
  t.equal(createList().fail({}, true, ending), undefined, 'nothing can be said in the middle of an item')
  const empty = createList()
  t.strictSame(JSON.parse(String(empty.open()) + String(empty.close(ending))), { object: 'list', data: [], has_more: false, after: null })
  t.end()
})
