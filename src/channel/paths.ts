/** Which paths of the API the room answers itself or looks into. All take the canonical path: decoded once, `//` and dots resolved. */

const notificationMethods: Record<string, readonly string[]> = {
  callback: ['GET', 'PUT', 'DELETE'],
  channel: ['GET'],
  pull: ['GET', 'DELETE'],
  websocket: ['GET', 'PUT', 'DELETE'],
  'websocket-connect': ['GET']
}

export type OwnPath = 'notification' | 'device-request' | 'resource' | 'subscription' | 'unknown-method'

/** What a request is to this room, or `undefined` if it is none of its. */
export function classifyPath (method: string, canonicalPath: string): OwnPath | undefined {
  if (!/^\/v2\//i.test(canonicalPath)) return undefined
  // Whether the API tells cases apart is not known; what would be ours in either way must not pass in one.
  const folded = canonicalPath.toLowerCase()
  const path = folded.endsWith('/') ? folded.slice(0, -1) : folded
  if (path.startsWith('/v2/notification/')) return classifyNotification(method, path.slice('/v2/notification/'.length))
  if (path.startsWith('/v2/device-requests/')) return method === 'POST' ? 'device-request' : undefined
  if (path.startsWith('/v2/endpoints/')) return path.indexOf('/', '/v2/endpoints/'.length) === -1 ? undefined : 'resource'
  if (path === '/v2/subscriptions') return ['GET', 'PUT', 'DELETE'].includes(method) ? 'subscription' : undefined
  return path.startsWith('/v2/subscriptions/') && ['PUT', 'DELETE'].includes(method) ? 'subscription' : undefined
}

/** A method that the API doesn't document might do anything to the channel; a suffix (`.json`) might be taken for a format. */
function classifyNotification (method: string, written: string): OwnPath | undefined {
  const [name = ''] = written.split(/\.|%(?:3f|23)/)
  if (!Object.hasOwn(notificationMethods, name)) return undefined
  return notificationMethods[name]?.includes(method) ? 'notification' : 'unknown-method'
}

/** `/v2/<service>/<device>/<resource path>`: the last two, the resource path without leading or trailing slash. */
export function readResource (canonicalPath: string): { device: string, path: string } {
  const [, , , device = '', ...path] = canonicalPath.split('/')
  return { device, path: path.filter(segment => segment !== '').join('/') }
}
