import { sources, type Rule } from './rule.ts'

/** A path whose device is not named by 32 hexadecimal digits. */
const foreignDeviceId = /^\/(?:v3\/devices|v2\/(?:endpoints|device-requests|subscriptions))\/(?![0-9a-f]{32}(?:\/|$))[^/]+/i
const devicePath = /^\/v2\/(?:endpoints|device-requests|subscriptions)\//

/** A device that is named wrongly, away, or has too much to do. */
export const deviceRules: Rule[] = [
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
  }
]
