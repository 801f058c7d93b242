import { errorBody, isProxyError, proxyError, type ProxyError } from '../errors.ts'
import { Cursor, type PageFacts, type Step } from './cursor.ts'
import type { Ending, Format } from './format.ts'
import { queryAfter } from './list-request.ts'
import { Page, RepeatedPage } from './page.ts'
import { describeError, sendForPage, type PageContext } from './page-exchange.ts'
import { describeRefusal, readRefusal, type ErrorReader, type Refusal } from './refusal.ts'

export interface WholeListContext extends PageContext {
  format: Format
  errorReader (status: number, contentType: string | undefined): ErrorReader | undefined
}

/** The API answered something else than a page. */
export class PageRefused extends Error {
  readonly refusal: Refusal

  constructor (refusal: Refusal) {
    super('refused')
    this.refusal = refusal
  }
}

/**
 * A list of the API from its first page to its last, as one answer. While a page is written the next one is read, and no more than
 * that: who reads slowly holds the API back.
 */
export class WholeList {
  readonly #context: WholeListContext
  readonly #cursor: Cursor
  /** The page that is written. */
  #page: Page | undefined
  #itemsRead = 0
  #ending: Ending

  constructor (context: WholeListContext) {
    this.#context = context
    this.#cursor = new Cursor(context.list.after)
    this.#ending = { hasMore: true, after: context.list.after, totalCount: undefined }
  }

  /** Resolves when the first page has begun. @throws ProxyError or PageRefused: nothing has been said yet */
  async begin (): Promise<void> {
    this.#page = await this.#open(this.#context.list.query)
  }

  async * bytes (): AsyncGenerator<Buffer, void, undefined> {
    const { format } = this.#context
    yield format.open()
    try {
      while (this.#page !== undefined) yield * this.#write(this.#page)
      yield format.close(this.#ending)
    } catch (error) {
      const last = format.fail(this.#explain(error), this.#page?.items.spilled ?? false, this.#ending)
      if (last === undefined) throw error
      yield last
    }
  }

  async * #write (page: Page): AsyncGenerator<Buffer, void, undefined> {
    // Begins as soon as this page has been read, however long it takes to write it.
    const following = page.done.then(facts => this.#openNext(page, facts))
    following.catch(() => {})
    try {
      yield * page.bytes
    } catch (error) {
      // By its token nobody can go on in the middle of a page, by an id anybody can.
      if (page.items.items > 0) this.#ending.after = this.#cursor.usesTokens ? undefined : page.items.lastId
      throw error
    }
    this.#page = await following
  }

  async #openNext (page: Page, facts: PageFacts): Promise<Page | undefined> {
    this.#itemsRead += page.items.items
    this.#ending.totalCount ??= facts.totalCount
    const step = this.#cursor.advance(facts)
    this.#ending.hasMore = facts.hasMore
    this.#ending.after = typeof step === 'object' ? step.after : undefined
    if (this.#itemsRead < this.#context.list.maxItems) return await this.#follow(step)
    if (page.items.leftOut > 0) this.#ending = { ...this.#ending, hasMore: true, after: this.#cursor.usesTokens ? undefined : page.items.lastId }
    return undefined
  }

  async #follow (step: Step): Promise<Page | undefined> {
    if (step === 'end') return undefined
    if (typeof step === 'string') throw proxyError('upstream_invalid_response', { message: dead[step] })
    if (this.#context.app.health.draining) throw proxyError('draining')
    try {
      return await this.#open(queryAfter(this.#context.list.query, step.after))
    } catch (error) {
      if (!(error instanceof RepeatedPage)) throw error
      return await this.#follow(this.#cursor.retreat())
    }
  }

  async #open (query: string): Promise<Page> {
    const { format, list, signal } = this.#context
    const exchange = await sendForPage(this.#context, query)
    if (exchange.answer.status !== 200) throw new PageRefused(await this.#readRefusal(exchange))
    const page = new Page(exchange, { format, maxItems: list.maxItems - this.#itemsRead, isRepeated: id => this.#cursor.isRepeated(id), signal })
    await page.begun
    return page
  }

  async #readRefusal ({ answer, entry, close }: Awaited<ReturnType<typeof sendForPage>>): Promise<Refusal> {
    const contentType = answer.headers['content-type']
    const reader = this.#context.errorReader(answer.status, typeof contentType === 'string' ? contentType : undefined)
    try {
      const refusal = await readRefusal(answer, reader)
      entry.bytes_out = refusal.body.length
      close({ outcome: 'answered', error_type: refusal.type, error_message: refusal.message, upstream_request_id: refusal.requestId })
      return refusal
    } catch (error) {
      close({ outcome: this.#context.signal.aborted ? 'client_aborted' : 'truncated', ...describeError(error) })
      throw error
    }
  }

  /** The error as the last item of the answer, noted as the request's. */
  #explain (error: unknown): object {
    const { request: { entry, log }, signal } = this.#context
    const { after } = this.#ending
    const refusal = error instanceof PageRefused ? error.refusal : undefined
    const body = refusal === undefined ? errorBody(toProxyError(error), entry.id) : describeRefusal(refusal, entry.id)
    if (!signal.aborted) {
      const { type, message } = body as { type: string, message: string }
      Object.assign(entry, { outcome: 'truncated', error_type: type, error_message: message, upstream_request_id: refusal?.requestId ?? null })
      log.warn({ request_id: entry.id, type, ...(refusal === undefined ? { err: error } : { status: refusal.status, upstream_request_id: refusal.requestId }) }, 'a whole list broke off')
    }
    return { ...body, ...(after !== undefined && { after }) }
  }
}

const dead: Record<Exclude<Step, object | 'end'>, string> = {
  lost: 'The API says that there is more, but not where: the list ends here, incomplete.',
  loop: 'The API says that there is more, but leads back to what was here already: the list ends here, incomplete.'
}

function toProxyError (error: unknown): ProxyError {
  return isProxyError(error) ? error : proxyError('internal_error', { cause: error })
}
