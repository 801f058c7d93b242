import fc from 'fast-check'
import { test } from 'tap'
import { buildBundle } from '../../src/trail/bundle.ts'
import { code, renderBundle } from '../../src/trail/bundle-markdown.ts'
import type { TrailItem } from '../../src/trail/query/reader.ts'
import { answered, entryMaker } from '../support/trail-entries.ts'

const make = entryMaker({ now: () => Date.UTC(2026, 0, 2, 3, 4, 5, 678), monotonic: () => 0 })
const processId = 'abcdef012345'
const proxies = [{ id: processId, version: '1.2.3', node: 'v26', region: 'us-east-1', api: 'https://api.example', configuration: 'abc', settings: { PROXY_DRAIN_TIMEOUT: '3s', PROXY_ALLOWED_HOSTS: 'a`b' } }]
const nothing = { retries: [], parent: null, children: [] }

function item (facts: Partial<TrailItem> = {}): TrailItem {
  const { openedAt: _, recorded: __, closed: ___, ...record } = answered(make(), facts)
  record.id = record.id.slice(0, 20) + processId
  return { object: 'trail-record', ...record }
}

test('tells what happened, in order, with what belongs to it', t => {
  const failed = item({ path: '/v2/device-requests/x', query: 'async-id=a', status: 404, attempts: 2, error_type: 'not_found', error_message: 'No.', async_id: 'a', async_status: 504, async_latency_ms: 5000, notes: 'a,b', clock_offset_ms: -1500 })
  const retry = item({ status: 200 })
  const bundle = buildBundle([{ item: failed, related: { retries: [retry], parent: item(), children: [item(), item()] } }], proxies, Date.UTC(2026, 0, 3))
  t.match(bundle, {
    object: 'support-bundle',
    generated_at: '2026-01-03T00:00:00.000Z',
    proxies,
    requests: [{
      request_id: failed.upstream_request_id,
      proxy_request_id: failed.id,
      proxy: processId,
      url: 'https://api.example/v2/device-requests/x?async-id=a',
      error: { type: 'not_found', message: 'No.' },
      explanation: { rule: 'not_a_device_id' },
      notes: ['a', 'b'],
      async: { id: 'a', status: 504, latency_ms: 5000 },
      retries: [{ proxy_request_id: retry.id, status: 200 }]
    }]
  })
  t.strictSame(bundle.requests[0]?.timeline.map(({ at, offset_ms: offset, event }) => [at, offset, event]), [
    ['2026-01-02T03:04:05.678Z', 0, 'mia asked for it'],
    ['2026-01-02T03:04:05.678Z', 0, 'it was sent 2 times, as a kept connection had been closed'],
    ['2026-01-02T03:04:05.688Z', 10, 'the API answered 404'],
    ['2026-01-02T03:04:05.690Z', 12.5, 'the answer was complete'],
    ['2026-01-02T03:04:10.678Z', 5000, 'the device answered 504']
  ])
  const text = renderBundle(bundle)
  for (const part of [failed.id, failed.upstream_request_id as string, retry.id, '+12.5 ms', '`-1500 ms`', '### Other tries within a minute', '### Part of', '### Made for this one', 'using-the-apis.html', '`PROXY_DRAIN_TIMEOUT=3s`', '``PROXY_ALLOWED_HOSTS=a`b``']) t.ok(text.includes(part), part)
  t.end()
})

test('what the API refused waits for no answer of a device, and one word is said once', t => {
  const word = 'URI_PATH_DOES_NOT_EXISTS'
  const [refused, queued, waiting] = buildBundle([404, 429, 202].map(status => ({ item: item({ status, async_id: 'a', error_type: word, error_message: word }), related: nothing })), proxies, 0).requests
  t.strictSame([refused?.async, queued?.async?.id, waiting?.async?.id], [null, 'a', 'a'])
  const text = renderBundle({ object: 'support-bundle', generated_at: '', proxies, requests: refused === undefined ? [] : [refused] })
  t.match(text, `- Error: \`${word}\``)
  t.notMatch(text, 'Asynchronous answer')
  t.match(renderBundle(buildBundle([{ item: item({ clock_offset_ms: -516 }), related: nothing }], proxies, 0)), 'clock against ours: `within a second`')
  t.end()
})

test('of a request by a proxy that the trail does not know, that is said, and no other\'s settings', t => {
  const bundle = buildBundle([{ item: { ...item(), id: 'f'.repeat(32) }, related: nothing }], [], 0)
  t.match(bundle, { proxies: [], requests: [{ proxy: null, url: '/v3/devices' }] })
  t.match(renderBundle(bundle), 'Handled by: `a proxy that the trail knows nothing of`')
  t.end()
})

test('a request that went well has no cause, an unfinished one no end', t => {
  const [well, open] = buildBundle([{ item: item(), related: nothing }, { item: item({ outcome: 'open', duration_ms: null, ttfb_ms: null, status: null, upstream_request_id: null }), related: nothing }], proxies, 0).requests
  t.equal(well?.explanation, null)
  t.equal(open?.timeline.length, 1)
  t.end()
})

test('nothing that a client or the API wrote becomes Markdown or steers a terminal', t => {
  t.equal(code('a`b``c'), '```a`b``c```')
  t.equal(code('`'), '`` ` ``')
  t.equal(code('a\n# b\u001b[31m\u202e'), '`a # b [31m `')
  fc.assert(fc.property(fc.string({ unit: fc.constantFrom('`', 'a', '\n', '\u001b', '#', ' ', '|', '<') }), text => {
    const rendered = renderBundle(buildBundle([{ item: item({ path: `/${text}`, error_message: text, client_agent: text, member: text, error_type: text }), related: nothing }], proxies, 0))
    // eslint-disable-next-line no-control-regex
    return !/[\u0000-\u0009\u000b-\u001f]/.test(rendered) && rendered.split('\n').filter(line => line.startsWith('#')).length <= 5
  }))
  t.end()
})
