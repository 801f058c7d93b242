import type { IncomingHttpHeaders } from 'node:http'
import type { Kind } from './limits.ts'
import { isOwnPath } from './own-paths.ts'
import { isWebSocket } from './presented-token.ts'

/** What a request takes up, told from its head. */
export function classify (method: string, canonicalPath: string, headers: IncomingHttpHeaders): Kind {
  if (isWebSocket(headers)) return 'webSocket'
  if (isOwnPath(canonicalPath)) return isEventStream(canonicalPath, headers) ? 'webSocket' : 'own'
  return method === 'GET' && isLongPoll(canonicalPath) ? 'longPoll' : 'request'
}

function isLongPoll (path: string): boolean {
  return path === '/v2/notification/pull' || path === '/v2/notification/pull/'
}

function isEventStream (path: string, { accept }: IncomingHttpHeaders): boolean {
  return path === '/_proxy/notifications' || (accept !== undefined && accept.includes('text/event-stream'))
}
