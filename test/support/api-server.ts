import { createServer as createHttps, type Server } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createServer as createTls, type TlsOptions, type TLSSocket } from 'node:tls'
import type { Test } from 'tap'
import { makeAuthority } from './certificates.ts'

export interface TestApi {
  origin: string
  ca: string
  port: number
  /** Requests seen, in order. */
  seen: Array<{ method: string, url: string, rawHeaders: string[] }>
  server: Server
}

const authority = makeAuthority()

/** An HTTPS server on loopback that stands for the API, answering as the test says. */
export async function startApi (t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<TestApi> {
  const seen: TestApi['seen'] = []
  const server = createHttps(authority.issue(), (request, response) => {
    seen.push({ method: request.method ?? '', url: request.url ?? '', rawHeaders: request.rawHeaders })
    answer(request, response)
  })
  const port = await listenOn(t, server)
  return { origin: `https://127.0.0.1:${port}`, ca: authority.ca, port, seen, server }
}

export interface RawApi {
  origin: string
  ca: string
  port: number
  /** What came on each connection so far, as text. */
  received: string[]
  connections: number
  /** Ends every connection with a TCP reset. */
  reset (): void
}

/** A TLS server that answers with raw bytes: `script` is called with each whole request head that arrives. */
export async function startRawApi (t: Test, script: (socket: TLSSocket, request: string, count: number) => void, options: TlsOptions = {}): Promise<RawApi> {
  const api: RawApi = { origin: '', ca: authority.ca, port: 0, received: [], connections: 0, reset: () => { for (const socket of raw) socket.resetAndDestroy() } }
  const raw = new Set<Socket>()
  let count = 0
  const server = createTls({ ...authority.issue(), ...options }, socket => {
    const index = api.connections++
    api.received[index] = ''
    let pending = ''
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      const text = chunk.toString('latin1')
      api.received[index] += text
      pending += text
      for (let end = pending.indexOf('\r\n\r\n'); end !== -1; end = pending.indexOf('\r\n\r\n')) {
        const head = pending.slice(0, end + 4)
        pending = pending.slice(end + 4)
        script(socket, head, ++count)
      }
    })
  })
  server.on('connection', (socket: Socket) => raw.add(socket))
  api.port = await listenOn(t, server)
  api.origin = `https://127.0.0.1:${api.port}`
  return api
}

async function listenOn (t: Test, server: Server | ReturnType<typeof createTls>): Promise<number> {
  const open = new Set<{ destroy (): void }>()
  server.on('connection', (socket: TLSSocket) => {
    open.add(socket)
    socket.on('error', () => {}).on('close', () => open.delete(socket))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    for (const socket of open) socket.destroy()
    await new Promise(resolve => server.close(resolve))
  })
  return (server.address() as AddressInfo).port
}
