import { test } from 'tap'
import { carriesNoBody, dropBodyFacts, measureClockOffset, readRawHeaders } from '../../src/upstream/answer-head.ts'

test('headers are read byte for byte', async t => {
  const rawHeaders = [Buffer.from('X-Name'), Buffer.from([0xe9, 0x20, 0x61])]
  t.same(readRawHeaders({ rawHeaders } as never), ['X-Name', 'é a'])
})

test('which answers have no body, whatever they say of it', async t => {
  for (const [method, status, none] of [['HEAD', 200, true], ['GET', 204, true], ['GET', 304, true], ['GET', 200, false], ['DELETE', 202, false]] as const) {
    t.equal(carriesNoBody(method, status), none, `${method} ${status}`)
  }
})

test('what is said of a changed body goes, each time it is said', async t => {
  const flat = ['Content-Length', '3', 'Server', 'x', 'DIGEST', 'sha-256=1', 'Content-Digest', 'a', 'content-length', '3', 'ETag', '"1"']
  dropBodyFacts(flat)
  t.same(flat, ['Server', 'x', 'ETag', '"1"'])
})

test('how far the clock of the API is ahead', async t => {
  const at = Date.UTC(2026, 10, 30, 12, 0, 0)
  t.equal(measureClockOffset('Mon, 30 Nov 2026 12:00:05 GMT', at), 5000)
  t.equal(measureClockOffset('Mon, 30 Nov 2026 12:00:05 GMT', at + 7000), -2000)
  t.equal(measureClockOffset(['Mon, 30 Nov 2026 12:00:00 GMT'], at), 0)
  t.equal(measureClockOffset('yesterday', at), undefined)
  t.equal(measureClockOffset(undefined, at), undefined)
})
