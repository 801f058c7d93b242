import { Client } from 'undici'
import { Stage } from '../stage.ts'

const answer = 'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}'

/**
 * Sends one request to nobody: undici compiles its parser (WebAssembly) only when it first needs it, which the first request would
 * wait for, 12 ms. Resolves to the answer's status, or `undefined` if there was none: then the first request does what this didn't.
 */
export async function rehearseSending (): Promise<number | undefined> {
  const stage = new Stage(() => { setImmediate(() => stage.push(answer)) })
  const client = new Client('http://rehearsal.invalid', { connect: (_options, done) => { queueMicrotask(() => done(null, stage as never)) } })
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
