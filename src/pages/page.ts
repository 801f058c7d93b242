import type { ProxyError } from '../errors.ts'
import { isProxyError, proxyError } from '../errors.ts'
import type { OutcomeKind } from '../trail/record.ts'
import { ByteQueue } from './byte-queue.ts'
import type { PageFacts } from './cursor.ts'
import type { Format } from './format.ts'
import { ListError, type ListFault } from './list-error.ts'
import { ListScanner } from './list-scanner.ts'
import { unpack } from './page-body.ts'
import { describeError, type PageExchange } from './page-exchange.ts'

/** Of a page that was read and not yet written; the API's pages fit into it many times. */
const maxWaitingBytes = 4 * 1024 * 1024

export interface PageOptions {
  format: Format
  /** Items still wanted. */
  maxItems: number
  /** Nothing has been passed on of the page yet: is it one that was here before? */
  isRepeated (firstId: string | undefined): boolean
  signal: AbortSignal
}

/** It begins with what the page before began with. */
export class RepeatedPage extends Error {}

/**
 * A page that is read as fast as it comes, from the moment it is made, up to a bound: its reader takes it at its own pace.
 */
export class Page {
  readonly #exchange: PageExchange
  readonly #options: PageOptions
  readonly #scanner: ListScanner
  readonly #queue = new ByteQueue(maxWaitingBytes)
  readonly #begun = Promise.withResolvers<void>()
  readonly #done = Promise.withResolvers<PageFacts>()
  #isChecked = false

  constructor (exchange: PageExchange, options: PageOptions) {
    this.#exchange = exchange
    this.#options = options
    this.#scanner = new ListScanner({ separator: options.format.separator, oneLine: options.format.oneLine, maxItems: options.maxItems })
    // Whoever waits for them hears of it; whoever has left doesn't have to.
    this.#begun.promise.catch(() => {})
    this.#done.promise.catch(() => {})
    const stop = () => this.#queue.end(new Error('aborted'))
    options.signal.addEventListener('abort', stop, { once: true })
    this.#read().then(facts => this.#finish(facts), (error: unknown) => this.#fail(error)).finally(() => options.signal.removeEventListener('abort', stop))
  }

  /** Settles before anything of the page has been passed on: with an error if it is none. */
  get begun (): Promise<void> { return this.#begun.promise }

  /** The page has been read, if not yet written. */
  get done (): Promise<PageFacts> { return this.#done.promise }

  get items () { return this.#scanner.items }

  /** The page's share of the answer. Throws where the page broke off. */
  get bytes (): AsyncIterable<Buffer> { return this.#queue }

  async #read (): Promise<PageFacts> {
    const { format } = this.#options
    const { entry } = this.#exchange
    for await (const chunk of unpack(this.#exchange.answer)) {
      entry.bytes_out += chunk.length
      const runs = this.#scanner.push(chunk)
      this.#check()
      if (runs.length === 0) continue
      this.#begun.resolve()
      await this.#queue.push(format.join(runs))
    }
    return { ...this.#scanner.end(), firstId: this.items.firstId, lastId: this.items.lastId }
  }

  #check (): void {
    if (this.#isChecked || this.items.items === 0) return
    this.#isChecked = true
    if (this.#options.isRepeated(this.items.firstId)) throw new RepeatedPage()
  }

  #finish (facts: PageFacts): void {
    this.#exchange.close({ outcome: 'answered' })
    this.#queue.end()
    this.#begun.resolve()
    this.#done.resolve(facts)
  }

  #fail (cause: unknown): void {
    const error = cause instanceof RepeatedPage ? cause : translate(cause)
    this.#exchange.close({ outcome: this.#judge(cause), ...(error instanceof RepeatedPage ? {} : describeError(error)) })
    this.#queue.end(error)
    this.#begun.reject(error)
    this.#done.reject(error)
  }

  /** An answer that came whole and was no list is the API's answer all the same. */
  #judge (cause: unknown): OutcomeKind {
    if (this.#options.signal.aborted) return 'client_aborted'
    const isWhole = cause instanceof RepeatedPage || (cause instanceof ListError && cause.fault === 'not-a-list')
    return isWhole ? 'answered' : 'truncated'
  }
}

const faults: Record<ListFault, () => ProxyError> = {
  'not-a-list': () => proxyError('validation_error', { message: 'The API answers this path with something that is not a list, so there are no pages. Ask for it without /_proxy/pages.' }),
  incomplete: () => proxyError('upstream_invalid_response', { message: 'The API\'s answer ended in the middle of a page.' }),
  malformed: () => proxyError('upstream_invalid_response', { message: 'The API\'s answer is not JSON.' })
}

function translate (cause: unknown): ProxyError {
  if (isProxyError(cause)) return cause
  if (cause instanceof ListError) return faults[cause.fault]()
  return proxyError('upstream_invalid_response', { cause })
}
