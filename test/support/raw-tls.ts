import { connect } from 'node:tls'
import type { Sandbox } from '../../src/sandbox/index.ts'

export interface Conversation {
  /** Latin-1. */
  text: string
  /** How the other side ended it; `open` when nothing came any more for `quietMs`. */
  ending: 'end' | 'reset' | 'open'
}

/** Writes bytes on a TLS connection and reads what comes, until the connection ends or stays quiet. */
export async function converse (sandbox: Sandbox, bytes: string, quietMs = 150): Promise<Conversation> {
  const socket = connect({ host: '127.0.0.1', port: sandbox.port, ca: sandbox.caPem })
  const { promise, resolve } = Promise.withResolvers<Conversation['ending']>()
  let text = ''
  let quiet = setTimeout(() => {}, 0)
  const wait = (): void => {
    clearTimeout(quiet)
    quiet = setTimeout(() => resolve('open'), quietMs)
  }
  socket.on('secureConnect', () => {
    socket.write(bytes, 'latin1')
    wait()
  })
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    wait()
  })
  socket.on('end', () => resolve('end')).on('error', () => resolve('reset'))
  const ending = await promise
  clearTimeout(quiet)
  socket.destroy()
  return { text, ending }
}

export function getRequest (sandbox: Sandbox, path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${sandbox.accessKey}\r\n\r\n`
}
