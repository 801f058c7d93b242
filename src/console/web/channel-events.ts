/** One thing that a message of the notification channel tells. Everything in it comes from devices: text, never markup. */
export interface ChannelEvent {
  kind: string
  device: string
  text: string
}

const arrays: Record<string, string> = {
  notifications: 'value',
  registrations: 'registered',
  'reg-updates': 'registration updated',
  'de-registrations': 'deregistered',
  'registrations-expired': 'registration expired',
  'async-responses': 'answer'
}

const longestText = 400

/** @param data a message of the channel, JSON of the API's shape; whatever else it holds is shown as it is */
export function listEvents (data: string): ChannelEvent[] {
  const message = parse(data)
  if (typeof message !== 'object' || message === null) return [{ kind: 'unreadable', device: '', text: cut(data) }]
  return Object.entries(message).flatMap(([name, value]) =>
    (Array.isArray(value) ? value as unknown[] : [value]).map(item => describe(arrays[name] ?? name, item)))
}

function parse (data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}

function describe (kind: string, item: unknown): ChannelEvent {
  if (typeof item !== 'object' || item === null) return { kind, device: typeof item === 'string' ? item : '', text: '' }
  const { ep, id, path, payload, status, error } = item as Record<string, unknown>
  const parts = [path, status, error, decode(payload)].filter(part => typeof part === 'string' || typeof part === 'number')
  return { kind, device: textOf(ep) || textOf(id), text: cut(parts.join('  ')) }
}

function textOf (value: unknown): string {
  return typeof value === 'string' ? value : ''
}

/** Payloads are base64. Of what is no text, the base64 is shown. */
function decode (payload: unknown): string | undefined {
  if (typeof payload !== 'string' || payload === '') return undefined
  try {
    const bytes = Uint8Array.from(atob(payload), char => char.charCodeAt(0))
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    // eslint-disable-next-line no-control-regex
    return /[\u0000-\u0008\u000e-\u001f]/.test(text) ? payload : text
  } catch {
    return payload
  }
}

function cut (text: string): string {
  return text.length > longestText ? `${text.slice(0, longestText)}…` : text
}
