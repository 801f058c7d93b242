import t from 'tap'
import { createLogger } from '../../src/ops/log.ts'
import { chooseLevel, logRequest } from '../../src/ops/request-log.ts'
import type { OpenEntry } from '../../src/trail/record.ts'
import { makeEntry } from '../support/entry.ts'
import { createSink, endOfTurn } from '../support/ops-app.ts'

t.test('chooses the level by how the request ended', async t => {
  const cases: Array<[Partial<OpenEntry>, string]> = [
    [{ outcome: 'answered', status: 200 }, 'info'],
    [{ outcome: 'answered', status: 404 }, 'info'],
    [{ outcome: 'answered', status: 503 }, 'warn'],
    [{ outcome: 'refused', status: 401 }, 'warn'],
    [{ outcome: 'failed', status: 502 }, 'error'],
    [{ outcome: 'truncated', status: 200 }, 'error'],
    [{ outcome: 'client_aborted', status: null }, 'info'],
    [{ outcome: 'own', status: 200, path: '/_proxy/trail' }, 'info'],
    [{ outcome: 'own', status: 200, path: '/_proxy/livez' }, 'debug'],
    [{ outcome: 'own', status: 200, path: '/_proxy/metrics' }, 'debug'],
    [{ outcome: 'own', status: 503, path: '/_proxy/readyz' }, 'warn']
  ]
  for (const [facts, level] of cases) t.equal(chooseLevel(makeEntry(facts)), level, JSON.stringify(facts))
})

t.test('writes ids, member, duration and outcome, and never the query', async t => {
  const sink = createSink()
  const log = await createLogger({ level: 'info', pretty: false, stream: sink.stream, redact: line => line })
  logRequest(log, makeEntry({ query: 'filter=owner%3Dsomebody', upstream_request_id: 'f00d', duration_ms: 12.3456, ttfb_ms: 10.02, trace_id: 'abc', attempts: 2, error_type: 'not_found' }))
  await endOfTurn()
  const [line] = sink.lines()
  t.match(line, { msg: 'request', id: /^[0-9a-f]{32}$/, member: 'local', method: 'GET', path: '/v3/devices', status: 200, outcome: 'answered', upstream_request_id: 'f00d', duration_ms: 12.3, ttfb_ms: 10, bytes_in: 0, bytes_out: 0, trace_id: 'abc', attempts: 2, error_type: 'not_found' })
  t.notMatch(sink.text(), /somebody/)
})

t.test('keeps a line bearable however long the path is', async t => {
  const sink = createSink()
  const log = await createLogger({ level: 'info', pretty: false, stream: sink.stream, redact: line => line })
  logRequest(log, makeEntry({ path: '/' + 'a'.repeat(10_000) }))
  await endOfTurn()
  t.ok(sink.text().length < 2000)
})
