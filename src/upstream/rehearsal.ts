import { Duplex } from 'node:stream'
import { Client } from 'undici'

/** From when everything else is ready. */
const delayMs = 100

const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

/** A connection that leads nowhere, and answers. */
class Stage extends Duplex {
  override _read (): void {}

  override _write (_chunk: Buffer, _encoding: string, done: () => void): void {
    done()
    setImmediate(() => this.push(answer))
  }

  ref (): this { return this }
  unref (): this { return this }
}

/**
 * Sends one request to nobody, a moment after the start: undici compiles its parser (WebAssembly) only when it first needs it, which
 * the first request would wait for, 12 ms. Gives a function that calls it off.
 */
export function rehearseLater (): () => void {
  const timer = setTimeout(() => { void rehearse() }, delayMs).unref()
  return () => { clearTimeout(timer) }
}

/** Resolves to the answer's status, or `undefined` if there was none: then the first request does what this didn't. */
export async function rehearse (): Promise<number | undefined> {
  const client = new Client('http://rehearsal.invalid', { connect: (_options, done) => { queueMicrotask(() => done(null, new Stage() as never)) } })
  const status = await new Promise<number | undefined>(resolve => {
    let status: number | undefined
    client.dispatch({ path: '/', method: 'GET' }, {
      onRequestStart () {},
      onResponseStart (_controller, code) { status = code },
      onResponseData () {},
      onResponseEnd () { resolve(status) },
      onResponseError () { resolve(undefined) }
    })
  })
  await client.destroy()
  return status
}
