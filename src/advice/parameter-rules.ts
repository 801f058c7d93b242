import { sources, type ParameterRule, type Where } from './rule.ts'
import { isDate, isDateTime, isDeviceId, isTruncatedDate, isWithin } from './values.ts'

/** Services whose lists come in pages. */
const lists = [
  'v2/device-shared-keys', 'v3/access-keys', 'v3/accounts', 'v3/api-keys', 'v3/applications', 'v3/billing-statistics', 'v3/certificate-enrollments',
  'v3/certificate-issuer-configurations', 'v3/certificate-issuers', 'v3/device-block-categories', 'v3/device-enrollments', 'v3/device-events',
  'v3/device-groups', 'v3/device-logs', 'v3/device-queries', 'v3/devicelog', 'v3/devices', 'v3/firmware-images', 'v3/firmware-manifests',
  'v3/identity-providers', 'v3/metrics', 'v3/policy-groups', 'v3/service-packages-quota-history', 'v3/trust-anchors', 'v3/trusted-certificates',
  'v3/update-campaigns', 'v3/user-invitations', 'v3/users'
]

const operators = new Set(['eq', 'neq', 'in', 'nin', 'lte', 'gte', 'like'])
/** Behind these comes a name of the account's own, and behind that an operator, if any, of which there are more. */
const openFields = new Set(['custom_attributes', 'component_attributes'])

const accountIncludes = new Set(['limits', 'policies', 'sub_accounts', 'history', 'total_count'])
const metricIncludes = new Set([
  'transactions', 'full_registrations', 'registration_updates', 'deleted_registrations', 'expired_registrations', 'bootstraps_successful',
  'bootstraps_failed', 'bootstraps_pending', 'handshakes_successful', 'connect_rest_api_success', 'connect_rest_api_error',
  'device_proxy_request_success', 'device_proxy_request_error', 'device_subscription_request_success', 'device_subscription_request_error',
  'device_observations', 'total_count'
])
const usualIncludes = new Set(['total_count'])

export const parameterRules: readonly ParameterRule[] = [
  {
    code: 'limit_out_of_range',
    text: 'limit takes whole numbers from 2 to 1000; services set others to the closest limit or refuse them. GET /_proxy/pages/... with the same path gives all items at once.',
    source: sources.specification,
    applies: '`limit` of a list',
    methods: ['GET'],
    services: lists,
    names: ['limit'],
    check: value => !isWithin(value, 2, 1000)
  },
  {
    code: 'order_unknown',
    text: 'order takes ASC or DESC, in capitals.',
    source: sources.specification,
    applies: '`order` of a list',
    methods: ['GET'],
    services: lists,
    names: ['order'],
    check: (value, { service }) => value !== 'ASC' && value !== 'DESC' && !(service === 'v3/billing-statistics' && /^(?:asc|desc)$/i.test(value))
  },
  {
    code: 'include_unknown',
    text: 'include names something that is not documented here. Most lists know total_count only; accounts know limits, policies, sub_accounts and history; metrics the names of metrics.',
    source: sources.specification,
    applies: '`include`',
    methods: ['GET'],
    services: lists,
    names: ['include'],
    check: (value, where) => value !== 'total_count' && value !== '' && value.split(',').some(name => !includesOf(where).has(name.trim()))
  },
  {
    code: 'filter_operator_unknown',
    text: 'Documented operators of a filter are __eq, __neq, __in, __nin, __lte and __gte, in a few services __like.',
    source: sources.specification,
    applies: 'filters, alone or inside of `filter=`; those on custom and component attributes excepted',
    methods: ['GET'],
    services: lists,
    names: (field, operator) => operator !== '' && !operators.has(operator) && !openFields.has(field),
    check: () => true
  },
  {
    code: 'date_unreadable',
    text: 'Dates are UTC in RFC 3339 (2016-11-30T16:25:12Z, with a fraction or without) or shortened (20161130T162512Z). A + has to be sent as %2B.',
    source: sources.specification,
    applies: 'filters on fields that hold a time',
    methods: ['GET'],
    services: lists,
    names: holdsTime,
    check: (value, { operator }) => !everyValue(value, operator, isDateTime)
  },
  {
    code: 'date_unreadable',
    text: 'Dates are UTC in RFC 3339 (2016-11-30T16:25:12Z, with a fraction or without) or shortened (20161130T162512Z). A + has to be sent as %2B.',
    source: sources.specification,
    applies: 'filters on fields that hold a day, which may be 2035-01-01 too',
    methods: ['GET'],
    services: lists,
    names: field => field.endsWith('_expiration_date'),
    check: (value, { operator }) => !everyValue(value, operator, isDate)
  },
  {
    code: 'not_a_device_id',
    text: 'A Device ID has 32 hexadecimal digits; this is a name of another kind. To find a device by its endpoint name (its PSK identity too): GET /v3/devices?endpoint_name__eq=NAME',
    source: sources.specification,
    applies: 'filters on `device_id`, and on the `id` of devices',
    methods: ['GET'],
    services: lists,
    names: (field, _operator, service) => field === 'device_id' || (field === 'id' && service === 'v3/devices'),
    check: (value, { operator }) => !everyValue(value, operator, isDeviceId)
  },
  {
    code: 'range_unreadable',
    text: 'start and end are UTC in RFC 3339 (2017-02-07T09:20:56.990Z). Metrics also take 20170207T092056990Z, a year (2017) or a day (20170207).',
    source: sources.specification,
    applies: '`start` and `end` of metrics and statistics',
    methods: ['GET'],
    services: ['v3/metrics', 'v3/billing-statistics', 'v3/manufacturing'],
    names: ['start', 'end'],
    check: (value, { service }) => !(service === 'v3/metrics' ? isTruncatedDate(value) : isDateTime(value))
  },
  {
    code: 'month_unreadable',
    text: 'month is a year and a month: 2020-02.',
    source: sources.specification,
    applies: '`month` of billing reports',
    methods: ['GET'],
    services: ['v3/billing-report', 'v3/billing-report-active-devices', 'v3/billing-report-firmware-updates'],
    names: ['month'],
    check: value => !isDate(`${value}-01`)
  },
  {
    code: 'async_id_malformed',
    text: 'async-id takes 1 to 40 letters, digits, underscores and dashes.',
    source: sources.specification,
    applies: '`async-id` of a device request',
    methods: ['POST'],
    services: ['v2/device-requests'],
    names: ['async-id'],
    check: value => !/^[\w-]{1,40}$/.test(value)
  },
  {
    code: 'retry_out_of_range',
    text: 'retry takes whole numbers from 0 to 10.',
    source: sources.specification,
    applies: '`retry` of a device request',
    methods: ['POST'],
    services: ['v2/device-requests'],
    names: ['retry'],
    check: value => !isWithin(value, 0, 10)
  },
  {
    code: 'expiry_out_of_range',
    text: 'expiry-seconds takes whole numbers from 60 to 2592000 (30 days).',
    source: sources.specification,
    applies: '`expiry-seconds` of a device request',
    methods: ['POST'],
    services: ['v2/device-requests'],
    names: ['expiry-seconds'],
    check: value => !isWithin(value, 60, 2_592_000)
  }
]

function includesOf ({ service, canonicalPath }: Where): ReadonlySet<string> {
  if (service === 'v3/metrics') return metricIncludes
  return service === 'v3/accounts' && /^\/v3\/accounts(?:\/[^/]*)?\/?$/.test(canonicalPath) ? accountIncludes : usualIncludes
}

/** An empty value filters nothing. */
function everyValue (value: string, operator: string, test: (one: string) => boolean): boolean {
  if (value === '') return true
  return operator === 'in' || operator === 'nin' ? value.split(',').every(test) : test(value)
}

/** Fields of the specification that hold a time. */
function holdsTime (field: string): boolean {
  return field.endsWith('_at') || field.endsWith('timestamp') || field === 'date_time' || field === 'finished' || field === 'when'
}
