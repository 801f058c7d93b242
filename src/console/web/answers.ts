/** Shapes of what the proxy answers, as far as the page reads them; test/console/answers.test.ts compares them with real answers. */

export interface Session {
  member: { name: string, role: 'admin' | 'member' }
  via: 'session' | 'token' | 'certificate' | 'local'
  expires_at: string | null
  csrf_token: string | null
}

export interface TrailRecord {
  id: string
  started_at: string
  kind: 'request' | 'websocket' | 'page' | 'channel'
  member: string
  method: string
  path: string
  query: string
  region: string
  key_fingerprint: string
  client_address: string
  client_agent: string
  policy_decision: string
  parent_id: string
  notes: string
  trace_id: string
  outcome: 'open' | 'answered' | 'refused' | 'failed' | 'truncated' | 'client_aborted' | 'own' | 'unfinished'
  status: number | null
  upstream_request_id: string | null
  error_type: string | null
  error_message: string | null
  duration_ms: number | null
  ttfb_ms: number | null
  bytes_in: number
  bytes_out: number
  attempts: number
  close_code: number | null
  clock_offset_ms: number | null
  async_id: string | null
  async_status: number | null
  async_latency_ms: number | null
}

export interface Explanation {
  rule: string
  likely: string
  next: string
  source: { title: string, url: string }
}

export interface TrailDetail extends TrailRecord { explanation: Explanation | null }

export interface List<Item> { data: Item[], has_more?: boolean }

export interface Bucket {
  at: string
  count: number
  errors: number
  refused: number
  status: { '1xx': number, '2xx': number, '3xx': number, '4xx': number, '5xx': number, none: number }
  p50_ms: number | null
  p95_ms: number | null
  p99_ms: number | null
  max_ms: number | null
}

export interface Series {
  from: string
  to: string
  interval_ms: number
  buckets: Bucket[]
  total: Omit<Bucket, 'at'>
}

export interface MemberUsage {
  name: string
  role: 'admin' | 'member'
  last_seen: string | null
  requests_today: number
  refused_today: number
  daily: number | null
  open: number
  concurrency: number | null
}

export interface Part {
  state: 'ok' | 'degraded' | 'failed'
  ready: boolean
  details?: Record<string, unknown>
}

export interface Status {
  version: string
  node: string
  started_at: string
  uptime_seconds: number
  state: Part['state']
  ready: boolean
  draining: boolean
  parts: Record<string, Part>
  /** Admins only. */
  settings?: Record<string, string | null>
}
