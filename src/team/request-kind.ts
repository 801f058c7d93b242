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

/** In any case of the path: whether the API tells cases apart is not known, and a long poll must not pass for something short. */
function isLongPoll (path: string): boolean {
  return (path.length === 21 || path.length === 22) && longPoll.test(path)
}

const longPoll = /^\/v2\/notification\/pull\/?$/i

function isEventStream (path: string, { accept }: IncomingHttpHeaders): boolean {
  return path === '/_proxy/notifications' || (accept !== undefined && accept.includes('text/event-stream'))
}
