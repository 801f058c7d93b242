import type { IncomingMessage } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { WebSocket } from 'ws'
import type { WebSocketDial } from '../decorations.ts'
import type { OpenEntry } from '../trail/record.ts'
import { initialLink, step, type Link, type LinkEffect, type LinkEvent, type LinkReport, type LinkState } from './link-machine.ts'
import type { UpstreamCalls } from './upstream-calls.ts'

export interface LinkOptions {
  calls: UpstreamCalls
  websocketOptions: () => WebSocketDial
  closeEntry: (entry: OpenEntry, facts: Partial<OpenEntry>) => void
  log: FastifyBaseLogger
  limits: LinkLimits
  /** The channel was ours before this process began. */
  known: boolean
  receive: (data: Buffer, isBinary: boolean) => void
  report: (what: LinkReport) => void
  /** Tells the present key from others. */
  keyFingerprint: () => string | undefined
  /** Called after every change of state. */
  changed: (link: Link) => void
  /** With the status of an upgrade: 101, or what it was refused with. */
  answered: (status: number) => void
  random: () => number
}

export interface LinkLimits {
  pingMs: number
  handshakeMs: number
  maxMessageBytes: number
  /** Scales every delay of the state machine; 1 but in tests. */
  timeScale: number
}

const websocketPath = '/v2/notification/websocket'
const connectPath = '/v2/notification/websocket-connect'
const channelPath = '/v2/notification/channel'

/** Everything the API can tell of an item: members get what they asked for out of it. */
const serialization = {
  type: 'v2',
  cfg: { include_uid: true, include_timestamp: true, include_original_ep: true, deregistrations_as_object: true }
}

const openStates: readonly LinkState[] = ['open', 'proving']
/** Long messages come in many frames; beyond this somebody is wasting our memory. */
const maxFragments = 16_384
const lookAgainMs = 10_000

/** Carries out what the state machine decides: the one connection to the key's notification channel. */
export class UpstreamLink {
  readonly #options: LinkOptions
  #link: Link
  #socket: WebSocket | undefined
  #timer: NodeJS.Timeout | undefined
  #waiting = new Set<() => void>()
  #stopped = false
  #lookedAt = 0
  #dialledWith: string | undefined
  connectedAt: number | null = null
  retryAt: number | null = null
  lastClose: { code: number, at: number } | null = null
  connects = 0

  constructor (options: LinkOptions) {
    this.#options = options
    this.#link = { ...initialLink, known: options.known }
  }

  get state (): LinkState { return this.#link.state }

  get takenBy (): string | null { return this.#link.takenBy }

  get registered (): boolean { return this.#link.registered }

  get isOpen (): boolean { return openStates.includes(this.#link.state) }

  want (wanted: boolean): void {
    if (wanted !== this.#link.wanted && !this.#stopped) this.#handle({ type: wanted ? 'wanted' : 'unwanted' })
  }

  /** Looks again whether a foreign channel is still there, unless that was done a moment ago. */
  lookAgain (nowMs: number): void {
    if (this.#link.state !== 'taken' || nowMs - this.#lookedAt < lookAgainMs * this.#options.limits.timeScale) return
    this.#lookedAt = nowMs
    this.#handle({ type: 'wanted' })
  }

  keyChanged (): void {
    if (!this.#stopped) this.#handle({ type: 'key-changed', isSockets: this.#options.keyFingerprint() === this.#dialledWith })
  }

  /** Resolves once `reached` says so of the state, or after the time; the state says which. */
  async settled (reached: (state: LinkState) => boolean, timeoutMs: number): Promise<LinkState> {
    if (reached(this.#link.state)) return this.#link.state
    await new Promise<void>(resolve => {
      const done = () => {
        clearTimeout(timer)
        this.#waiting.delete(look)
        resolve()
      }
      const look = () => { if (reached(this.#link.state)) done() }
      const timer = setTimeout(done, timeoutMs)
      this.#waiting.add(look)
    })
    return this.#link.state
  }

  /** Closes the socket in good order; the API keeps the channel and queues. */
  async stop (): Promise<void> {
    this.#stopped = true
    clearTimeout(this.#timer)
    if (this.#link.wanted) this.#handle({ type: 'unwanted' })
    const socket = this.#socket
    if (socket === undefined) return
    await new Promise<void>(resolve => {
      const timer = setTimeout(() => socket.terminate(), 1_000)
      socket.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      if (socket.readyState === WebSocket.CONNECTING) socket.terminate()
    })
  }

  #handle (event: LinkEvent): void {
    const [next, ...effects] = step(this.#link, event, this.#options.random())
    this.#link = next
    if (effects.some(effect => effect.do !== 'report')) this.#clearTimer()
    for (const effect of effects) this.#carryOut(effect)
    this.#options.changed(this.#link)
    for (const look of this.#waiting) look()
  }

  #clearTimer (): void {
    clearTimeout(this.#timer)
    this.retryAt = null
  }

  #carryOut (effect: LinkEffect): void {
    switch (effect.do) {
      case 'register': this.#register(); break
      case 'dial': this.#dial(); break
      case 'close': this.#socket?.close(1000); break
      case 'wait': this.#wait(effect.ms * this.#options.limits.timeScale); break
      case 'report': this.#options.report(effect.what)
    }
  }

  #wait (ms: number): void {
    if (this.#stopped) return
    this.retryAt = Date.now() + ms
    this.#timer = setTimeout(() => {
      this.retryAt = null
      this.#handle({ type: 'timer' })
    }, ms)
  }

  #register (): void {
    this.#putChannel().then(event => this.#handle(event), (error: unknown) => {
      this.#options.log.warn({ err: error }, 'the notification channel could not be registered')
      this.#handle({ type: 'failed' })
    })
  }

  async #putChannel (): Promise<LinkEvent> {
    const answer = await this.#put({ serialization })
    if (answer.status === 200 || answer.status === 201) return { type: 'registered', created: answer.status === 201 }
    const refused = { type: 'refused' as const, status: answer.status, retryAfterMs: readRetryAfter(answer.headers['retry-after']) }
    if (answer.status !== 400) return refused
    const mechanism = await this.#foreignMechanism()
    if (mechanism !== undefined) return { ...refused, mechanism }
    // Not another channel, so the wish for details wasn't understood: the plain form is what every version takes.
    const plain = await this.#put({})
    return plain.status === 200 || plain.status === 201 ? { type: 'registered', created: plain.status === 201 } : { ...refused, status: plain.status }
  }

  #put (body: object) {
    return this.#options.calls.call({ method: 'PUT', path: websocketPath, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  }

  /** A channel of another type than ours, which must be left alone. */
  async #foreignMechanism (): Promise<string | undefined> {
    const { status, text } = await this.#options.calls.call({ method: 'GET', path: channelPath })
    if (status !== 200) return undefined
    const mechanism: unknown = (JSON.parse(text) as { delivery_mechanism?: unknown }).delivery_mechanism
    return typeof mechanism === 'string' && mechanism !== 'WEB_SOCKET' ? mechanism : undefined
  }

  #dial (): void {
    this.#options.calls.begin('GET', connectPath).then(entry => this.#dialRecorded(entry), (error: unknown) => this.#failDial(error))
  }

  #dialRecorded (entry: OpenEntry): void {
    try {
      if (this.#stopped) throw new Error('the proxy is stopping')
      this.#attach(this.#openSocket(), entry)
    } catch (error) {
      this.#options.closeEntry(entry, { outcome: 'failed' })
      this.#failDial(error)
    }
  }

  #failDial (error: unknown): void {
    this.#options.log.warn({ err: error }, 'the notification channel could not be dialled')
    this.#handle({ type: 'failed' })
  }

  #openSocket (): WebSocket {
    this.#dialledWith = this.#options.keyFingerprint()
    if (this.#dialledWith === undefined) throw new Error('there is no access key')
    const { origin, headers, tls } = this.#options.websocketOptions()
    const { handshakeMs, maxMessageBytes } = this.#options.limits
    return new WebSocket(origin + connectPath, {
      ...tls,
      headers,
      // The reference marks it required.
      origin: origin.replace(/^ws/, 'http'),
      perMessageDeflate: false,
      handshakeTimeout: handshakeMs,
      maxPayload: maxMessageBytes,
      maxFragments,
      followRedirects: false
    })
  }

  #attach (socket: WebSocket, entry: OpenEntry): void {
    this.#socket = socket
    entry.attempts = 1
    let openedAt: number | undefined
    let refused: LinkEvent | undefined
    let liveness: NodeJS.Timeout | undefined
    socket.on('upgrade', response => { liveness = this.#watch(socket, response) })
    socket.on('open', () => {
      openedAt = performance.now()
      entry.status = 101
      this.connectedAt = Date.now()
      this.connects++
      this.#options.answered(101)
      this.#handle({ type: 'opened' })
    })
    socket.on('message', (data: Buffer, isBinary: boolean) => this.#options.receive(data, isBinary))
    socket.on('unexpected-response', (request, response) => {
      refused = readRefusal(response)
      entry.status = response.statusCode ?? null
      this.#options.answered(response.statusCode ?? 0)
      response.resume()
      request.destroy()
      socket.terminate()
    })
    socket.on('error', error => { if (refused === undefined) this.#logFailure(error) })
    socket.on('close', code => {
      clearInterval(liveness)
      this.#socket = undefined
      this.connectedAt = null
      this.lastClose = { code, at: Date.now() }
      this.#options.closeEntry(entry, { outcome: openedAt === undefined ? 'failed' : 'answered', close_code: code })
      if (openedAt !== undefined) this.#handle({ type: 'closed', code, openMs: performance.now() - openedAt })
      else this.#handle(refused ?? { type: 'failed' })
    })
  }

  #logFailure (error: Error): void {
    const { log, limits } = this.#options
    const tooLarge = (error as NodeJS.ErrnoException).code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
    if (tooLarge) log.error({ limit_bytes: limits.maxMessageBytes }, 'a message of the notification channel is larger than PROXY_WEBSOCKET_MAX_MESSAGE allows: raise it, or the API sends the same message again and again')
    else log.warn({ err: error }, 'the notification channel failed')
  }

  /** Pings, and cuts the connection off when nothing at all has come for a whole interval after one: half open. */
  #watch (socket: WebSocket, response: IncomingMessage): NodeJS.Timeout {
    let received = -1
    return setInterval(() => {
      const { bytesRead } = response.socket
      if (bytesRead === received) return socket.terminate()
      received = bytesRead
      if (socket.readyState === WebSocket.OPEN) socket.ping()
    }, this.#options.limits.pingMs)
  }
}

function readRefusal (response: IncomingMessage): LinkEvent {
  return { type: 'refused', status: response.statusCode ?? 0, retryAfterMs: readRetryAfter(response.headers['retry-after']) }
}

/** Delta seconds only: what the API might send; a date would need its clock. */
function readRetryAfter (header: string | string[] | undefined): number | undefined {
  return typeof header === 'string' && /^[0-9]{1,5}$/.test(header) ? Number(header) * 1000 : undefined
}
