import createError from '@fastify/error'

/**
 * Every answer the proxy gives in its own name, by type.
 * `code` is the HTTP status, `message` what the client reads (a constant; it never holds an address or a cause),
 * `solve` what the reference page advises.
 */
export const catalogue = {
  host_not_allowed: {
    code: 403,
    message: 'This Host is not served here.',
    solve: 'Call the proxy by a loopback name, or list the name in `PROXY_ALLOWED_HOSTS`.'
  },
  origin_not_allowed: {
    code: 403,
    message: 'Pages of this origin may not use the proxy.',
    solve: 'List the exact origin (scheme, host, port) of the page in `PROXY_ALLOWED_ORIGINS`.'
  },
  request_target_invalid: {
    code: 400,
    message: 'The request target is not one the API could read in only one way.',
    solve: 'Send a plain path that starts with one `/`: no absolute form, dot segments, backslash, NUL or doubly encoded characters.'
  },
  header_invalid: {
    code: 400,
    message: 'A request header is malformed or repeated.',
    solve: 'Send one `Host`, one `Authorization`, one framing (`Content-Length` or `Transfer-Encoding: chunked`) and only printable header values.'
  },
  access_key_in_url: {
    code: 400,
    message: 'The path holds an access key. Treat that key as published and replace it.',
    solve: 'Never put a key in a URL. Delete the key in the portal, create a new one, and send nothing but the member token to the proxy.'
  },
  member_unknown: {
    code: 401,
    message: 'A valid member token is needed: Authorization: Bearer izp_…',
    solve: 'Ask whoever runs the proxy for a token (`izuma-proxy team add NAME`), and put it where your client expects the API key.'
  },
  member_forbidden: {
    code: 403,
    message: 'The policy of this member forbids the request.',
    solve: 'The message names the rule. `izuma-proxy team test NAME METHOD PATH` explains it; whoever runs the proxy can change it in the team file.'
  },
  rate_limited: {
    code: 429,
    message: 'Too many requests for the limit set on this member or key.',
    solve: 'Wait as many seconds as `Retry-After` says, or raise the member\'s `rate` and `burst`.'
  },
  concurrency_limited: {
    code: 429,
    message: 'Too many requests of this member are open at the same time.',
    solve: 'Wait for running requests to end, or raise the member\'s `concurrency`.'
  },
  budget_spent: {
    code: 429,
    message: 'The requests of this day are used up.',
    solve: 'Wait until the day (UTC) ends, as `Retry-After` says, or raise the member\'s `daily` limit.'
  },
  channel_taken: {
    code: 409,
    message: 'The notification channel belongs to something this proxy must not displace.',
    solve: 'See `/_proxy/status`, section `channel`: remove the foreign registration yourself, or set `PROXY_CHANNEL=off`.'
  },
  access_key_unavailable: {
    code: 503,
    message: 'The proxy has no access key, so nothing was forwarded.',
    solve: 'Set `IZUMA_ACCESS_KEY_FILE` or `IZUMA_ACCESS_KEY_COMMAND`; `izuma-proxy check` says why the key cannot be read.'
  },
  trail_unavailable: {
    code: 503,
    message: 'The request could not be recorded, so it was not forwarded.',
    solve: 'Free disk space or repair the journal folder; `PROXY_TRAIL_ON_FAILURE=continue` forwards unrecorded.'
  },
  draining: {
    code: 503,
    message: 'The proxy is shutting down.',
    solve: 'Send the request again: another instance, or this one after its restart, takes it.'
  },
  upstream_busy: {
    code: 503,
    message: 'All connections to the API are taken, so nothing was sent: ask for less at once, or raise PROXY_UPSTREAM_CONNECTIONS.',
    solve: 'It may be sent again, after as many seconds as `Retry-After` says. Each answer that is not finished holds a connection, long polls and downloads too: ask for less at once, or raise `PROXY_UPSTREAM_CONNECTIONS`. `PROXY_UPSTREAM_QUEUE_TIMEOUT` and `PROXY_UPSTREAM_QUEUE` set how long and how many may wait. If others get `upstream_timeout` meanwhile, the API is slow or away.'
  },
  upstream_unreachable: {
    code: 502,
    message: 'The API host could not be reached.',
    solve: '`izuma-proxy check` tests name resolution, network and TLS. The cause is in the log under this request id.'
  },
  upstream_tls_failed: {
    code: 502,
    message: 'The TLS certificate of the API host could not be verified, so nothing was sent.',
    solve: 'Behind a TLS-inspecting firewall set `IZUMA_CA_FILE`. Otherwise somebody may be impersonating the API.'
  },
  upstream_invalid_response: {
    code: 502,
    message: 'The API host answered with something that is not valid HTTP, or closed early.',
    solve: 'The request may have been carried out: look before you repeat it. The cause is in the log under this request id.'
  },
  upstream_timeout: {
    code: 504,
    message: 'The API host did not answer in time.',
    solve: 'The request may have been carried out: look before you repeat it. `PROXY_UPSTREAM_HEADERS_TIMEOUT` sets the limit.'
  },
  not_found: {
    code: 404,
    message: 'The proxy has nothing at this path.',
    solve: 'Its own paths are listed in config/README.md.'
  },
  method_not_allowed: {
    code: 405,
    message: 'This method is not served.',
    solve: 'The API uses GET, POST, PUT, DELETE, PATCH, HEAD and OPTIONS. TRACE and CONNECT are never forwarded.'
  },
  http_version_not_supported: {
    code: 505,
    message: 'Only HTTP/1.1 and HTTP/1.0 are spoken here.',
    solve: 'Let the client speak HTTP/1.1 (curl: `--http1.1`).'
  },
  validation_error: {
    code: 400,
    message: 'One of the request fields has failed validation.',
    solve: 'The field is named in `fields`.'
  },
  upgrade_required: {
    code: 426,
    message: 'This path takes WebSockets only.',
    solve: 'Open it with a WebSocket client (`Connection: Upgrade`, `Upgrade: websocket`); `GET /_proxy/notifications` gives the same events as an event stream.'
  },
  poll_conflict: {
    code: 409,
    message: 'Another long poll of this member is open.',
    solve: 'Wait for its answer, or give each program a queue of its own with `?consumer=NAME`.'
  },
  device_timeout: {
    code: 504,
    message: 'The device has not answered in the time the request was willing to wait.',
    solve: 'The request stands: the answer comes over the notification channel under the `async-id` that the message names. Wait longer with `Prefer: wait=SECONDS` (at most 120).'
  },
  request_timeout: {
    code: 408,
    message: 'The request did not arrive in time.',
    solve: 'Send headers within 10 s and keep the body flowing.'
  },
  header_too_large: {
    code: 431,
    message: 'The request headers are too large.',
    solve: 'The limit is 16 KiB for all headers together.'
  },
  internal_error: {
    code: 500,
    message: 'The proxy failed. This is a defect of izuma-proxy.',
    solve: 'Report it with the log line of this request id.'
  }
} as const satisfies Record<string, { code: number, message: string, solve: string }>

export type ErrorType = keyof typeof catalogue

export interface FieldFault { name: string, message: string }

export interface ProxyErrorDetails {
  /** Replaces the constant message. Must not hold an address, a cause or a secret. */
  message?: string
  /** For the log only. */
  cause?: unknown
  /** Seconds, sent as Retry-After. */
  retryAfter?: number
  fields?: FieldFault[]
}

/** An error that the proxy answers in its own name. Made by `proxyError`, never by `new`. */
export interface ProxyError extends Error, Omit<ProxyErrorDetails, 'message'> {
  type: ErrorType
  statusCode: number
}

const constructors = new Map<ErrorType, ReturnType<typeof createError>>()
for (const [type, { code, message }] of Object.entries(catalogue)) {
  constructors.set(type as ErrorType, createError(type, message, code))
}

export function proxyError (type: ErrorType, details: ProxyErrorDetails = {}): ProxyError {
  const ErrorOfType = constructors.get(type) as ReturnType<typeof createError>
  const error = new ErrorOfType() as unknown as ProxyError
  return Object.assign(error, details, { type, message: details.message ?? catalogue[type].message })
}

export function isProxyError (error: unknown): error is ProxyError {
  return error instanceof Error && 'type' in error && typeof error.type === 'string' && Object.hasOwn(catalogue, error.type)
}

/** Types that say of a request which was recorded already that the proxy itself did not let it go: nothing was sent. */
const refusals: ReadonlySet<unknown> = new Set<ErrorType>(['access_key_unavailable', 'trail_unavailable', 'upstream_busy'])

/** Upstream never saw it, and not for want of trying. */
export function isRefusal (error: unknown): boolean {
  return isProxyError(error) && refusals.has(error.type)
}

/** The body of an answer in the proxy's own name, in the shape of the API's own errors. */
export function errorBody (error: Pick<ProxyError, 'type' | 'message' | 'fields'>, requestId: string) {
  const { code } = catalogue[error.type]
  const body = { object: 'error', code, type: error.type, message: error.message, request_id: requestId }
  return error.fields ? { ...body, fields: error.fields } : body
}
