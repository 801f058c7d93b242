import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { once } from 'node:events'
import { percentile } from './table.ts'

// node constant-rate.ts URL RATE SECONDS CONNECTIONS TOKEN [CA-FILE]: asks at a constant rate, whatever the answers take, and prints
// one line of JSON. A latency counts from when the request was due, so that a stall is seen by all who wait (no coordinated omission).
// Bare sockets: Node's own client takes more of a processor than the API and the proxy together, and what it measures then is itself.

const [, , url = '', rate = '', seconds = '', connections = '', token = '', caFile] = process.argv
const { protocol, hostname, port, host, pathname, search } = new URL(url)
const question = Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${token}\r\n\r\n`)
const intervalMs = 1000 / Number(rate)
const total = Math.round(Number(rate) * Number(seconds))
const warmUp = Math.min(total / 5, 2 * Number(rate))

/** One kept connection, which asks one thing at a time. */
class Line {
  readonly #socket: Socket
  readonly #onAnswer: (line: Line, status: number) => void
  #received = ''

  constructor (socket: Socket, onAnswer: (line: Line, status: number) => void) {
    this.#socket = socket.setNoDelay().setEncoding('latin1')
    this.#onAnswer = onAnswer
    socket.on('data', (text: string) => { this.#hear(text) }).on('error', () => {}).on('close', () => { throw new Error('a connection was closed') })
  }

  ask (): void { this.#socket.write(question) }

  #hear (text: string): void {
    this.#received += text
    const head = this.#received.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#received)?.[1]
    if (length === undefined) throw new Error(`an answer without a length: ${this.#received.slice(0, head)}`)
    if (this.#received.length < head + 4 + Number(length)) return
    const status = Number(this.#received.slice(9, 12))
    this.#received = ''
    this.#onAnswer(this, status)
  }
}

async function open (): Promise<Socket> {
  const socket = protocol === 'https:'
    ? connectTls({ host: hostname, port: Number(port), servername: hostname, ...(caFile !== undefined && { ca: readFileSync(caFile, 'utf8') }) })
    : connect({ host: hostname, port: Number(port) })
  await once(socket, protocol === 'https:' ? 'secureConnect' : 'connect')
  return socket
}

const latencies: number[] = []
const idle: Line[] = []
/** When what waits for a connection was due. */
const waiting: number[] = []
const dueOf = new Map<Line, number>()
let due = 0
let done = 0
let failed = 0

function finish (line: Line, status: number): void {
  if (done >= warmUp) latencies.push(performance.now() - (dueOf.get(line) ?? Number.NaN))
  if (status !== 200) failed++
  const next = waiting.shift()
  if (next === undefined) idle.push(line)
  else begin(line, next)
  if (++done === total) report()
}

function begin (line: Line, dueMs: number): void {
  dueOf.set(line, dueMs)
  line.ask()
}

function report (): void {
  console.log(JSON.stringify({ requests: total, failed, rate: total / (performance.now() - begun) * 1000, p50Ms: percentile(latencies, 0.5), p99Ms: percentile(latencies, 0.99) }))
  process.exit()
}

for (const socket of await Promise.all(Array.from({ length: Number(connections) }, open))) idle.push(new Line(socket, finish))
const begun = performance.now()
setInterval(() => {
  const until = Math.min(total, Math.floor((performance.now() - begun) / intervalMs))
  for (; due < until; due++) {
    // Who has rested longest: all connections are used.
    const line = idle.shift()
    const dueMs = begun + due * intervalMs
    if (line === undefined) waiting.push(dueMs)
    else begin(line, dueMs)
  }
}, 1)
