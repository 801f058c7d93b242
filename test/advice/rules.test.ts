import t from 'tap'
import { Adviser } from '../../src/advice/matcher.ts'
import { noteRules } from '../../src/advice/note-rules.ts'
import { parameterRules } from '../../src/advice/parameter-rules.ts'
import { pathRules } from '../../src/advice/path-rules.ts'
import { renderAdvice } from '../../src/advice/reference.ts'

const id = '0162056a9a1586f30242590700000000'
const rules = [...parameterRules, ...pathRules, ...noteRules]

type Case = readonly [request: string, ...codes: string[]]

/** Requests as `METHOD target`, and what is said about them; GET may be left out. */
const cases: readonly Case[] = [
  ['/v3/devices'],
  ['/v3/devices/'],
  ['/'],
  ['/v3'],
  ['/v9/devices?limit=0&order=up&include=x&a__b=1'],
  ['/_proxy/trail?limit=0'],
  ['/downloads/fcu/info?limit=0'],

  ['/v3/devices?limit=2'],
  ['/v3/devices?limit=1000'],
  ['/v3/devices?limit=1', 'limit_out_of_range'],
  ['/v3/devices?limit=1001', 'limit_out_of_range'],
  ['/v3/devices?limit=-5', 'limit_out_of_range'],
  ['/v3/devices?limit=', 'limit_out_of_range'],
  ['/v3/devices?limit', 'limit_out_of_range'],
  ['/v3/devices?limit=ten', 'limit_out_of_range'],
  ['/v3/devices?limit=2.5', 'limit_out_of_range'],
  ['/v3/devices?%6Cimit=0', 'limit_out_of_range'],
  ['/v3/devices?limit=0&limit=0', 'limit_out_of_range'],
  ['/v2/device-shared-keys?limit=5000', 'limit_out_of_range'],
  ['/v3/accounts/me/notifications?limit=0', 'limit_out_of_range'],
  ['POST /v3/devices?limit=0'],

  ['/v3/devices?order=ASC'],
  ['/v3/devices?order=DESC&limit=50'],
  ['/v3/devices?order=desc', 'order_unknown'],
  ['/v3/devices?order=newest', 'order_unknown'],
  ['/v3/devices?order=', 'order_unknown'],
  ['/v3/billing-statistics?order=desc'],
  ['/v3/billing-statistics?order=up', 'order_unknown'],

  ['/v3/devices?include=total_count'],
  ['/v3/devices?include='],
  ['/v3/devices?include=total_count,fields', 'include_unknown'],
  ['/v3/devices?include=total_count%2Climits', 'include_unknown'],
  ['/v3/accounts?include=limits,policies,sub_accounts,history'],
  ['/v3/accounts/me?include=limits'],
  ['/v3/accounts/me/notifications?include=limits', 'include_unknown'],
  [`/v3/accounts/${id}/users?include=policies`, 'include_unknown'],
  ['/v3/metrics?include=transactions,total_count&start=2017&end=20170829&interval=1d'],
  ['/v3/metrics?include=transaction', 'include_unknown'],

  ['/v3/devices?state__eq=registered&name__neq=a&id__nin=&serial_number__in=a,b'],
  ['/v3/accounts?country__like=Fin'],
  ['/v3/devices?name__contains=a', 'filter_operator_unknown'],
  ['/v3/devices?created_at__gt=2016-11-30T16:25:12Z', 'filter_operator_unknown'],
  ['/v3/devices?name__=a'],
  ['/v3/devices?filter=state%3Dregistered%26name__eq%3Da'],
  ['/v3/devices?filter=state=registered'],
  ['/v3/devices?filter='],
  ['/v3/devices?filter=%zz'],
  ['/v3/devices?filter=name__contains%3Da', 'filter_operator_unknown'],
  ['/v3/devices?filter=custom_attributes__tag%3DTAG1%26component_attributes__main__gt%3D1.2.3'],
  ['/v3/devices?custom_attributes__made__like_this=1'],
  ['PUT /v3/devices?name__contains=a'],

  ['/v3/devices?created_at__gte=2016-11-30T16:25:12.1234Z&created_at__lte=20161130T162512Z'],
  ['/v3/devices?created_at__gte=2016-11-30T16%3A25%3A12%2B02%3A00'],
  ['/v3/devices?created_at__gte=2016-11-30T16:25:12+02:00', 'date_unreadable'],
  ['/v3/devices?created_at__gte=2016-11-30', 'date_unreadable'],
  ['/v3/devices?created_at__gte=30.11.2016', 'date_unreadable'],
  ['/v3/devices?created_at__gte=1480523112', 'date_unreadable'],
  ['/v3/devices?created_at__gte=2016-13-30T16:25:12Z', 'date_unreadable'],
  ['/v3/devices?created_at__gte=2016-02-30T16:25:12Z', 'date_unreadable'],
  ['/v3/devices?created_at__gte=20160230T162512Z', 'date_unreadable'],
  ['/v3/devices?created_at__gte=2016-11-30 16:25:12Z', 'date_unreadable'],
  ['/v3/devices?created_at__in=2016-11-30T16:25:12Z,20161130T162512Z'],
  ['/v3/devices?created_at__in=2016-11-30T16:25:12Z,yesterday', 'date_unreadable'],
  ['/v3/devices?filter=created_at__gte%3D2016-11-30T16%253A25%253A12Z'],
  ['/v3/devices?filter=updated_at%3Dyesterday', 'date_unreadable'],
  ['/v3/devices?bootstrap_expiration_date__gte=2035-01-01'],
  ['/v3/devices?bootstrap_expiration_date__gte=2035', 'date_unreadable'],
  ['/v3/devices?last_operator_suspended_updated_at__lte=now', 'date_unreadable'],
  ['/v3/device-events?date_time__gte=now', 'date_unreadable'],
  ['/v3/device-logs?timestamp__gte=now', 'date_unreadable'],
  ['/v3/update-campaigns?when__lte=later&finished__gte=20161130T162512Z', 'date_unreadable'],
  ['/v3/devices?name__eq=yesterday&format__eq=x'],

  ['/v3/metrics?start=20170207T092056990Z&end=2017-02-07T09:20:56.990Z'],
  ['/v3/metrics?start=last-week', 'range_unreadable'],
  ['/v3/billing-statistics?start=2017', 'range_unreadable'],
  ['/v3/manufacturing/statistics?start=2017-02-07T09:20:56.990Z&end=today', 'range_unreadable'],
  ['/v3/billing-report?month=2020-02'],
  ['/v3/billing-report?month=02-2020', 'month_unreadable'],
  ['/v3/billing-report-active-devices?month=2020-13', 'month_unreadable'],

  [`/v3/devices/${id}`],
  [`/v3/devices/${id.toUpperCase()}/`],
  [`/v3/devices/${id}/logs`],
  ['/v3/devices/sensor-17', 'not_a_device_id'],
  ['/v3/devices/sensor-17/logs?limit=0', 'not_a_device_id', 'limit_out_of_range'],
  [`/v3/devices/${id}0`, 'not_a_device_id'],
  ['DELETE /v3/devices/0162056a-9a15-86f3-0242-590700000000', 'not_a_device_id'],
  [`POST /v2/device-requests/${id}?async-id=a-1`],
  ['POST /v2/device-requests/sensor-17?async-id=a', 'not_a_device_id'],
  [`/v2/endpoints/${id}`],
  ['PUT /v2/subscriptions/sensor-17/3/0/1', 'not_a_device_id'],
  ['/v3/device-events?device_id__eq=sensor-17', 'not_a_device_id'],
  [`/v3/device-logs?device_id__in=${id},sensor-17`, 'not_a_device_id'],
  [`/v3/device-logs?device_id__in=${id},${id}`],
  ['/v3/devices?id__eq=sensor-17', 'not_a_device_id'],
  ['/v3/devices?filter=id%3Dsensor-17', 'not_a_device_id'],
  ['/v3/device-groups?id__eq=anything'],
  ['/v2/device-shared-keys/sensor-17'],

  [`POST /v2/device-requests/${id}?async-id=`, 'async_id_malformed'],
  [`POST /v2/device-requests/${id}?async-id=a%2Fb`, 'async_id_malformed'],
  [`POST /v2/device-requests/${id}?async-id=${'a'.repeat(41)}`, 'async_id_malformed'],
  [`POST /v2/device-requests/${id}?async-id=${'a'.repeat(40)}&retry=10&expiry-seconds=2592000`],
  [`POST /v2/device-requests/${id}?async-id=a&retry=11&expiry-seconds=10`, 'retry_out_of_range', 'expiry_out_of_range'],

  [`/v2/endpoints/${id}/3/0/1`, 'deprecated_resource_request'],
  [`DELETE /v2/endpoints/${id}/3/0/1?noResp=true`, 'deprecated_resource_request'],
  ['/v2/notification/pull', 'deprecated_long_poll'],
  ['/v2/notification/websocket'],
  ['/v3/api-keys', 'deprecated_api_key'],
  ['POST /v3/api-keys/me/groups/add', 'deprecated_api_key'],
  [`/v3/accounts/${id}/api-keys`, 'deprecated_api_key'],
  [`/v3/policy-groups/${id}/api-keys`, 'deprecated_api_key'],
  [`/v3/accounts/${id}/policy-groups/${id}/api-keys/add`, 'deprecated_api_key'],
  [`/v3/accounts/${id}/access-keys`],
  [`POST /v3/users/${id}/groups`, 'deprecated_group_membership'],
  [`/v3/users/${id}/groups`],
  [`POST /v3/users/${id}/groups/add`],
  [`DELETE /v3/accounts/${id}/policy-groups/${id}/users`, 'deprecated_group_membership'],
  ['/v3/devicelog/', 'deprecated_device_log'],
  ['/v3/server-credentials/lwm2m', 'deprecated_server_credentials'],
  ['/v3/server-credentials'],
  [`/v3/update-campaigns/${id}/metrics`, 'deprecated_campaign_metrics'],
  [`/v3/update-campaigns/${id}/statistics`],

  ['PUT /v2/subscriptions', 'replaces_presubscriptions'],
  ['DELETE /v2/subscriptions/', 'replaces_presubscriptions'],
  ['/v2/subscriptions'],
  [`PUT /v2/subscriptions/${id}/3/0/1`],
  ['PUT /v2/notification/callback', 'replaces_channel'],
  ['DELETE /v2/notification/websocket', 'replaces_channel'],
  ['PUT /v2/notification/channel']
]

function read (request: string) {
  const [target = '', method = 'GET'] = request.split(' ').length > 1 && /^[A-Z]+ /.test(request) ? [request.slice(request.indexOf(' ') + 1), request.slice(0, request.indexOf(' '))] : [request]
  const mark = target.indexOf('?')
  return { method, canonicalPath: mark < 0 ? target : target.slice(0, mark), query: mark < 0 ? '' : target.slice(mark + 1), notes: [] }
}

t.test('what is said about a request, and about which nothing', t => {
  const adviser = new Adviser({ sharesChannel: false })
  for (const [request, ...codes] of cases) t.strictSame(adviser.advise(read(request)).map(({ code }) => code).sort(), [...codes].sort(), request)
  t.end()
})

t.test('the table has a request for each rule', t => {
  const proven = new Set(cases.flatMap(([, ...codes]) => codes))
  for (const { code } of [...parameterRules, ...pathRules]) t.ok(proven.has(code), code)
  t.end()
})

t.test('a shared channel gives everybody a list of their own, so nothing is said of replacing it', t => {
  const adviser = new Adviser({ sharesChannel: true })
  for (const request of ['PUT /v2/subscriptions', 'DELETE /v2/notification/websocket', 'PUT /v2/notification/callback']) t.strictSame(adviser.advise(read(request)), [], request)
  t.equal(adviser.advise(read('/v2/notification/pull'))[0]?.code, 'deprecated_long_poll')
  t.end()
})

t.test('what the guard noted is said too, whatever the path', t => {
  const adviser = new Adviser({ sharesChannel: false })
  const codes = (path: string, notes: string[]) => adviser.advise({ ...read(path), notes }).map(({ code }) => code)
  t.strictSame(codes('/anything', ['key_removed_from_query']), ['key_removed_from_query'])
  t.strictSame(codes('/v3/devices?limit=0', ['key_sent_as_token', 'something_else']), ['limit_out_of_range', 'key_sent_as_token'])
  t.end()
})

t.test('a rule is whole: a code that is a token, a text for a header, a citation, a place', t => {
  const texts = new Map<string, string>()
  for (const { code, text, source, applies } of rules) {
    t.match(code, /^[a-z]+(?:_[a-z]+)*$/)
    t.match(text, /^[ -~]{20,200}$/, `${code}: printable, not too long for a header`)
    t.match(source.url, /^https:\/\/[a-z0-9.]+\/\S+$/)
    t.ok(applies.length > 3 && source.title.length > 3)
    t.equal(texts.get(code) ?? text, text, `${code} says one thing`)
    texts.set(code, text)
  }
  const table = renderAdvice().trim().split('\n')
  t.equal(table.length, rules.length + 2)
  t.ok(table.every(row => row.split(/(?<!\\)\|/).length === 6), 'four columns')
  t.end()
})

t.test('a filter inside of a filter is not followed, however deep', t => {
  const adviser = new Adviser({ sharesChannel: false })
  t.strictSame(adviser.advise(read('/v3/devices?filter=filter%3Dname__contains%253Da')), [])
  t.strictSame(adviser.advise(read('/v3/devices?' + 'filter='.repeat(2000))), [])
  t.end()
})

t.test('a request with nothing to say makes nothing', t => {
  const adviser = new Adviser({ sharesChannel: false })
  const first = adviser.advise(read(`/v3/devices/${id}`))
  t.equal(adviser.advise(read('/v3/devices?limit=50&state__eq=registered')), first, 'the same empty list')
  t.end()
})
