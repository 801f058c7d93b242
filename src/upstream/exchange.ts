import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dispatcher } from 'undici'
import type { Secret } from '../access-key/secret.ts'
import { proxyError, type ErrorType, type ProxyError } from '../errors.ts'
import { carriesNoBody, dropBodyFacts, measureClockOffset, readRawHeaders } from './answer-head.ts'
import type { Waiting } from './answer-watch.ts'
import type { QueuedRequest, Sender } from './connection-queue.ts'
import type { ConnectionUser, TrackedClient } from './connections.ts'
import type { ExchangeContext } from './context.ts'
import { classifyFailure, maySendAgain } from './failures.ts'
import { hasBody, type AnswerHeaders, type BodyTransform, type ErrorReader } from './forwarding.ts'
import type { TimeLimits } from './time-limits.ts'
import { acceptUpgrade } from './upgrade.ts'

/** Longer bodies are not worth a copy. */
const maxJoinedBytes = 16 * 1024

/** The client left: nobody waits for this exchange any more. */
const clientGone = new Error('the client left')

/**
 * One request and its answer, as undici sees them: raw headers in and out, chunks written straight onto the response.
 * Owns what http-proxy's own handler would: error mapping, backpressure, abort in both directions.
 */
export class Exchange implements Sender, ConnectionUser, Waiting {
  declare connection?: TrackedClient
  place = -1
  deadlineMs = Infinity
  isReading = false
  readonly request: FastifyRequest
  readonly reply: FastifyReply
  readonly context: ExchangeContext
  readonly #key: Secret
  readonly #limits: TimeLimits
  #options!: Dispatcher.DispatchOptions
  /** While all connections are taken. */
  #queued: QueuedRequest | undefined
  #controller: Dispatcher.DispatchController | undefined
  #transform: BodyTransform | undefined
  #errorReader: ErrorReader | undefined
  #remaining = -1
  #answerBegan = false
  #reused = false
  #started = false
  #gone = false
  #wrote = false

  constructor (context: ExchangeContext, request: FastifyRequest, reply: FastifyReply, key: Secret, limits: TimeLimits) {
    this.context = context
    this.request = request
    this.reply = reply
    this.#key = key
    this.#limits = limits
    reply.raw.once('close', this.#onClientClose)
  }

  send (options: Dispatcher.DispatchOptions): void {
    if (this.#gone) return
    this.#options = options
    this.request.entry.sentAt = performance.now()
    this.#queued = this.context.connections.dispatch(options, this)
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#gone) return controller.abort(clientGone)
    this.#reused = this.connection?.reused ?? false
    this.#started = true
    if (this.#queued !== undefined) this.#endWait()
    // With a body nothing is written before its first piece is there, and that may never come.
    if (this.#options.body === null) this.request.entry.attempts++
    this.context.watch.await(this, this.#limits.headersTimeout)
  }

  onBodySent (chunk: Buffer): void {
    this.request.entry.attempts ||= 1
    this.request.entry.bytes_in += chunk.length
    // Upstream is not to answer before it has the whole of it.
    if (!this.isReading) this.context.watch.await(this, this.#limits.headersTimeout)
  }

  /** Upstream took too long. */
  expire (error: Error): void {
    this.#controller?.abort(error)
  }

  /** All of it, an empty body included. */
  onRequestSent (): void {
    this.request.entry.attempts ||= 1
  }

  onResponseStarted (): void {
    this.#answerBegan = true
  }

  onRequestUpgrade (controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders, socket: Duplex): void {
    this.context.watch.remove(this)
    this.#noteAnswer(status, headers)
    this.reply.raw.off('close', this.#onClientClose)
    acceptUpgrade(this.context, this.request, this.reply, headers, readRawHeaders(controller), socket)
  }

  onResponseStart (controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders, statusMessage = ''): void {
    if (status < 200) return
    this.isReading = true
    this.context.watch.await(this, this.#limits.bodyTimeout)
    this.#noteAnswer(status, headers)
    const raw = this.reply.raw
    const contentType = headers['content-type']
    if (status >= 400) this.#errorReader = this.context.errorReader(status, typeof contentType === 'string' ? contentType : undefined)
    this.#transform = carriesNoBody(this.request.method, status) ? undefined : this.context.bodyTransform(headers, this.request)
    const flat = this.context.responseHeaders(readRawHeaders(controller), this.request)
    if (this.#transform?.changesLength) dropBodyFacts(flat)
    else if (typeof headers['content-length'] === 'string') this.#remaining = Number(headers['content-length'])
    raw.writeHead(status, this.context.reasonPhrase(statusMessage), [...flat, ...this.context.ownHeaders(this.request)])
    // A body that came in the same segment has been written by then, and goes out together with the headers.
    queueMicrotask(this.#flushHeaders)
  }

  onResponseData (controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.context.watch.await(this, this.#limits.bodyTimeout)
    if (this.#errorReader !== undefined) this.#errorReader.push(chunk)
    const out = this.#transform === undefined ? chunk : this.#transform.push(chunk)
    if (out.length === 0) return
    this.#wrote = true
    this.request.entry.bytes_out += out.length
    if (this.#remaining > 0) this.#remaining -= out.length
    // The last piece goes out in `end`: one system call for headers and body.
    if (this.#remaining === 0) this.#endWith(out)
    else if (!this.reply.raw.write(out)) this.#waitForDrain(controller)
  }

  /** A short body goes out in one string with the headers, byte for byte, and not as a list of two buffers: half the work for Node. */
  #endWith (last: Buffer): void {
    if (last.length > maxJoinedBytes) this.reply.raw.end(last)
    else this.reply.raw.end(last.toString('latin1'), 'latin1')
  }

  onResponseEnd (): void {
    this.context.watch.remove(this)
    this.request.entry.answeredAt = performance.now()
    if (this.connection !== undefined) this.connection.answers++
    const tail = this.#transform?.end()
    this.#noteError()
    const raw = this.reply.raw
    if (raw.writableEnded) return
    this.#wrote = true
    if (tail === undefined || tail.length === 0) return void raw.end()
    this.request.entry.bytes_out += tail.length
    raw.end(tail)
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error): void {
    this.context.watch.remove(this)
    if (this.#gone || error === clientGone || this.request.raw.errored) return void this.#breakOff('client_aborted')
    const failure = classifyFailure(error, this.#started)
    if (this.reply.raw.headersSent) {
      this.request.log.warn({ err: error, request_id: this.request.entry.id }, 'upstream broke off inside an answer')
      return void this.#breakOff('truncated', failure)
    }
    if (this.#maySendAgain(failure)) return this.#sendAgain()
    this.request.log.warn({ err: error, request_id: this.request.entry.id, type: failure }, 'upstream failed')
    this.request.entry.outcome = 'failed'
    this.context.answerError(this.request, this.reply, proxyError(failure, { cause: error }))
  }

  /** No connection was free for it. */
  onRefused (error: ProxyError): void {
    this.request.entry.sentAt = 0
    this.request.entry.outcome = 'refused'
    this.context.answerError(this.request, this.reply, error)
  }

  /** What it waited for a connection is our share of the time, not the API's. */
  #endWait (): void {
    this.#queued = undefined
    this.request.entry.sentAt = performance.now()
  }

  #maySendAgain (failure: ErrorType): boolean {
    return maySendAgain({
      method: this.request.method,
      hasBody: hasBody(this.request.headers) || this.request.upgrade !== null,
      reusedConnection: this.#reused,
      answerBegan: this.#answerBegan,
      attempts: this.request.entry.attempts,
      failure
    })
  }

  #sendAgain (): void {
    this.context.connections.dispatchFresh(this.#options, this)
  }

  #noteAnswer (status: number, headers: AnswerHeaders): void {
    const entry = this.request.entry
    entry.status = status
    entry.outcome = 'answered'
    entry.ttfb_ms = performance.now() - entry.openedAt
    const requestId = headers['x-request-id']
    if (requestId !== undefined) entry.upstream_request_id = String(requestId).slice(0, 128)
    entry.clock_offset_ms = measureClockOffset(headers['date']) ?? entry.clock_offset_ms
    this.context.accessKey.reportAnswer(this.#key, status)
  }

  #noteError (): void {
    const read = this.#errorReader?.end()
    if (read === undefined) return
    const entry = this.request.entry
    entry.error_type = read.type
    entry.error_message = read.message
    entry.upstream_request_id ??= read.requestId
  }

  #waitForDrain (controller: Dispatcher.DispatchController): void {
    controller.pause()
    this.deadlineMs = Infinity
    this.reply.raw.once('drain', () => {
      this.context.watch.await(this, this.#limits.bodyTimeout)
      controller.resume()
    })
  }

  /** Destroying the connection is the only way to say "this message is incomplete" once its head has been sent. */
  #breakOff (outcome: 'client_aborted' | 'truncated', failure?: ErrorType): void {
    this.request.entry.outcome = outcome
    if (failure !== undefined) this.request.entry.error_type = failure
    this.reply.raw.destroy()
  }

  readonly #flushHeaders = (): void => {
    if (!this.#wrote && !this.reply.raw.writableEnded) this.reply.raw.flushHeaders()
  }

  readonly #onClientClose = (): void => {
    if (this.reply.raw.writableFinished) return
    this.#gone = true
    if (this.#queued?.leave() !== true) this.#controller?.abort(clientGone)
  }
}
