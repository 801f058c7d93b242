/** What the query of a device request says, found without decoding and encoding the whole anew. */
export interface DeviceRequestQuery {
  /** The member's id for the answer, decoded; `undefined` without one. */
  asyncId: string | undefined
  /** Several ids in one query: which one the API would take is unknown, so such a request is refused. */
  ambiguous: boolean
  /** Seconds until the API gives up, if the query says so and it is a number. */
  expirySeconds: number | undefined
}

/** The form the API asks of an id: `^[\w\-]{1,40}$`. */
export function isAsyncId (value: string): boolean {
  return /^[A-Za-z0-9_-]{1,40}$/.test(value)
}

/** `query` is raw, without `?`. */
export function readDeviceRequestQuery (query: string): DeviceRequestQuery {
  const ids = parameters(query).filter(({ name }) => name === 'async-id')
  const expiry = parameters(query).find(({ name }) => name === 'expiry-seconds')
  return {
    asyncId: ids[0] && decode(ids[0].value),
    ambiguous: ids.length > 1,
    expirySeconds: expiry !== undefined && /^[0-9]{1,9}$/.test(expiry.value) ? Number(expiry.value) : undefined
  }
}

/** The query with another id, or with one if it had none. Every other byte stays. */
export function replaceAsyncId (query: string, upstreamId: string): string {
  let replaced = false
  const parts = parameters(query).map(({ name, raw }) => {
    if (name !== 'async-id') return raw
    replaced = true
    return `async-id=${upstreamId}`
  })
  if (!replaced) parts.push(`async-id=${upstreamId}`)
  return parts.join('&')
}

function parameters (query: string): Array<{ name: string, value: string, raw: string }> {
  if (query === '') return []
  return query.split('&').map(raw => {
    const equals = raw.indexOf('=')
    return { raw, name: decode(equals === -1 ? raw : raw.slice(0, equals)), value: equals === -1 ? '' : raw.slice(equals + 1) }
  })
}

/** As form decoding does: `+` is a space. What can't be decoded stands for itself. */
function decode (text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
