import { catalogue, type ErrorType } from '../errors.ts'
import type { TrailRecord } from './record.ts'

/** Why a request probably failed, what to do next, and who says so. */
export interface Explanation {
  /** Code of the rule, stable. */
  rule: string
  likely: string
  next: string
  source: { title: string, url: string }
}

/** All that is given must fit; a record is explained by the first rule that does. */
interface Rule extends Omit<Explanation, 'rule'> {
  rule: string
  status?: number[]
  /** `type` of the error body, or the plain string of a v2 service. */
  type?: string[]
  path?: RegExp
  query?: RegExp
  closeCode?: number[]
  asyncStatus?: number[]
  outcome?: Array<TrailRecord['outcome']>
}

const docs = 'https://developer.izumanetworks.com/docs/device-management/current'
const sources = {
  troubleshooting: { title: 'Troubleshooting the APIs', url: `${docs}/service-api-references/troubleshooting-the-apis.html` },
  using: { title: 'Using the APIs', url: `${docs}/service-api-references/using-the-apis.html` },
  applications: { title: 'Application access', url: `${docs}/user-account/application-access.html` },
  events: { title: 'Event notification', url: `${docs}/resources/event-notification.html` },
  specification: { title: 'The API\'s OpenAPI specification', url: 'https://github.com/PelionIoT/mbed-cloud-sdk-javascript/blob/api-contract/staging/api_specifications/public/pelion_dm_public_openapi.yaml' },
  reference: { title: 'Error types of izuma-proxy', url: 'config/README.md' }
}

/** A path whose device is not named by 32 hexadecimal digits. */
const foreignDeviceId = /^\/(?:v3\/devices|v2\/(?:endpoints|device-requests|subscriptions))\/(?![0-9a-f]{32}(?:\/|$))[^/]+/i
const devicePath = /^\/v2\/(?:endpoints|device-requests|subscriptions)\//
const outOfRangeLimit = /(?:^|&)limit=(?:[01]|-\d+|\d{5,}|100[1-9]|10[1-9]\d|1[1-9]\d\d|[2-9]\d{3}|[^&\d-][^&]*)(?:&|$)/

/** The API's documented rules, special before general. */
export const rules: Rule[] = [
  {
    rule: 'key_not_accepted',
    status: [401],
    likely: 'The API did not accept the proxy\'s access key: it is expired, inactive or deleted, or belongs to another region or host.',
    next: 'Run `izuma-proxy check`. Look the key up in the portal (Access Management > Applications), and put a working one into IZUMA_ACCESS_KEY_FILE; it is taken up within a second.',
    source: sources.troubleshooting
  },
  {
    rule: 'quota_of_account',
    status: [403],
    type: ['account_limit_exceeded'],
    likely: 'A quota of the account is used up. This has nothing to do with how fast requests come.',
    next: 'GET /v3/limitations shows the quotas. Delete what is no longer needed, or ask for more.',
    source: sources.troubleshooting
  },
  {
    rule: 'notifications_need_access_key',
    status: [403],
    path: /^\/v2\/(?:notification|subscriptions)/,
    likely: 'Notification endpoints take only an access key of an application, no session or reference token.',
    next: 'Make an access key for an application in the portal, and give that one to the proxy.',
    source: sources.specification
  },
  {
    rule: 'not_permitted',
    status: [403],
    likely: 'The account\'s type does not include this operation, or no policy group of the application allows it.',
    next: 'Compare the application\'s policy groups in the portal with what this request needs. Some operations exist for commercial accounts only.',
    source: sources.using
  },
  {
    rule: 'not_a_device_id',
    status: [400, 404],
    path: foreignDeviceId,
    likely: 'The path names a device by something that is not a Device ID, e.g. its PSK ID or endpoint name.',
    next: 'Use the Device ID of 32 hexadecimal digits: GET /v3/devices with a filter finds it.',
    source: sources.using
  },
  {
    rule: 'device_not_connected',
    status: [400, 404, 410, 429],
    type: ['DEVICE_NOT_CONNECTED', 'DEVICE_NOT_FOUND'],
    likely: 'The device is not registered at the moment, or not in this account.',
    next: 'Look at its state with GET /v3/devices/{id}. A device in queue mode takes requests sent as device requests, and answers when it wakes up.',
    source: sources.specification
  },
  {
    rule: 'device_queue_full',
    type: ['QUEUE_IS_FULL'],
    likely: 'The queue of this device is full; it holds 20 requests. It is not a limit on the rate of calls.',
    next: 'Wait for the asynchronous answers of earlier requests, or let requests expire sooner (`expiry-seconds`).',
    source: sources.specification
  },
  {
    rule: 'transaction_quota_spent',
    type: ['LIMITS_EXCEEDED'],
    likely: 'The account\'s quota of transactions is spent. It is not a limit on the rate of calls, so repeating does not help.',
    next: 'GET /v3/limitations shows the quotas. Ask whoever owns the account.',
    source: sources.specification
  },
  {
    rule: 'already_queued',
    type: ['CONGESTION_CONTROL'],
    likely: 'The API is congested, and the request is in its queue already.',
    next: 'Do not repeat it: it would be carried out twice. Wait for its asynchronous answer.',
    source: sources.specification
  },
  {
    rule: 'async_id_malformed',
    type: ['MALFORMED_ASYNC_ID'],
    likely: 'The `async-id` is not one to forty letters, digits, `_` or `-`.',
    next: 'Choose a shorter one, or one without other characters.',
    source: sources.specification
  },
  {
    rule: 'resource_not_on_device',
    status: [404],
    type: ['URI_PATH_DOES_NOT_EXISTS'],
    path: devicePath,
    likely: 'The device has no resource at this path.',
    next: 'GET /v2/endpoints/{id} lists the resources that the device has registered.',
    source: sources.specification
  },
  {
    rule: 'limit_out_of_range',
    status: [400],
    query: outOfRangeLimit,
    likely: '`limit` must be a whole number from 2 to 1000.',
    next: 'Correct it. To have more, follow `after` page by page, or let the proxy do so: GET /_proxy/pages/… with the same path.',
    source: sources.specification
  },
  {
    rule: 'filter_invalid',
    status: [400],
    query: /(?:^|&)(?:filter=|[a-z_]+__[a-z]+=)/,
    likely: 'A filter does not fit: a field that cannot be filtered by, an operator it does not have, or a date that is not RFC 3339.',
    next: 'The message names the field. In `filter=` the whole expression is percent-encoded once more: filter=status%3Dactive.',
    source: sources.specification
  },
  {
    rule: 'validation_error',
    status: [400],
    type: ['validation_error'],
    likely: 'A parameter or a field of the body is missing or malformed.',
    next: 'The message names it. Compare it with the API\'s reference.',
    source: sources.troubleshooting
  },
  {
    rule: 'bad_request',
    status: [400],
    likely: 'The API could not read the request: a wrong Content-Type, a body that is not what it says, or an interface that this API does not have.',
    next: 'Check Content-Type, body and path against the API\'s reference.',
    source: sources.troubleshooting
  },
  {
    rule: 'no_channel',
    status: [404],
    path: /^\/v2\/notification\//,
    likely: 'No notification channel of this kind is registered for the application.',
    next: 'Listen through the proxy (/_proxy/notifications, or the API\'s own paths): it registers and keeps the channel.',
    source: sources.events
  },
  {
    rule: 'not_found',
    status: [404],
    likely: 'Nothing is at this path: a misspelt one, an id that was deleted, or one of another account.',
    next: 'Compare the path with the API\'s reference (plural forms, version), and the id with a list.',
    source: sources.troubleshooting
  },
  {
    rule: 'poll_already_open',
    status: [409],
    path: /^\/v2\/notification\/pull/,
    likely: 'Another long poll of the same application is open. There can be only one.',
    next: 'Let everybody listen through one proxy: it holds the one poll and shares the events.',
    source: sources.events
  },
  {
    rule: 'channel_deleted',
    status: [410],
    path: /^\/v2\/notification\//,
    likely: 'The channel was deleted and is not purged yet.',
    next: 'Wait two minutes before polling again.',
    source: sources.specification
  },
  {
    rule: 'duplicate',
    status: [409],
    likely: 'It exists already, or was changed meanwhile.',
    next: 'Read it first; for an update send its current `etag`.',
    source: sources.troubleshooting
  },
  {
    rule: 'upload_too_large',
    status: [413],
    likely: 'The upload is larger than the account may send in one piece.',
    next: 'Upload it in chunks: POST /v3/firmware-images/upload-jobs.',
    source: sources.specification
  },
  {
    rule: 'handshake_in_progress',
    status: [429],
    path: /^\/v2\/notification\/websocket-connect/,
    likely: 'Another WebSocket handshake with the same key was going on.',
    next: 'Connect again after a moment, with growing pauses; through the proxy only one connection is ever made.',
    source: sources.specification
  },
  {
    rule: 'not_a_rate_limit',
    status: [429],
    likely: 'The API documents no limit on the rate of calls: its 429 means a full queue or a spent quota.',
    next: 'Read the message. Repeating at once is billed, and does not help.',
    source: sources.specification
  },
  {
    rule: 'upgrade_required',
    status: [426],
    likely: 'This path opens a WebSocket, and the request was an ordinary one.',
    next: 'Use a WebSocket client: ws:// and the proxy\'s address.',
    source: sources.specification
  },
  {
    rule: 'service_trouble',
    status: [500, 502, 503, 504],
    outcome: ['answered'],
    likely: 'The API itself failed. Nothing is known to be wrong with the request.',
    next: 'Repeat it later if it may be repeated. If it stays, send this text with its request id to support.',
    source: sources.troubleshooting
  },
  {
    rule: 'channel_displaced',
    closeCode: [1001],
    path: /^\/v2\/notification\//,
    likely: 'A second connection with the same application took the channel over: a channel has one connection at a time.',
    next: 'Find who else uses this application\'s key, and give them the proxy\'s address, or an application of their own.',
    source: sources.events
  },
  {
    rule: 'websocket_key_lost',
    closeCode: [1008],
    likely: 'The key became invalid while the WebSocket was open.',
    next: 'Run `izuma-proxy check`, and replace the key.',
    source: sources.specification
  },
  {
    rule: 'websocket_without_channel',
    closeCode: [1011],
    likely: 'There was no channel to connect to, or the service failed.',
    next: 'Register the channel first (PUT /v2/notification/websocket) and wait a few seconds; or listen through the proxy, which does that.',
    source: sources.specification
  },
  {
    rule: 'device_failed',
    asyncStatus: [400, 404, 405, 408, 410, 412, 413, 429, 500, 502, 503, 504],
    likely: 'The API took the request, the device did not carry it out. The status of an asynchronous answer is the device\'s, not the API\'s.',
    next: 'Look at the device: 429 its queue, 502 to 504 its connection, 4xx its resource.',
    source: sources.specification
  }
]

const outcomeTexts: Partial<Record<TrailRecord['outcome'], Pick<Explanation, 'rule' | 'likely' | 'next'>>> = {
  truncated: {
    rule: 'answer_broke_off',
    likely: 'The connection to the API ended in the middle of the answer, or stood still for too long.',
    next: 'What arrived is incomplete. The request may have been carried out: look before you repeat it.'
  },
  client_aborted: {
    rule: 'client_left',
    likely: 'The client closed its connection before the answer was complete, often because of its own time limit.',
    next: 'Compare the duration with the client\'s time limit. The API may have carried the request out.'
  },
  unfinished: {
    rule: 'proxy_ended',
    likely: 'The proxy itself ended before the answer came: it was killed or crashed.',
    next: 'The request may have been carried out: look before you repeat it.'
  }
}

type Explained = Pick<TrailRecord, 'outcome' | 'status' | 'error_type' | 'path' | 'query' | 'close_code' | 'async_status' | 'kind'>

/** `null` for a request that went well. */
export function explain (record: Explained): Explanation | null {
  if (record.outcome === 'refused' || record.outcome === 'failed') return explainOwn(record)
  const rule = rules.find(candidate => fits(candidate, record))
  if (rule !== undefined && hasFailed(record)) return { rule: rule.rule, likely: rule.likely, next: rule.next, source: rule.source }
  const text = record.kind === 'websocket' ? undefined : outcomeTexts[record.outcome]
  return text === undefined ? null : { ...text, source: sources.reference }
}

function hasFailed ({ status, close_code: closeCode, async_status: asyncStatus }: Explained): boolean {
  return (status ?? 0) >= 400 || (closeCode ?? 1000) > 1000 || (asyncStatus ?? 0) >= 400
}

function explainOwn ({ error_type: type }: Explained): Explanation | null {
  if (type === null || !Object.hasOwn(catalogue, type)) return null
  const { message, solve } = catalogue[type as ErrorType]
  return { rule: type, likely: message, next: solve, source: sources.reference }
}

function fits (rule: Rule, record: Explained): boolean {
  return includes(rule.status, record.status) &&
    includes(rule.type, record.error_type) &&
    includes(rule.closeCode, record.close_code) &&
    includes(rule.asyncStatus, record.async_status) &&
    includes(rule.outcome, record.outcome) &&
    (rule.path?.test(record.path) ?? true) &&
    (rule.query?.test(record.query) ?? true)
}

function includes<T> (wanted: T[] | undefined, value: T | null): boolean {
  return wanted === undefined || (value !== null && wanted.includes(value))
}
