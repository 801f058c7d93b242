import { test } from 'tap'
import { catalogue } from '../../src/errors.ts'
import { explain, rules } from '../../src/trail/explanations/explain.ts'
import type { TrailRecord } from '../../src/trail/record.ts'

type Facts = Partial<Pick<TrailRecord, 'outcome' | 'status' | 'error_type' | 'path' | 'query' | 'close_code' | 'async_status' | 'kind'>>

const id = '0161991d63150000000000010010abcd'

function explained (facts: Facts) {
  return explain({ outcome: 'answered', status: 200, error_type: null, path: '/v3/devices', query: '', close_code: null, async_status: null, kind: 'request', ...facts })
}

const cases: Array<[rule: string, facts: Facts]> = [
  ['key_not_accepted', { status: 401, error_type: 'invalid_auth' }],
  ['quota_of_account', { status: 403, error_type: 'account_limit_exceeded' }],
  ['notifications_need_access_key', { status: 403, error_type: 'forbidden', path: '/v2/notification/websocket' }],
  ['not_permitted', { status: 403, error_type: 'forbidden', path: '/v3/accounts' }],
  ['not_a_device_id', { status: 404, path: '/v3/devices/my-thermometer' }],
  ['not_a_device_id', { status: 400, path: '/v2/device-requests/my-thermometer', error_type: 'DEVICE_NOT_FOUND' }],
  ['device_not_connected', { status: 400, path: `/v2/device-requests/${id}`, error_type: 'DEVICE_NOT_CONNECTED' }],
  ['device_queue_full', { status: 400, path: `/v2/device-requests/${id}`, error_type: 'QUEUE_IS_FULL' }],
  ['device_queue_full', { status: 429, path: `/v2/endpoints/${id}/3/0/0`, error_type: 'QUEUE_IS_FULL' }],
  ['transaction_quota_spent', { status: 400, error_type: 'LIMITS_EXCEEDED', path: `/v2/device-requests/${id}` }],
  ['already_queued', { status: 429, error_type: 'CONGESTION_CONTROL', path: `/v2/subscriptions/${id}/3` }],
  ['async_id_malformed', { status: 400, error_type: 'MALFORMED_ASYNC_ID', path: `/v2/device-requests/${id}` }],
  ['resource_not_on_device', { status: 404, error_type: 'URI_PATH_DOES_NOT_EXISTS', path: `/v2/endpoints/${id}/9/9` }],
  ['limit_out_of_range', { status: 400, error_type: 'validation_error', query: 'limit=1001&order=ASC' }],
  ['limit_out_of_range', { status: 400, error_type: 'validation_error', query: 'order=ASC&limit=1' }],
  ['limit_out_of_range', { status: 400, error_type: 'validation_error', query: 'limit=ten' }],
  ['validation_error', { status: 400, error_type: 'validation_error', query: 'limit=1000' }],
  ['filter_invalid', { status: 400, error_type: 'validation_error', query: 'limit=50&created_at__gte=yesterday' }],
  ['filter_invalid', { status: 400, error_type: 'validation_error', query: 'filter=state%3D7' }],
  ['validation_error', { status: 400, error_type: 'validation_error', path: '/v3/device-groups' }],
  ['bad_request', { status: 400, error_type: 'bad_request' }],
  ['no_channel', { status: 404, path: '/v2/notification/callback' }],
  ['not_found', { status: 404, error_type: 'not_found', path: `/v3/devices/${id}` }],
  ['not_found', { status: 404, error_type: 'not_found', path: '/v3/device' }],
  ['poll_already_open', { status: 409, path: '/v2/notification/pull' }],
  ['channel_deleted', { status: 410, path: '/v2/notification/pull' }],
  ['duplicate', { status: 409, error_type: 'duplicate', path: '/v3/trusted-certificates' }],
  ['upload_too_large', { status: 413, path: '/v3/firmware-images' }],
  ['handshake_in_progress', { status: 429, path: '/v2/notification/websocket-connect' }],
  ['not_a_rate_limit', { status: 429, path: '/v3/devices' }],
  ['upgrade_required', { status: 426, path: '/v2/notification/websocket-connect' }],
  ['service_trouble', { status: 500, error_type: 'internal_error' }],
  ['service_trouble', { status: 503 }],
  ['channel_displaced', { kind: 'websocket', status: 101, close_code: 1001, path: '/v2/notification/websocket-connect' }],
  ['websocket_key_lost', { kind: 'websocket', status: 101, close_code: 1008 }],
  ['websocket_without_channel', { kind: 'websocket', status: 101, close_code: 1011 }],
  ['device_failed', { status: 202, async_status: 504, path: `/v2/device-requests/${id}` }],
  ['answer_broke_off', { outcome: 'truncated' }],
  ['client_left', { outcome: 'client_aborted', status: null }],
  ['proxy_ended', { outcome: 'unfinished', status: null }],
  ['upstream_timeout', { outcome: 'failed', status: 504, error_type: 'upstream_timeout' }],
  ['member_forbidden', { outcome: 'refused', status: 403, error_type: 'member_forbidden' }]
]

for (const [rule, facts] of cases) {
  test(`explains ${JSON.stringify(facts)} by ${rule}`, t => {
    t.equal(explained(facts)?.rule, rule)
    t.end()
  })
}

test('has nothing to explain about what went well', t => {
  t.equal(explained({}), null)
  t.equal(explained({ status: 304 }), null)
  t.equal(explained({ outcome: 'open', status: null }), null)
  t.equal(explained({ kind: 'websocket', status: 101, close_code: 1000, outcome: 'client_aborted' }), null)
  t.equal(explained({ outcome: 'own', path: '/_proxy/status' }), null)
  t.equal(explained({ outcome: 'refused', status: 400, error_type: 'made up' }), null)
  t.end()
})

test('every rule is reached by a case, has a source, and tells what to do', t => {
  const reached = new Set(cases.map(([rule]) => rule))
  for (const { rule, likely, next, source } of rules) {
    t.ok(reached.has(rule), rule)
    t.match(source.url, /^https:\/\//)
    t.ok(likely.endsWith('.') && next.endsWith('.'), rule)
  }
  t.equal(new Set(rules.map(({ rule }) => rule)).size, rules.length)
  t.end()
})

test('every error type of the proxy explains itself', t => {
  for (const type of Object.keys(catalogue)) t.match(explained({ outcome: 'refused', error_type: type }), { rule: type, next: String })
  t.end()
})
