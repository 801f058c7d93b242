import type { TrailRecord } from './answers.ts'

export interface Step {
  /** Milliseconds since the request arrived; `null`: not measured. */
  atMs: number | null
  text: string
}

export interface Stretch { name: 'waiting' | 'receiving', fromMs: number, toMs: number }

/** What happened to a request, in order. */
export function listSteps (record: TrailRecord): Step[] {
  const { attempts, ttfb_ms: ttfbMs, duration_ms: durationMs, status } = record
  const steps: Step[] = [{ atMs: 0, text: `Arrived from ${record.client_address || 'the proxy itself'}` }]
  if (attempts > 0) steps.push({ atMs: null, text: attempts === 1 ? 'Sent to the API' : `Sent to the API ${attempts} times` })
  if (ttfbMs !== null) steps.push({ atMs: ttfbMs, text: `The API began to answer${status === null ? '' : ` with ${status}`}` })
  if (durationMs !== null) steps.push({ atMs: durationMs, text: describeEnd(record) })
  if (isAnswered(record)) steps.push({ atMs: asyncAt(record), text: describeAsync(record) })
  return steps
}

function describeEnd ({ outcome, status, close_code: closeCode, kind }: TrailRecord): string {
  switch (outcome) {
    case 'answered': return kind === 'websocket' ? `WebSocket closed${closeCode === null ? '' : ` with code ${closeCode}`}` : 'Answer passed on whole'
    case 'refused': return `Refused by the proxy${status === null ? '' : ` with ${status}`}; the API never saw it`
    case 'failed': return `No usable answer; the proxy answered ${status ?? 'nothing'}`
    case 'truncated': return 'The API broke off inside its answer'
    case 'client_aborted': return 'The client left before the answer was whole'
    case 'unfinished': return 'The proxy ended before the answer did'
    case 'own': return 'Answered by the proxy itself'
    case 'open': return 'Still running'
  }
}

/** What the API refused the device never sees; what it was too busy for may be in its queue all the same. */
function isAnswered ({ async_id: id, async_status: asyncStatus, status }: TrailRecord): boolean {
  if (id === null || asyncStatus !== null) return id !== null
  return status === null || status < 300 || status === 429 || status >= 500
}

function asyncAt ({ async_latency_ms: latencyMs, duration_ms: durationMs }: TrailRecord): number | null {
  return latencyMs === null ? null : Math.max(latencyMs, durationMs ?? 0)
}

function describeAsync ({ async_status: status }: TrailRecord): string {
  return status === null ? 'The device has not answered yet' : `The device answered with ${status}`
}

/** For the bar: how much of the time was waiting for the first byte. */
export function listStretches ({ ttfb_ms: ttfbMs, duration_ms: durationMs }: TrailRecord): Stretch[] {
  if (durationMs === null) return []
  const firstMs = Math.min(ttfbMs ?? durationMs, durationMs)
  const stretches: Stretch[] = [{ name: 'waiting', fromMs: 0, toMs: firstMs }]
  if (durationMs > firstMs) stretches.push({ name: 'receiving', fromMs: firstMs, toMs: durationMs })
  return stretches
}
