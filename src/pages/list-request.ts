import type { RequestTarget } from '../decorations.ts'
import { proxyError, type ProxyError } from '../errors.ts'
import { choosePageSize } from './page-size.ts'

/** What a client asks for: a list of the API, and how much of it. */
export interface ListRequest {
  /** Raw, as it goes upstream. */
  path: string
  canonicalPath: string
  /** Of the first page: the client's parameters as received, less our own, with a `limit`. */
  query: string
  /** The client's own `after`, decoded: it goes on from there. */
  after: string | undefined
  maxItems: number
}

const prefix = '/_proxy/pages'

/** Of our own parameters there is one; the API has none of that name. */
const maxItemsName = 'max_items'

export function readListRequest ({ path, query, canonicalPath }: Pick<RequestTarget, 'path' | 'query' | 'canonicalPath'>): ListRequest | ProxyError {
  // The router takes an encoded spelling of our own path for the plain one; policy and this room don't.
  if (!path.startsWith(prefix + '/') || !canonicalPath.startsWith(prefix + '/')) return proxyError('not_found')
  const listPath = canonicalPath.slice(prefix.length)
  if (listPath === '/' || listPath === '/_proxy' || listPath.startsWith('/_proxy/')) return proxyError('not_found')
  if (!mayBeList(listPath)) return proxyError('validation_error', { message: `${prefix} serves the lists of the API; this path is none of them.` })
  const parameters = query === '' ? [] : query.split('&')
  const maxItems = readMaxItems(parameters)
  if (maxItems === undefined) return proxyError('validation_error', { fields: [{ name: maxItemsName, message: 'A whole number from 1 on.' }] })
  const kept = parameters.filter(parameter => nameOf(parameter) !== maxItemsName)
  const limit = kept.some(parameter => nameOf(parameter) === 'limit') ? undefined : choosePageSize(listPath, maxItems)
  if (limit !== undefined) kept.push(`limit=${limit}`)
  // One slash at the start: `//name` is how the API documents some paths, and how others write a host.
  return { path: path.slice(prefix.length).replace(/^\/+/, '/'), canonicalPath: listPath, query: kept.join('&'), after: readAfter(kept), maxItems }
}

/** The query of the page behind `after`. All other parameters keep their bytes: filters are percent-encoded inside of them. */
export function queryAfter (query: string, after: string): string {
  const kept = query.split('&').filter(parameter => parameter !== '' && nameOf(parameter) !== 'after')
  return [...kept, `after=${encodeURIComponent(after)}`].join('&')
}

/**
 * Of the /v2 services only the pre-shared keys are a list that can be read without consequences: a GET of the others takes events
 * from the channel or asks a device. The notification room looks after them, and nothing may go around it.
 */
function mayBeList (canonicalPath: string): boolean {
  const path = canonicalPath.toLowerCase()
  return !/^\/v2(?:\/|$)/.test(path) || /^\/v2\/device-shared-keys\/?$/.test(path)
}

function readMaxItems (parameters: string[]): number | undefined {
  const given = parameters.filter(parameter => nameOf(parameter) === maxItemsName)
  if (given.length === 0) return Infinity
  const value = valueOf(given[0] ?? '')
  return given.length === 1 && /^[1-9][0-9]{0,14}$/.test(value) ? Number(value) : undefined
}

function readAfter (parameters: string[]): string | undefined {
  const given = parameters.find(parameter => nameOf(parameter) === 'after')
  return given === undefined ? undefined : decode(valueOf(given)) || undefined
}

function nameOf (parameter: string): string {
  const equals = parameter.indexOf('=')
  return decode(equals < 0 ? parameter : parameter.slice(0, equals))
}

function valueOf (parameter: string): string {
  const equals = parameter.indexOf('=')
  return equals < 0 ? '' : parameter.slice(equals + 1)
}

function decode (text: string): string {
  if (!/[%+]/.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
