import type { Dispatcher } from 'undici'
import type { AccessKeyService, Secret } from '../access-key/secret.ts'
import type { UpstreamAnswer, UpstreamRequest } from '../decorations.ts'
import { proxyError, type ErrorType, type ProxyError } from '../errors.ts'
import type { QueuedRequest, Sender } from './connection-queue.ts'
import type { Connections, ConnectionUser, TrackedClient } from './connections.ts'
import { classifyFailure, maySendAgain } from './failures.ts'
import { completeHeaders, type AnswerHeaders } from './forwarding.ts'
import type { TimeLimits } from './time-limits.ts'

/** Requests the proxy makes for itself (pages, channel). The caller has recorded them; the key is put on here. */
export function makeSend (connections: Connections, accessKey: AccessKeyService, host: string, usual: TimeLimits) {
  return function send (request: UpstreamRequest): Promise<UpstreamAnswer> {
    const key = accessKey.current()
    if (key === undefined) return Promise.reject(proxyError('access_key_unavailable'))
    const headers = completeHeaders(Object.entries(request.headers ?? {}).flat(), host, key)
    const options: Dispatcher.DispatchOptions = {
      path: request.path,
      method: request.method as Dispatcher.HttpMethod,
      headers,
      body: request.body ?? null,
      headersTimeout: request.headersTimeoutMs ?? usual.headersTimeout,
      bodyTimeout: usual.bodyTimeout
    }
    return new Promise((resolve, reject) => {
      new Receiver({ connections, options, accessKey, key, resolve, reject, signal: request.signal, onSent: request.onSent }).send(request.isHousekeeping)
    })
  }
}

interface Receiving {
  connections: Connections
  options: Dispatcher.DispatchOptions
  onSent: (() => void) | undefined
  accessKey: AccessKeyService
  key: Secret
  resolve (answer: UpstreamAnswer): void
  reject (error: Error): void
  signal: AbortSignal | undefined
}

/** Turns undici's callbacks into an answer whose body is pulled: nothing is read ahead of the reader. */
class Receiver implements Sender, ConnectionUser {
  declare connection?: TrackedClient
  readonly #receiving: Receiving
  readonly #body = new PulledBody()
  #attempts = 0
  #reused = false
  #answerBegan = false
  #queued: QueuedRequest | undefined

  constructor (receiving: Receiving) {
    this.#receiving = receiving
  }

  send (isHousekeeping = false): void {
    const { connections, options, signal } = this.#receiving
    this.#queued = connections.dispatch(options, this, isHousekeeping)
    if (this.#queued === undefined || signal === undefined) return
    signal.addEventListener('abort', this.#leave, { once: true })
    if (signal.aborted) this.#leave()
  }

  onRequestStart (controller: Dispatcher.DispatchController): void {
    const { signal, onSent } = this.#receiving
    signal?.removeEventListener('abort', this.#leave)
    this.#attempts++
    this.#reused = this.connection?.reused ?? false
    onSent?.()
    const abort = () => controller.abort(reasonOf(signal))
    if (signal?.aborted) return abort()
    signal?.addEventListener('abort', abort, { once: true })
    this.#body.onFinished = () => signal?.removeEventListener('abort', abort)
  }

  onResponseStarted (): void {
    this.#answerBegan = true
  }

  onResponseStart (controller: Dispatcher.DispatchController, status: number, headers: AnswerHeaders): void {
    if (status < 200) return
    this.#receiving.accessKey.reportAnswer(this.#receiving.key, status)
    this.#body.controller = controller
    this.#receiving.resolve({ status, headers, body: this.#body })
  }

  onResponseData (_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body.push(chunk)
  }

  onResponseEnd (): void {
    this.#body.finish(null)
  }

  onResponseError (_controller: Dispatcher.DispatchController, error: Error): void {
    const type = classifyFailure(error, this.#attempts > 0)
    if (this.#maySendAgain(type)) {
      this.#body.onFinished()
      this.#receiving.connections.dispatchFresh(this.#receiving.options, this)
      return
    }
    const failure = proxyError(type, { cause: error })
    this.#receiving.reject(failure)
    this.#body.finish(failure)
  }

  /** No connection was free for it. */
  onRefused (error: ProxyError): void {
    this.#receiving.signal?.removeEventListener('abort', this.#leave)
    this.#receiving.reject(error)
  }

  /** Whoever asked has given up before its turn came. */
  readonly #leave = (): void => {
    if (this.#queued?.leave() === true) this.#receiving.reject(proxyError('upstream_busy', { cause: reasonOf(this.#receiving.signal) }))
  }

  #maySendAgain (failure: ErrorType): boolean {
    const { options: { method, body }, signal } = this.#receiving
    if (signal?.aborted === true) return false
    return maySendAgain({ method, hasBody: body !== null, reusedConnection: this.#reused, answerBegan: this.#answerBegan, attempts: this.#attempts, failure })
  }
}

function reasonOf (signal: AbortSignal | undefined): Error {
  return signal?.reason instanceof Error ? signal.reason : new Error('aborted')
}

class PulledBody implements AsyncIterable<Buffer> {
  controller: Dispatcher.DispatchController | undefined
  onFinished: () => void = () => {}
  #chunks: Buffer[] = []
  #ended = false
  #error: Error | null = null
  #wake: (() => void) | undefined

  push (chunk: Buffer): void {
    // The parser says so when it is resumed and has no more: pausing it for nothing would let it say so again, for ever.
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.controller?.pause()
    this.#wake?.()
  }

  finish (error: Error | null): void {
    this.#ended = true
    this.#error = error
    this.onFinished()
    this.#wake?.()
  }

  destroy (): void {
    if (!this.#ended) this.controller?.abort(new Error('no longer read'))
  }

  async text (): Promise<string> {
    const chunks: Buffer[] = []
    for await (const chunk of this) chunks.push(chunk)
    return Buffer.concat(chunks).toString('utf8')
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<Buffer, void, undefined> {
    try {
      while (true) {
        const chunk = this.#chunks.shift()
        if (chunk !== undefined) yield chunk
        else if (this.#error !== null) throw this.#error
        else if (this.#ended) return
        else await this.#more()
      }
    } finally {
      this.destroy()
    }
  }

  async #more (): Promise<void> {
    await new Promise<void>(resolve => {
      this.#wake = resolve
      this.controller?.resume()
    })
    this.#wake = undefined
  }
}
