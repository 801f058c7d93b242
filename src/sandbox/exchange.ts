import type { IncomingMessage, ServerResponse } from 'node:http'
import { errors } from './answer.ts'
import type { RequestBody } from './request-body.ts'
import type { Credential } from './keys.ts'

export type JsonObject = Record<string, unknown>

/** One request as its handler sees it. */
export class Exchange {
  readonly request: IncomingMessage
  readonly requestId: string
  readonly credential: Credential
  readonly params: Record<string, string>
  /** Without `?`, as received. */
  readonly rawQuery: string
  readonly #response: ServerResponse
  readonly #body: RequestBody
  #query: URLSearchParams | undefined

  constructor (parts: Pick<Exchange, 'request' | 'requestId' | 'credential' | 'params' | 'rawQuery'> & { body: RequestBody, response: ServerResponse }) {
    this.request = parts.request
    this.requestId = parts.requestId
    this.credential = parts.credential
    this.params = parts.params
    this.rawQuery = parts.rawQuery
    this.#response = parts.response
    this.#body = parts.body
  }

  get query (): URLSearchParams { return (this.#query ??= new URLSearchParams(this.rawQuery)) }

  /** A path parameter; the router has set it. */
  param (name: string): string { return this.params[name] ?? '' }

  header (name: string): string {
    const value = this.request.headers[name]
    return typeof value === 'string' ? value : value?.join(', ') ?? ''
  }

  /** The client has left before its answer was complete. */
  get isGone (): boolean { return this.#response.destroyed && !this.#response.writableFinished }

  onGone (listener: () => void): void {
    this.#response.once('close', () => { if (this.isGone) listener() })
  }

  async body (): Promise<Buffer> { return await this.#body.whole() }

  /** The body as a JSON object, whatever its content type says: the API's own samples send none. */
  async json (): Promise<JsonObject> {
    const value = await this.jsonValue()
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw errors.badRequest('The body must be a JSON object.')
    return value as JsonObject
  }

  async jsonValue (): Promise<unknown> {
    const text = (await this.body()).toString()
    try {
      return JSON.parse(text) as unknown
    } catch {
      throw errors.badRequest('Malformed JSON.')
    }
  }
}
