import type { TrailRecord } from './answers.ts'

/**
 * The request as a command, through the proxy that shows it. Whatever a client put into path or query is data: it stands in single
 * quotes, where a POSIX shell reads nothing but the quote itself.
 *
 * @param origin of the proxy
 * @param needsToken with a team; it is taken from the environment, not from here
 */
export function writeCurl ({ method, path, query }: Pick<TrailRecord, 'method' | 'path' | 'query'>, origin: string, needsToken: boolean): string {
  const url = `${origin}${path}${query === '' ? '' : `?${query}`}`
  // --globoff, --path-as-is: curl sends the URL as it stands.
  const words = ['curl', '--globoff', '--path-as-is']
  if (method === 'HEAD') words.push('--head')
  else if (method !== 'GET') words.push('--request', quote(method))
  if (needsToken) words.push('--header', '"Authorization: Bearer $API_TOKEN"')
  // The trail remembers no bodies.
  if (method === 'POST' || method === 'PUT' || method === 'PATCH') words.push('--header', quote('Content-Type: application/json'), '--data', '@body.json')
  words.push(quote(url))
  return words.join(' ')
}

function quote (text: string): string {
  // Control characters end a line or drive a terminal; none is valid in a URL.
  // eslint-disable-next-line no-control-regex
  return `'${text.replaceAll(/[\u0000-\u001f\u007f]/g, encodeURIComponent).replaceAll("'", "'\\''")}'`
}
