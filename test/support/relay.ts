import { createServer, connect, type AddressInfo, type Socket } from 'node:net'
import { Transform, type TransformCallback } from 'node:stream'

/** What the relay does to one direction of every connection; all optional, all changeable while it runs. */
export interface Toxics {
  /** Milliseconds each chunk is held back. */
  latencyMs?: number
  /** Bytes a second. */
  bandwidth?: number
  /** Milliseconds between one side's end and telling the other. */
  slowCloseMs?: number
  /** Swallows everything; after so many milliseconds the connection is closed (0: never). */
  timeoutMs?: number
  /** Resets the connection (RST) so many milliseconds after it was opened. */
  resetAfterMs?: number
  /** Cuts chunks into pieces of so many bytes. */
  sliceBytes?: number
  /** Closes the connection after so many bytes. */
  limitBytes?: number
  /** Resets the connection after so many bytes. */
  resetAfterBytes?: number
}

export interface Relay {
  port: number
  /** Towards upstream. */
  up: Toxics
  /** Towards the client. */
  down: Toxics
  /** Connections refused from now on: the listener is closed, what is open is reset. */
  cut (): Promise<void>
  restore (): Promise<void>
  connections (): number
  /** Connections taken since the start. */
  readonly accepted: number
  close (): Promise<void>
}

/** A fault-injecting TCP relay in front of a server on loopback: Toxiproxy's eight faults in a hundred lines. TLS passes through it unseen. */
export async function startRelay (targetPort: number): Promise<Relay> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, client => {
    relay.accepted++
    const upstream = connect({ port: targetPort, host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [client, upstream]) {
      open.add(socket)
      socket.on('error', () => {}).on('close', () => open.delete(socket))
    }
    pass(client, upstream, () => relay.up)
    pass(upstream, client, () => relay.down)
    client.resume()
  })
  const listen = (port: number) => new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, '127.0.0.1', resolve) })
  const stop = async () => {
    const closed = new Promise(resolve => server.close(resolve))
    for (const socket of open) socket.resetAndDestroy()
    await closed
  }
  await listen(0)
  const relay = {
    port: (server.address() as AddressInfo).port,
    up: {} as Toxics,
    down: {} as Toxics,
    accepted: 0,
    connections: () => open.size / 2,
    cut: stop,
    restore: () => listen(relay.port),
    close: async () => { if (server.listening) await stop() }
  }
  return relay
}

function pass (from: Socket, to: Socket, toxics: () => Toxics): void {
  const reset = () => { from.resetAndDestroy(); to.resetAndDestroy() }
  const { resetAfterMs, timeoutMs } = toxics()
  if (resetAfterMs !== undefined) setTimeout(reset, resetAfterMs).unref()
  if (timeoutMs !== undefined && timeoutMs > 0) setTimeout(() => { from.destroy(); to.destroy() }, timeoutMs).unref()
  from.pipe(new Fault(toxics, reset, () => { from.destroy(); to.destroy() })).on('error', () => {}).pipe(to, { end: false })
  from.once('end', () => setTimeout(() => to.end(), toxics().slowCloseMs ?? 0).unref())
  from.once('close', () => { if (from.errored) to.resetAndDestroy() })
}

class Fault extends Transform {
  readonly #toxics: () => Toxics
  readonly #reset: () => void
  readonly #close: () => void
  #passed = 0

  constructor (toxics: () => Toxics, reset: () => void, close: () => void) {
    super()
    this.#toxics = toxics
    this.#reset = reset
    this.#close = close
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    const { latencyMs = 0, bandwidth, timeoutMs } = this.#toxics()
    if (timeoutMs !== undefined) return done()
    const delayMs = latencyMs + (bandwidth === undefined ? 0 : chunk.length / bandwidth * 1000)
    if (delayMs === 0) this.#deliver(chunk, done)
    else setTimeout(() => this.#deliver(chunk, done), delayMs)
  }

  #deliver (chunk: Buffer, done: TransformCallback): void {
    const { sliceBytes = chunk.length, limitBytes, resetAfterBytes } = this.#toxics()
    const limit = Math.min(limitBytes ?? Infinity, resetAfterBytes ?? Infinity)
    const allowed = chunk.subarray(0, Math.max(0, Math.min(chunk.length, limit - this.#passed)))
    for (let offset = 0; offset < allowed.length; offset += sliceBytes) this.push(allowed.subarray(offset, offset + sliceBytes))
    this.#passed += allowed.length
    if (allowed.length < chunk.length || this.#passed >= limit) setImmediate(resetAfterBytes === undefined ? this.#close : this.#reset)
    done()
  }
}
