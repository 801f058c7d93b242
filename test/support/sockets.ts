import { connect, type NetConnectOpts, type Socket } from 'node:net'

/** A client socket that keeps what it receives, and says when it is closed. */
export interface Peer {
  socket: Socket
  received (): string
  /** Resolves to the milliseconds since the epoch at which the connection was closed. */
  closed: Promise<number>
  /** Resolves when the text received so far fits. */
  until (pattern: RegExp): Promise<string>
}

export function watchSocket (socket: Socket): Peer {
  let text = ''
  const waiting = new Set<() => void>()
  socket.on('data', chunk => {
    text += chunk.toString('latin1')
    for (const look of waiting) look()
  })
  socket.on('error', () => {})
  const closed = new Promise<number>(resolve => { socket.once('close', () => { resolve(Date.now()) }) })
  const until = (pattern: RegExp) => new Promise<string>((resolve, reject) => {
    const look = () => {
      if (!pattern.test(text)) return
      waiting.delete(look)
      resolve(text)
    }
    waiting.add(look)
    socket.once('close', () => { look(); reject(new Error(`closed before ${pattern}: ${text}`)) })
    look()
  })
  return { socket, received: () => text, closed, until }
}

/** Connects, and sends the text, if any. */
export async function openPeer (options: NetConnectOpts, text = ''): Promise<Peer> {
  const socket = connect(options)
  const peer = watchSocket(socket)
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  if (text !== '') socket.write(text)
  return peer
}
