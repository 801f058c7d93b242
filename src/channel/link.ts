import type { FastifyBaseLogger } from 'fastify'
import type { WebSocketDial } from '../decorations.ts'
import type { OpenEntry } from '../trail/record.ts'
import { registerChannel } from './channel-registration.ts'
import { initialLink, step, type Link, type LinkEffect, type LinkEvent, type LinkReport, type LinkState } from './link-machine.ts'
import type { UpstreamCalls } from './upstream-calls.ts'
import { connectPath, UpstreamSocket } from './upstream-socket.ts'

export interface LinkOptions {
  calls: UpstreamCalls
  websocketOptions: () => WebSocketDial
  closeEntry: (entry: OpenEntry, facts: Partial<OpenEntry>) => void
  log: FastifyBaseLogger
  limits: LinkLimits
  /** Nobody else may have the channel now: without that nothing is dialled. */
  mayDial: () => boolean
  /** Resolves when this instance may receive what the API sends. */
  ready: () => Promise<void>
  /** Called before the end of the socket is acted upon. */
  ending: () => void
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

export const openStates: readonly LinkState[] = ['open', 'proving']
const lookAgainMs = 10_000

/** Carries out what the state machine decides: the one connection to the key's notification channel. */
export class UpstreamLink {
  readonly #options: LinkOptions
  #link: Link
  #socket: UpstreamSocket | undefined
  #socketEnded: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #stopped = false
  #lookedAt = 0
  #dialledWith: string | undefined
  connectedAt: number | null = null
  retryAt: number | null = null
  lastClose: { code: number, at: number } | null = null
  connects = 0

  constructor (options: LinkOptions) {
    this.#options = options
    this.#link = initialLink
  }

  get state (): LinkState { return this.#link.state }

  get takenBy (): string | null { return this.#link.takenBy }

  get registered (): boolean { return this.#link.registered }

  get isOpen (): boolean { return openStates.includes(this.#link.state) }

  /** The API may be sending to us, or soon will. */
  get mayReceive (): boolean { return this.#socket !== undefined || (this.#link.state === 'connecting' && !this.#stopped) }

  want (wanted: boolean): void {
    if (wanted !== this.#link.wanted && !this.#stopped) this.#handle({ type: wanted ? 'wanted' : 'unwanted' })
  }

  /** What was known before this instance held the channel: it has been ours, and events have been missed. */
  inherit (what: { known: boolean, missed: boolean }): void {
    this.#link = { ...this.#link, known: this.#link.known || what.known, missed: this.#link.missed || what.missed }
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

  /** Closes the socket in good order; the API keeps the channel and queues. */
  async stop (): Promise<void> {
    this.#stopped = true
    if (this.#link.wanted) this.#handle({ type: 'unwanted' })
    clearTimeout(this.#timer)
    const socket = this.#socket
    if (socket === undefined) return
    await new Promise<void>(resolve => {
      this.#socketEnded = resolve
      socket.abandon()
    })
  }

  #handle (event: LinkEvent): void {
    const [next, ...effects] = step(this.#link, event, this.#options.random())
    this.#link = next
    if (effects.some(effect => effect.do !== 'report')) this.#clearTimer()
    for (const effect of effects) this.#carryOut(effect)
    this.#options.changed(this.#link)
  }

  #clearTimer (): void {
    clearTimeout(this.#timer)
    this.retryAt = null
  }

  #carryOut (effect: LinkEffect): void {
    switch (effect.do) {
      case 'register': this.#register(); break
      case 'dial': this.#dial(); break
      case 'close': this.#socket?.close(); break
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
    registerChannel(this.#options.calls).then(event => this.#handle(event), (error: unknown) => {
      this.#options.log.warn({ err: error }, 'the notification channel could not be registered')
      this.#handle({ type: 'failed' })
    })
  }

  #dial (): void {
    this.#options.calls.begin('GET', connectPath).then(entry => { void this.#dialRecorded(entry) }, (error: unknown) => this.#failDial(error))
  }

  async #dialRecorded (entry: OpenEntry): Promise<void> {
    try {
      await this.#options.ready()
      if (this.#stopped) throw new Error('the proxy is stopping')
      if (!this.#options.mayDial()) throw new Error('another instance may hold the channel')
      this.#dialledWith = this.#options.keyFingerprint()
      if (this.#dialledWith === undefined) throw new Error('there is no access key')
      entry.attempts = 1
      this.#socket = this.#openSocket(entry)
    } catch (error) {
      this.#options.closeEntry(entry, { outcome: 'failed' })
      this.#failDial(error)
    }
  }

  #failDial (error: unknown): void {
    this.#options.log.warn({ err: error }, 'the notification channel could not be dialled')
    this.#handle({ type: 'failed' })
  }

  #openSocket (entry: OpenEntry): UpstreamSocket {
    const { websocketOptions, limits, receive, answered, closeEntry } = this.#options
    return new UpstreamSocket({
      dial: websocketOptions(),
      ...limits,
      receive,
      answered: status => {
        entry.status = status
        answered(status)
        if (status === 101) this.#opened()
      },
      failed: error => this.#logFailure(error),
      ended: (event, code) => {
        this.#socket = undefined
        this.connectedAt = null
        this.lastClose = { code, at: Date.now() }
        this.#options.ending()
        closeEntry(entry, { outcome: entry.status === null ? 'failed' : 'answered', close_code: code })
        this.#handle(event)
        this.#socketEnded?.()
      }
    })
  }

  #opened (): void {
    this.connectedAt = Date.now()
    this.connects++
    this.#handle({ type: 'opened' })
  }

  #logFailure (error: Error): void {
    const { log, limits } = this.#options
    const tooLarge = (error as NodeJS.ErrnoException).code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH'
    if (tooLarge) log.error({ limit_bytes: limits.maxMessageBytes }, 'a message of the notification channel is larger than PROXY_WEBSOCKET_MAX_MESSAGE allows: raise it, or the API sends the same message again and again')
    else log.warn({ err: error }, 'the notification channel failed')
  }
}
