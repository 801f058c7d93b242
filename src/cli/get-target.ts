import { readFileSync } from 'node:fs'
import { request as requestPlain, type ClientRequest, type IncomingMessage } from 'node:http'
import { request as requestTls } from 'node:https'
import { X509Certificate } from 'node:crypto'
import type { Settings } from '../config/table.ts'
import { UsageError } from './command.ts'
import { servedHost, whereTo } from './wait.ts'

export interface ListOptions {
  /** `field=value` or `field__op=value`. */
  filters: string[]
  maxItems: string | undefined
  /** Every page of a list. */
  all: boolean
}

/** The request target for PATH: through `/_proxy/pages` when all of a list is wanted. @throws UsageError */
export function buildTarget (path: string, { filters, maxItems, all }: ListOptions): string {
  if (/^[a-z]+:\/\//i.test(path)) throw new UsageError('PATH is a path only, such as /v3/devices; --url says which proxy')
  if (!path.startsWith('/')) throw new UsageError(`PATH starts with a slash: /${path}`)
  if (all && /^\/_proxy(?:\/|$)/.test(path)) throw new UsageError('--all is for lists of the API; leave it out for a path of the proxy itself')
  if (maxItems !== undefined && !/^[1-9][0-9]{0,14}$/.test(maxItems)) throw new UsageError(`--max ${maxItems}: expected a whole number from 1 on`)
  const mark = path.indexOf('?')
  const query = [mark < 0 ? '' : path.slice(mark + 1), ...buildFilters(filters, path), ...(maxItems === undefined ? [] : [`max_items=${maxItems}`])].filter(part => part !== '').join('&')
  // What a shell lets pass and HTTP doesn't: a space, letters beyond ASCII.
  return `${all ? '/_proxy/pages' : ''}${mark < 0 ? path : path.slice(0, mark)}${query === '' ? '' : `?${query}`}`.replace(/[^!-~]+/g, encodeURIComponent)
}

/**
 * `state=registered` → `state__eq=registered`, which all services take. Attributes of the account's own making are documented inside of
 * `filter=` only.
 */
function buildFilters (filters: string[], path: string): string[] {
  const own: string[] = []
  const parameters: string[] = []
  for (const filter of filters) {
    const [name, value] = splitFilter(filter)
    const isOwn = /^(?:custom|component)_attributes__/.test(name)
    const list = isOwn ? own : parameters
    list.push(`${encodeURIComponent(isOwn || name.includes('__') ? name : `${name}__eq`)}=${encodeURIComponent(value)}`)
  }
  if (own.length === 0) return parameters
  if (/[?&]filter=/.test(path)) throw new UsageError('PATH has a filter= already: put the attributes into it')
  return [...parameters, `filter=${encodeURIComponent(own.join('&'))}`]
}

function splitFilter (filter: string): [name: string, value: string] {
  const equals = filter.indexOf('=')
  if (equals < 1) throw new UsageError(`--filter ${filter}: expected field=value, such as state=registered or created_at__gte=2026-01-31T00:00:00Z`)
  return [filter.slice(0, equals), filter.slice(equals + 1)]
}

export interface Asked {
  target: string
  accept: string
  token: string | undefined
  signal: AbortSignal
}

/** Asks the proxy at a base URL. @throws UsageError */
export function askUrl (url: string, asked: Asked): ClientRequest {
  if (!URL.canParse(url)) throw new UsageError(`--url ${url}: expected a base URL such as http://127.0.0.1:8080`)
  const { protocol, hostname, port, pathname, username } = new URL(url)
  if ((protocol !== 'http:' && protocol !== 'https:') || username !== '') throw new UsageError('--url takes http:// or https:// and no user or password; the token comes from --token-file')
  const options = { ...describe(asked), host: hostname.replace(/^\[|\]$/g, ''), ...(port !== '' && { port }), path: pathname.replace(/\/$/, '') + asked.target }
  return protocol === 'https:' ? requestTls(options) : requestPlain(options)
}

/** Asks the proxy that runs with these settings. */
export function askListener (settings: Pick<Settings, 'listen' | 'tlsCertFile' | 'allowedHosts'>, asked: Asked): ClientRequest {
  const { headers, ...options } = describe(asked)
  const all = { ...options, ...whereTo(settings.listen), headers: { ...headers, Host: servedHost(settings) }, path: asked.target }
  return settings.tlsCertFile === undefined ? requestPlain(all) : requestTls({ ...all, ...expectCertificate(settings.tlsCertFile) })
}

function describe ({ accept, token, signal }: Asked) {
  return { signal, agent: false as const, headers: { Accept: accept, ...(token !== undefined && { Authorization: `Bearer ${token}` }) } }
}

/** The token goes to whoever has the very certificate that the settings name, whatever name or authority stands in it. */
function expectCertificate (file: string) {
  const pem = readFileSync(file, 'utf8')
  const { fingerprint256 } = new X509Certificate(pem)
  return {
    ca: pem,
    allowPartialTrustChain: true,
    checkServerIdentity: (_host: string, certificate: { fingerprint256: string }) => certificate.fingerprint256 === fingerprint256 ? undefined : new Error('this is not the certificate of PROXY_TLS_CERT_FILE')
  }
}

export function answerOf (request: ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => request.once('response', resolve).once('error', reject).end())
}
