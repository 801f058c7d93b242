/**
 * What the trail remembers of one request. Never a body, never a header, never a secret: `path`, `query`,
 * `client_agent` and `error_message` are scrubbed before they get here.
 * Names are those of the store's columns and of the trail's API.
 */
export interface TrailRecord extends Intent, Outcome {}

/** Known when the request arrives; on the journal before anything is forwarded. */
export interface Intent {
  /** 32 lowercase hex digits, also the answer's X-Proxy-Request-ID. Begins with the time, like the API's own ids. */
  id: string
  /** RFC 3339, UTC, milliseconds. */
  started_at: string
  kind: RecordKind
  member: string
  method: string
  /** As received, without the query, scrubbed. */
  path: string
  /** As received, without the `?`, scrubbed; empty if none. */
  query: string
  region: string
  /** Of the access key in use, `''` without one. */
  key_fingerprint: string
  client_address: string
  client_agent: string
  /** `allow`, or `deny`/`would-deny` and the rule that decided. */
  policy_decision: string
  /** The request this one was made for (a page of a whole list, a device request that waits), else `''`. */
  parent_id: string
  /** Hygiene notes and advice given, comma-separated codes. */
  notes: string
  /** W3C trace id, `''` without tracing. */
  trace_id: string
}

export type RecordKind = 'request' | 'websocket' | 'page' | 'channel'

/** Known when the request ends. `null` = not known, or there was none. */
export interface Outcome {
  outcome: OutcomeKind
  status: number | null
  /** The API's X-Request-ID, or `request_id` of its error body. */
  upstream_request_id: string | null
  /** `type` of the answer's error body, the API's or our own. */
  error_type: string | null
  error_message: string | null
  /** From arrival to the last byte, monotonic clock. */
  duration_ms: number | null
  /** From arrival to the first byte of upstream's answer, monotonic clock. */
  ttfb_ms: number | null
  /** Body bytes from the client. */
  bytes_in: number
  /** Body bytes to the client. */
  bytes_out: number
  /** Times the request was sent upstream: 0 for a refusal. */
  attempts: number
  /** WebSocket close code. */
  close_code: number | null
  /** Upstream's Date minus our clock, milliseconds, when an answer had one. */
  clock_offset_ms: number | null
  /** For device requests: the id of the asynchronous answer, its status and how long it took. */
  async_id: string | null
  async_status: number | null
  async_latency_ms: number | null
}

export type OutcomeKind =
  | 'open' // still running: the outcome is not known yet
  | 'answered' // upstream's answer was passed on whole
  | 'refused' // the proxy said no; upstream never saw it
  | 'failed' // upstream could not be reached or gave no usable answer
  | 'truncated' // upstream broke off inside the answer
  | 'client_aborted' // the client left first
  | 'own' // one of the proxy's own pages and endpoints
  | 'unfinished' // the proxy itself ended before the answer did

/**
 * The open entry of a request: rooms write what they learn into it, and it is closed exactly once.
 * `Intent` fields may change until `record()`; `Outcome` fields until `close()`.
 */
export interface OpenEntry extends TrailRecord {
  /** performance.now() at arrival. */
  readonly openedAt: number
  /** performance.now() when it was handed to upstream's connections; 0 if it never was. */
  sentAt: number
  /** performance.now() when the last byte of upstream's answer was here; 0 before. What lies outside the two is our own share. */
  answeredAt: number
  /** True once the intent is on the journal. */
  recorded: boolean
  closed: boolean
}

/** What other rooms may ask of the trail. */
export interface TrailService {
  /**
   * Makes an entry in memory, with `outcome: 'open'`. No I/O. Rooms that know better than the trail plugin how the
   * request ended (`failed`, `truncated`, `refused`) set `entry.outcome`; the rest is judged when it closes.
   */
  open (intent: Partial<Intent>): OpenEntry
  /**
   * Puts the intent on the journal; `done` is called when it is written (this turn's batch), with a
   * `trail_unavailable` ProxyError if it could not be and the setting says `block`.
   */
  record (entry: OpenEntry, done: (error?: Error) => void): void
  /** Puts the outcome on the journal, and the intent too if that has not happened. A second call does nothing. */
  close (entry: OpenEntry, outcome?: Partial<Outcome>): void
  /** Called with each entry right after it was closed: the log line, metrics. Must be quick and not throw. */
  onClosed (listener: (entry: OpenEntry) => void): void
  /**
   * Appends facts learned after an entry was closed (the asynchronous answer of a device request).
   */
  amend (id: string, facts: Partial<Pick<Outcome, 'async_id' | 'async_status' | 'async_latency_ms'>>): void
}
