import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'

/** The token a request shows: where its client would put the access key. `undefined` if there is none, `''` if it isn't one token. */
export function findToken (headers: IncomingHttpHeaders): string | undefined {
  const { authorization } = headers
  if (authorization !== undefined) return readBearer(authorization)
  return isWebSocket(headers) ? findInProtocols(headers['sec-websocket-protocol']) : undefined
}

/** RFC 9110 §11.1: the scheme in any case, then one space or more. */
function readBearer (authorization: string): string {
  if (authorization.startsWith('Bearer izp_')) return authorization.slice(7)
  return /^bearer +([!-~]+)$/i.exec(authorization)?.[1] ?? ''
}

/** Browsers can't set headers on a WebSocket; the API takes `wss` and `pelion_<key>` as subprotocols, in any order. */
function findInProtocols (protocols: string | undefined): string | undefined {
  if (protocols === undefined) return undefined
  const tokens = protocols.split(',').map(protocol => protocol.trim()).filter(protocol => protocol.startsWith('pelion_'))
  if (tokens.length > 1) return ''
  return tokens[0]?.slice('pelion_'.length)
}

export function isWebSocket (headers: IncomingHttpHeaders): boolean {
  return headers.upgrade !== undefined && headers.upgrade.toLowerCase() === 'websocket'
}

const commonNames = new WeakMap<object, string>()

/**
 * The CN of the client's certificate, `''` if it has none that was verified. Asked once for each connection: reading a
 * certificate costs more than the request.
 */
export function findCommonName ({ socket }: Pick<IncomingMessage, 'socket'>): string {
  let name = commonNames.get(socket)
  if (name === undefined) commonNames.set(socket, name = readCommonName(socket as TLSSocket))
  return name
}

function readCommonName (socket: TLSSocket): string {
  if (!socket.encrypted || !socket.authorized) return ''
  const name: unknown = socket.getPeerCertificate().subject?.CN
  // Several CNs are an array: which one would it be?
  return typeof name === 'string' ? name : ''
}
