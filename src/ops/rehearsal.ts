import type { Server } from 'node:http'
import { Stage } from '../stage.ts'

export interface Listener {
  server: Server
  /** A name that it serves. */
  host: string
  /** Does it speak TLS? */
  secure: boolean
}

/**
 * One probe, asked by nobody on no connection: it takes the way of every request as far as the room that answers it, and V8 compiles what
 * the first request would wait for, 8 ms. Resolves to the answer's status, or `undefined` if there was none.
 */
export function rehearseAnswering ({ server, host, secure }: Listener): Promise<number | undefined> {
  return new Promise(resolve => {
    let answer = ''
    const stage = new Stage(chunk => { answer += chunk.toString('latin1') })
    stage.once('close', () => resolve(readStatus(answer)))
    // Node's servers take any stream for a connection that is given to them so, with TLS done or without.
    server.emit(secure ? 'secureConnection' : 'connection', stage)
    stage.push(`GET /_proxy/livez HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })
}

function readStatus (answer: string): number | undefined {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]
  return status === undefined ? undefined : Number(status)
}
