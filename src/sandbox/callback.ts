import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'
import { errors } from './answer.ts'
import type { Sink } from './channel.ts'
import type { JsonObject } from './exchange.ts'
import type { Timers } from './timers.ts'

export interface Webhook { url: string, headers: Record<string, string> }

const maxLength = 400
const timeoutSeconds = 20
const maxBackoffSeconds = 120
const giveUpSeconds = 86_400
const loopback = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The webhook of a PUT body. The sandbox calls back to this machine only: it is no way out to other hosts. */
export function readWebhook (body: JsonObject): Webhook {
  const { url, headers = {} } = body
  if (typeof url !== 'string' || !URL.canParse(url)) throw errors.validation({ name: 'url', message: 'A valid URL is required.' })
  const { protocol, hostname } = new URL(url)
  if (!/^https?:$/.test(protocol)) throw errors.validation({ name: 'url', message: 'Only HTTP and HTTPS are supported.' })
  if (!loopback.has(hostname)) throw errors.badRequest('Given URL is not accessible: the sandbox reaches this machine only.')
  if (!isTextMap(headers)) throw errors.validation({ name: 'headers', message: 'Texts by name are required.' })
  const length = url.length + Object.entries(headers).flat().join('').length
  if (length > maxLength) throw errors.validation({ name: 'url', message: `URL and headers together may have ${maxLength} characters.` })
  return { url, headers }
}

function isTextMap (value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every(text => typeof text === 'string')
}

/** Delivers by `PUT`, repeated after 1, 2, 4 … 120 seconds, and given up after a day. */
export class CallbackSink implements Sink {
  readonly webhook: Webhook
  readonly #timers: Timers
  readonly #secondMs: number
  readonly #giveUp: () => void
  #closed = false

  constructor (webhook: Webhook, parts: { timers: Timers, secondMs: number, giveUp: () => void }) {
    this.webhook = webhook
    this.#timers = parts.timers
    this.#secondMs = parts.secondMs
    this.#giveUp = parts.giveUp
  }

  /** The API tries the URL with an empty message before it takes it. */
  async test (): Promise<void> {
    if (!await this.#put('{}')) throw errors.badRequest('Given URL is not accessible.')
  }

  async deliver (text: string): Promise<void> {
    const deadline = Date.now() + giveUpSeconds * this.#secondMs
    for (let backoff = 1; !this.#closed && !this.#timers.closing.aborted; backoff = Math.min(maxBackoffSeconds, backoff * 2)) {
      if (await this.#put(text)) return
      if (Date.now() > deadline) return this.#giveUp()
      await this.#timers.sleep(backoff * this.#secondMs)
    }
  }

  displaced (): void { this.#closed = true }

  closed (): void { this.#closed = true }

  /** True for 200 and 204; redirects are not followed. */
  async #put (text: string): Promise<boolean> {
    const { url, headers } = this.webhook
    const send = url.startsWith('https:') ? requestHttps : requestHttp
    return await new Promise(resolve => {
      const request = send(url, { method: 'PUT', headers: { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text), ...headers }, agent: false, signal: this.#timers.closing }, answer => {
        answer.resume().on('end', () => resolve(answer.statusCode === 200 || answer.statusCode === 204)).on('error', () => resolve(false))
      })
      request.setTimeout(timeoutSeconds * 1000, () => request.destroy()).on('error', () => resolve(false))
      request.end(text)
    })
  }
}
