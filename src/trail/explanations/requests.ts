import { sources, type Rule } from './rule.ts'

const outOfRangeLimit = /(?:^|&)limit=(?:[01]|-\d+|\d{5,}|100[1-9]|10[1-9]\d|1[1-9]\d\d|[2-9]\d{3}|[^&\d-][^&]*)(?:&|$)/

/** What any request may meet. */
export const requestRules: Rule[] = [
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
    rule: 'not_found',
    status: [404],
    likely: 'Nothing is at this path: a misspelt one, an id that was deleted, or one of another account.',
    next: 'Compare the path with the API\'s reference (plural forms, version), and the id with a list.',
    source: sources.troubleshooting
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
    rule: 'not_a_rate_limit',
    status: [429],
    likely: 'The API documents no limit on the rate of calls: its 429 means a full queue or a spent quota.',
    next: 'Read the message. Repeating at once is billed, and does not help.',
    source: sources.specification
  },
  {
    rule: 'service_trouble',
    status: [500, 502, 503, 504],
    outcome: ['answered'],
    likely: 'The API itself failed. Nothing is known to be wrong with the request.',
    next: 'Repeat it later if it may be repeated. If it stays, send this text with its request id to support.',
    source: sources.troubleshooting
  }
]
