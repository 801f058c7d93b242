import type { ClientRequestArgs } from 'node:http'
import type { Test } from 'tap'
import { WebSocket } from 'ws'
import type { Sandbox } from '../../src/sandbox/index.ts'
import { waitFor } from './wait-for.ts'

// Messages come in many shapes.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Message = any

/** A WebSocket to the sandbox that keeps what it was told. */
export interface Listener {
  socket: WebSocket
  messages: Message[]
  /** All items of one kind so far. */
  items (kind: string): Message[]
  /** Waits for that many items of one kind. */
  until (kind: string, count?: number): Promise<Message[]>
  /** Settles with the close code. */
  closed: Promise<number>
  requestId: string | undefined
}

export interface Dial { path?: string, key?: string | null, protocols?: string[], headers?: Record<string, string> }

/** Rejects with the status, as `HTTP 401`, when the handshake is refused. */
export async function listen (t: Test, sandbox: Sandbox, { path = '/v2/notification/websocket-connect', key = sandbox.accessKey, protocols = [], headers = {} }: Dial = {}): Promise<Listener> {
  const authorization = key === null ? {} : { Authorization: `Bearer ${key}` }
  const options: ClientRequestArgs & { ca: string } = { ca: sandbox.caPem, headers: { ...authorization, ...headers } }
  const socket = new WebSocket(sandbox.origin.replace('https', 'wss') + path, protocols, options)
  const messages: Message[] = []
  const items = (kind: string): Message[] => messages.flatMap(message => message[kind] ?? [])
  const listener: Listener = {
    socket,
    messages,
    items,
    until: async (kind, count = 1) => await waitFor(kind, () => items(kind), found => found.length >= count),
    closed: new Promise(resolve => socket.on('close', resolve)),
    requestId: undefined
  }
  socket.on('message', (data: Buffer, binary) => messages.push(binary ? data : parse(data.toString())))
  socket.on('upgrade', answer => { listener.requestId = String(answer.headers['x-request-id']) })
  t.teardown(() => socket.terminate())
  await new Promise<void>((resolve, reject) => {
    socket.on('open', () => resolve()).on('error', reject)
    socket.on('unexpected-response', (_request, answer) => reject(new Error(`HTTP ${answer.statusCode}`)))
  })
  return listener
}

function parse (text: string): Message {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
