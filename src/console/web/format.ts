import type { TrailRecord } from './answers.ts'

const none = '–'

/** 14:03:27.042, in the reader's own time zone. */
export function formatTime (text: string): string {
  const at = new Date(text)
  return `${formatClock(at)}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

function formatClock (at: Date): string {
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(part => String(part).padStart(2, '0')).join(':')
}

export function formatDay (text: string): string {
  const at = new Date(text)
  return [at.getFullYear(), at.getMonth() + 1, at.getDate()].map(part => String(part).padStart(2, '0')).join('-')
}

/** 2026-01-02 14:03:27 */
export function formatDate (text: string | null): string {
  return text === null || Number.isNaN(Date.parse(text)) ? none : `${formatDay(text)} ${formatClock(new Date(text))}`
}

export function formatDuration (ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return none
  if (ms < 10) return `${ms.toFixed(1)} ms`
  if (ms < 1000) return `${Math.round(ms)} ms`
  return ms < 60_000 ? `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s` : formatSpan(ms)
}

/** In the two largest units: 2 h 5 min */
export function formatSpan (ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const parts: Array<[number, string]> = [[Math.floor(seconds / 86_400), 'd'], [Math.floor(seconds / 3600) % 24, 'h'], [Math.floor(seconds / 60) % 60, 'min'], [seconds % 60, 's']]
  const first = parts.findIndex(([amount]) => amount > 0)
  if (first < 0) return '0 s'
  return parts.slice(first, first + 2).filter(([amount]) => amount > 0).map(([amount, unit]) => `${amount} ${unit}`).join(' ')
}

/** How long ago. */
export function formatAgo (text: string | null, nowMs: number): string {
  if (text === null) return 'never'
  const ms = nowMs - Date.parse(text)
  return ms < 5_000 ? 'just now' : `${formatSpan(ms).split(' ').slice(0, 2).join(' ')} ago`
}

export function formatBytes (bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const power = Math.min(3, Math.floor(Math.log10(bytes) / 3))
  const amount = bytes / 1000 ** power
  return `${amount.toFixed(amount < 10 ? 1 : 0)} ${['B', 'kB', 'MB', 'GB'][power]}`
}

export function formatRate (perSecond: number): string {
  if (perSecond === 0) return '0/s'
  if (perSecond < 0.1) return `${(perSecond * 60).toPrecision(2)}/min`
  return `${perSecond < 10 ? perSecond.toFixed(1) : Math.round(perSecond).toLocaleString('en')}/s`
}

export function formatCount (count: number): string {
  return count.toLocaleString('en')
}

/** In the unit that its name ends with. */
export function formatAmount (name: string, value: number): string {
  if (/(?:_ms|Ms)$/.test(name)) return formatDuration(value)
  if (/(?:_s|S)econds$/.test(name)) return formatSpan(value * 1000)
  if (/bytes$/i.test(name)) return formatBytes(value)
  return Number.isInteger(value) ? formatCount(value) : String(Number(value.toPrecision(4)))
}

/** snake_case and camelCase in words. */
export function formatName (name: string): string {
  return name.replaceAll(/([a-z])([A-Z])/g, '$1 $2').replaceAll(/[_-]/g, ' ').toLowerCase()
}

export type Tone = 'good' | 'moved' | 'warn' | 'bad' | 'quiet'

export function toneOf ({ status, outcome }: Pick<TrailRecord, 'status' | 'outcome'>): Tone {
  if (outcome === 'failed' || outcome === 'truncated' || outcome === 'unfinished') return 'bad'
  if (status === null) return 'quiet'
  if (status >= 500) return 'bad'
  if (status >= 400) return 'warn'
  return status >= 300 ? 'moved' : 'good'
}

const outcomes: Record<TrailRecord['outcome'], string> = {
  open: 'running',
  answered: 'answered',
  refused: 'refused by the proxy',
  failed: 'no usable answer',
  truncated: 'broke off',
  client_aborted: 'client left',
  own: 'own page',
  unfinished: 'proxy ended first'
}

export function describeOutcome (outcome: TrailRecord['outcome']): string {
  return outcomes[outcome] ?? outcome
}

/** What there is to say beside the status: an error's type, or an outcome that is not the usual one. */
export function describeResult ({ outcome, error_type: errorType }: Pick<TrailRecord, 'outcome' | 'error_type'>): string {
  if (errorType !== null && errorType !== '') return errorType
  return outcome === 'answered' || outcome === 'own' ? '' : describeOutcome(outcome)
}
