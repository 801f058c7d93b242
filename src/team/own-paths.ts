/** The proxy's own: nothing at or below it is ever forwarded. */
export function isOwnPath (path: string): boolean {
  return path.startsWith('/_proxy') && (path.length === 7 || path.charCodeAt(7) === 47)
}

/**
 * What needs no token: the probes, by their exact path (whatever else a request carries), and the console's files, which hold nothing
 * but the page that asks for one. Judged on the path as received too, so that no second reading of it gets in.
 */
export function isPublic (method: string, canonicalPath: string, path: string): boolean {
  if (!canonicalPath.startsWith('/_proxy/') || path !== canonicalPath) return false
  if (method !== 'GET' && method !== 'HEAD') return false
  if (canonicalPath === '/_proxy/livez' || canonicalPath === '/_proxy/readyz') return true
  return canonicalPath === '/_proxy/console' || canonicalPath.startsWith('/_proxy/console/')
}
