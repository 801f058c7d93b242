import type { IncomingMessage } from 'node:http'

/** One request as it reached the wire. It holds the sender's secrets: for tests, never for output. */
export interface ReceivedRequest {
  /** 1 for the first. */
  number: number
  /** Milliseconds since the epoch. */
  at: number
  method: string
  /** The request target, byte for byte. */
  url: string
  httpVersion: string
  /** Names and values in turn, in order, in their case, repeated ones repeated. */
  rawHeaders: string[]
  /** By lower-case name; the values of a repeated one joined with `, `. */
  headers: Record<string, string>
  rawTrailers: string[]
  /** Asked to become a WebSocket. */
  upgrade: boolean
  bodyLength: number
  /** Hex; empty until `ended`. */
  bodySha256: string
  /** The first 64 KiB. */
  body: Buffer
  /** The whole request has arrived. */
  complete: boolean
  /** Settles when the whole request has arrived or its connection broke. */
  ended: Promise<void>
  /** The `X-Request-ID` it was given. */
  requestId: string
  /** Of the answer; 0 while there is none, or none that is valid HTTP. */
  status: number
  /** The connection broke before the answer was complete. */
  aborted: boolean
  /** Settles when the answer has gone out or its connection broke. */
  closed: Promise<void>
  /** Which connection it came on: 1 for the first. */
  socket: number
  /** The name the client asked for in TLS (SNI); empty for an address. */
  servername: string
}

const keptBodyBytes = 65_536

export type Match = (request: ReceivedRequest) => boolean

/** The requests received, and those who wait for one. */
export class Received {
  readonly list: ReceivedRequest[] = []
  readonly #keep: number
  #count = 0
  #waiters: Array<{ match: Match, resolve: (request: ReceivedRequest) => void }> = []

  constructor (keep: number) {
    this.#keep = keep
  }

  get recording (): boolean { return this.#keep > 0 }

  add (request: IncomingMessage, about: Pick<ReceivedRequest, 'requestId' | 'socket' | 'upgrade' | 'servername'>): Recording {
    const recording = new Recording(request, ++this.#count, about)
    this.list.push(recording.entry)
    if (this.list.length > this.#keep) this.list.shift()
    for (const waiter of this.#waiters.filter(({ match }) => match(recording.entry))) waiter.resolve(recording.entry)
    return recording
  }

  /** The first request that matches, of those received or of those to come. */
  async wait (match: Match): Promise<ReceivedRequest> {
    const present = this.list.find(match)
    if (present !== undefined) return present
    const { promise, resolve } = Promise.withResolvers<ReceivedRequest>()
    const waiter = { match, resolve }
    this.#waiters.push(waiter)
    return await promise.finally(() => { this.#waiters = this.#waiters.filter(other => other !== waiter) })
  }
}

/** Fills in the entry of one request while its body and its answer go by. */
export class Recording {
  readonly entry: ReceivedRequest
  readonly #end: () => void
  readonly #close: () => void
  #kept = 0

  constructor (request: IncomingMessage, number: number, about: Pick<ReceivedRequest, 'requestId' | 'socket' | 'upgrade' | 'servername'>) {
    const ended = Promise.withResolvers<void>()
    const closed = Promise.withResolvers<void>()
    this.#end = ended.resolve
    this.#close = closed.resolve
    this.entry = {
      number,
      at: Date.now(),
      method: request.method ?? '',
      url: request.url ?? '',
      httpVersion: request.httpVersion,
      rawHeaders: request.rawHeaders,
      headers: joinHeaders(request.rawHeaders),
      rawTrailers: [],
      bodyLength: 0,
      bodySha256: '',
      body: Buffer.alloc(0),
      complete: false,
      ended: ended.promise,
      status: 0,
      aborted: false,
      closed: closed.promise,
      ...about
    }
  }

  addBody (chunk: Buffer): void {
    this.entry.bodyLength += chunk.length
    if (this.#kept >= keptBodyBytes) return
    this.entry.body = Buffer.concat([this.entry.body, chunk.subarray(0, keptBodyBytes - this.#kept)])
    this.#kept = this.entry.body.length
  }

  endBody (complete: boolean, sha256: string, rawTrailers: string[]): void {
    this.entry.bodySha256 = sha256
    this.entry.complete = complete
    this.entry.rawTrailers = rawTrailers
    this.#end()
  }

  close (aborted: boolean): void {
    this.entry.aborted = aborted
    this.#close()
  }
}

function joinHeaders (rawHeaders: string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null)
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = (rawHeaders[index] ?? '').toLowerCase()
    const value = rawHeaders[index + 1] ?? ''
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value
  }
  return headers
}
