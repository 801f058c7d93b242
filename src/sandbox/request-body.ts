import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { errors } from './answer.ts'
import type { Recording } from './received.ts'

/** The body of one request, read as it comes: recorded whole, kept up to a limit. */
export class RequestBody {
  readonly #request: IncomingMessage
  readonly #chunks: Buffer[] = []
  readonly #usable = Promise.withResolvers<void>()
  readonly #over = Promise.withResolvers<void>()
  #maxBytes = 0
  #length = 0
  #started = false
  #ended = false
  #sha256 = ''
  readonly #hash = createHash('sha256')
  readonly #recording: Recording | undefined

  constructor (request: IncomingMessage, recording: Recording | undefined) {
    this.#request = request
    this.#recording = recording
    this.#usable.promise.catch(() => {})
    request.on('close', () => this.#end(request.complete && this.#started))
  }

  /** Starts to read, keeping at most `maxBytes`; a longer body makes `whole()` fail with 413, but is read to its end. */
  start (maxBytes: number): void {
    if (this.#started) return
    this.#started = true
    this.#maxBytes = maxBytes
    const request = this.#request
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) this.#usable.reject(errors.tooLarge())
    request.on('data', (chunk: Buffer) => this.#add(chunk))
    request.on('end', () => this.#end(true))
    request.on('error', () => {})
  }

  async whole (): Promise<Buffer> {
    await this.#usable.promise
    return Buffer.concat(this.#chunks)
  }

  /** Of what has been read so far. */
  get length (): number { return this.#length }

  /** Hex; empty until the body has been read. */
  get sha256 (): string { return this.#sha256 }

  /** Settles when the body has been read to its end, or its connection broke. */
  async read (): Promise<void> {
    await this.#over.promise
  }

  #add (chunk: Buffer): void {
    this.#hash.update(chunk)
    this.#recording?.addBody(chunk)
    this.#length += chunk.length
    if (this.#length <= this.#maxBytes) this.#chunks.push(chunk)
    else this.#usable.reject(errors.tooLarge())
  }

  #end (complete: boolean): void {
    if (this.#ended) return
    this.#ended = true
    this.#sha256 = this.#hash.digest('hex')
    this.#over.resolve()
    this.#recording?.endBody(complete, this.#sha256, this.#request.rawTrailers)
    if (complete) this.#usable.resolve()
    else this.#usable.reject(errors.badRequest('The request body ended early.'))
  }
}
