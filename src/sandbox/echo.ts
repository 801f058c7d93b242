import type { IncomingMessage } from 'node:http'
import type { RequestBody } from './request-body.ts'

/** Says what was received, but never the credentials. */
export function describeRequest (request: IncomingMessage, body: RequestBody): unknown {
  const headers: Array<[string, string]> = []
  for (let index = 0; index < request.rawHeaders.length; index += 2) {
    const name = request.rawHeaders[index] ?? ''
    if (!/^authorization$|^sec-websocket-protocol$/i.test(name)) headers.push([name, request.rawHeaders[index + 1] ?? ''])
  }
  return { object: 'echo', method: request.method, url: request.url, headers, body: { length: body.length, sha256: body.sha256 } }
}
