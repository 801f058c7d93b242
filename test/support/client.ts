import { request, type IncomingHttpHeaders, type RequestOptions } from 'node:http'
import { connect } from 'node:net'

export interface Answer { status: number, headers: IncomingHttpHeaders, rawHeaders: string[], body: Buffer, text: string, complete: boolean }

/** One request on a connection of its own, with the path exactly as given. */
export function ask (url: string, path: string, options: RequestOptions & { body?: string | Buffer } = {}): Promise<Answer> {
  const { hostname, port } = new URL(url)
  const { body, ...rest } = options
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path, agent: false, ...rest }, answer => {
      const chunks: Buffer[] = []
      const done = () => {
        const whole = Buffer.concat(chunks)
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, rawHeaders: answer.rawHeaders, body: whole, text: whole.toString('utf8'), complete: answer.complete })
      }
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('end', done).on('error', done)
    })
    asked.on('error', reject).end(body)
  })
}

/** Sends raw bytes and resolves with everything that came back until the connection closed or `quietMs` passed after a byte. */
export function sendRaw (port: number, bytes: string | Buffer, quietMs = 500): Promise<string> {
  return new Promise(resolve => {
    let got = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    const finish = () => { socket.destroy(); resolve(got) }
    socket.setTimeout(10_000, finish)
    socket.on('data', (chunk: Buffer) => {
      got += chunk.toString('latin1')
      socket.setTimeout(quietMs)
    }).on('close', finish).on('error', finish)
  })
}
