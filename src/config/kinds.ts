import * as Type from 'typebox'

/**
 * A kind of setting: how its text looks (`schema`), what to say when it doesn't (`expected`), and what it means (`decode`).
 * `decode` is only called with text that fits the schema; it throws an Error whose message completes "NAME …".
 */
export interface Kind<T> {
  schema: Type.TString
  expected: string
  decode: (text: string) => T
}

function kind<T> (schema: Type.TString, expected: string, decode: (text: string) => T): Kind<T> {
  return { schema, expected, decode }
}

export const text = kind(Type.String({ minLength: 1 }), 'text', value => value)

export const path = kind(Type.String({ minLength: 1, pattern: '^[^\\0]+$' }), 'a file path', value => value)

export function oneOf<const T extends string> (...values: T[]): Kind<T> {
  const pattern = `^(${values.map(value => value.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})$`
  return kind(Type.String({ pattern }), `one of ${values.join(', ')}`, value => value as T)
}

export const yesNo = kind(Type.String({ pattern: '^(true|false|1|0|yes|no)$' }), 'true or false', value => /^(true|1|yes)$/.test(value))

/** A flag that is on, off, or decided by whether standard output is a terminal. */
export const autoYesNo = kind(Type.String({ pattern: '^(true|false|auto)$' }), 'true, false or auto', value => value === 'auto' ? undefined : value === 'true')

export function integer (minimum: number, maximum: number): Kind<number> {
  return kind(Type.String({ pattern: '^[0-9]+$' }), `a whole number from ${minimum} to ${maximum}`, value => {
    const number = Number(value)
    if (number < minimum || number > maximum) throw new Error(`must be from ${minimum} to ${maximum}`)
    return number
  })
}

const durationUnitsMs: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Text like `500ms`, `30s`, `5m`, `12h`, `30d`; the value is milliseconds. */
export const duration = kind(Type.String({ pattern: '^[0-9]+(ms|s|m|h|d)$' }), 'a duration such as 500ms, 30s, 5m, 12h or 30d', value => {
  const [, number = '', unit = ''] = /^([0-9]+)(ms|s|m|h|d)$/.exec(value) ?? []
  return Number(number) * (durationUnitsMs[unit] ?? Number.NaN)
})

const sizeUnits: Record<string, number> = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }

/** Text like `16KiB`, `1GiB`; the value is bytes. */
export const size = kind(Type.String({ pattern: '^[0-9]+(B|KiB|MiB|GiB)$' }), 'a size such as 16KiB, 64MiB or 1GiB', value => {
  const [, number = '', unit = ''] = /^([0-9]+)(B|KiB|MiB|GiB)$/.exec(value) ?? []
  return Number(number) * (sizeUnits[unit] ?? Number.NaN)
})

/** Comma-separated; surrounding spaces and empty items are dropped. */
export const list = kind(Type.String(), 'a comma-separated list', value => value.split(',').map(item => item.trim()).filter(item => item !== ''))

/** Comma-separated names, `name`, `name:port` or `[::1]`; no patterns: a Host is served or it isn't. */
export const hosts = kind(Type.String(), 'a comma-separated list of host names, each with or without a port', value =>
  list.decode(value).map(item => {
    if (!/^(?:\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*)\.?(?::[0-9]{1,5})?$/.test(item)) throw new Error(`holds ${JSON.stringify(item)}, which is not a host name (name, name:port or [::1], no scheme, no *)`)
    return item
  }))

/** `https://host[:port]` and nothing else; the value is the origin as a URL prints it. */
export const httpsOrigin = kind(Type.String({ pattern: '^https://[^/?#@\\\\\\s]+/?$' }), 'https://host[:port] and nothing else', decodeOrigin)

/** Exact browser origins, comma-separated. `null` and wildcards are refused: neither names a page. */
export const webOrigins = kind(Type.String(), 'a comma-separated list of origins such as http://localhost:5173', value =>
  list.decode(value).map(item => {
    if (!/^https?:\/\/[^/?#@*\\\s]+$/.test(item)) throw new Error(`holds ${JSON.stringify(item)}, which is not an exact origin (scheme://host[:port], no path, no *)`)
    return decodeOrigin(item)
  }))

/** `http://host:port` of a forward proxy. */
export const proxyUrl = kind(Type.String({ pattern: '^https?://[^/?#\\\\\\s]+/?$' }), 'http://host:port of a forward proxy', value => {
  if (!URL.canParse(value)) throw new Error('is not a URL')
  return value
})

function decodeOrigin (value: string): string {
  if (!URL.canParse(value)) throw new Error(`holds ${JSON.stringify(value)}, which is not a URL`)
  return new URL(value).origin
}

export type ListenAddress = { host: string, port: number } | { socketPath: string }

/** `host:port`, `[::1]:port` or `unix:/path`; port 0 takes any free one. */
export const listenAddress = kind(Type.String({ minLength: 1 }), 'host:port, [::1]:port or unix:/path', (value): ListenAddress => {
  if (value.startsWith('unix:')) return decodeSocketPath(value.slice('unix:'.length))
  const match = /^(?:\[([0-9a-fA-F:.%]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(value)
  const port = Number(match?.[3])
  if (!match || port > 65535) throw new Error('must be host:port, [::1]:port or unix:/path')
  return { host: match[1] ?? match[2] ?? '', port }
})

function decodeSocketPath (socketPath: string): ListenAddress {
  if (!socketPath.startsWith('/') || socketPath.length > 107) throw new Error('needs an absolute path of at most 107 characters after unix:')
  return { socketPath }
}

/** `sqlite:path` or a `postgres://` URL. */
export const trailStore = kind(Type.String({ pattern: '^(sqlite:.+|postgres(ql)?://.+)$' }), 'sqlite:path or postgres://…', value =>
  value.startsWith('sqlite:') ? { kind: 'sqlite' as const, path: value.slice('sqlite:'.length) } : { kind: 'postgres' as const, url: value })

/** Where Redis is and how to log in; `tls` for `rediss://`. */
export interface RedisAddress {
  /** Of a Unix socket, in place of host and port. */
  path?: string
  host?: string
  port?: number
  username?: string
  password?: string
  db: number
  tls: boolean
}

/** `redis://[user:password@]host[:port][/db]`, `rediss://…` or `unix:/path[?db=N]`. Other parameters are refused: ioredis would take them as its options. */
export const redisUrl = kind(Type.String({ pattern: '^(rediss?://([^/?#@\\\\\\s]*@)?[^/?#@\\\\\\s]+(/[0-9]*)?|unix:.+)$' }), 'redis://[user:password@]host[:port][/db], rediss://… or unix:/path[?db=N]', (value): RedisAddress =>
  value.startsWith('unix:') ? decodeRedisSocket(value) : decodeRedisUrl(value))

function decodeRedisUrl (value: string): RedisAddress {
  if (!URL.canParse(value)) throw new Error('is not a URL')
  const { protocol, hostname, port, username, password, pathname } = new URL(value)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 6379),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1)),
    tls: protocol === 'rediss:'
  }
}

function decodeRedisSocket (value: string): RedisAddress {
  const [, path, db = '0'] = /^unix:(\/[^?\0]+)(?:\?db=([0-9]+))?$/.exec(value) ?? []
  if (path === undefined) throw new Error('needs an absolute path after unix:')
  return { path, db: Number(db), tls: false }
}

/** Begins the names of what is kept in a shared place. */
export const namePrefix = kind(Type.String({ pattern: '^[A-Za-z0-9:._{}-]{1,64}$' }), 'up to 64 of letters, digits and : . _ - { }', value => value)

/** `http(s)://host[:port][/path]` without credentials, query or fragment; the value has no slash at its end. */
export const baseUrl = kind(Type.String({ pattern: '^https?://[^?#@\\\\\\s]+$' }), 'a URL such as http://localhost:4318', value => {
  if (!URL.canParse(value)) throw new Error('is not a URL')
  return value.replace(/\/+$/, '')
})

/** `name=value` pairs, comma-separated; values may be percent-encoded (as OpenTelemetry's own variable has them). */
export const headerPairs = kind(Type.String(), 'name=value pairs with commas between them', value =>
  Object.fromEntries(list.decode(value).map((item): [string, string] => {
    const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+)=([\x21-\x7e]*)$/.exec(item)
    if (!match) throw new Error('holds an item that is not name=value')
    return [(match[1] as string).toLowerCase(), decodeURIComponent(match[2] as string)]
  })))
