/** In a stream of messages a ping follows this often; behind the last of them, and behind a single one, sooner. */
const everyMs = 250
const quietMs = 100

/**
 * What has surely arrived. A ping is sent behind the messages and carries their position: its pong (RFC 6455 §5.5.3) says
 * that the peer has processed every frame before it. Also tells when a peer no longer answers.
 */
export class Acknowledgement {
  #sent: number
  #confirmed: number
  #sentAt = 0
  #pending: { position: number, at: number } | undefined
  #lastAt: number

  constructor (position: number, nowMs: number) {
    this.#sent = position
    this.#confirmed = position
    this.#lastAt = nowMs - everyMs
  }

  sent (position: number, nowMs: number): void {
    this.#sent = position
    this.#sentAt = nowMs
  }

  /** The position to put into a ping now, or `undefined` if none is due. One is due after messages, and when all was quiet for `idleMs`. */
  due (nowMs: number, idleMs: number): number | undefined {
    if (this.#pending !== undefined) return undefined
    const sinceLastMs = nowMs - this.#lastAt
    if (this.#confirmed === this.#sent ? sinceLastMs < idleMs : sinceLastMs < everyMs && nowMs - this.#sentAt < quietMs) return undefined
    this.#pending = { position: this.#sent, at: nowMs }
    this.#lastAt = nowMs
    return this.#sent
  }

  received (position: number): void {
    if (this.#pending?.position !== position) return
    this.#confirmed = position
    this.#pending = undefined
  }

  /** Nothing up to there need be sent again. */
  skipTo (position: number): void {
    this.#sent = position
    this.#confirmed = position
    this.#pending = undefined
  }

  /** How long a ping has been waiting for its pong. */
  silentMs (nowMs: number): number { return this.#pending === undefined ? 0 : nowMs - this.#pending.at }

  /** Where a connection that takes over has to go on, if `read` is how far this one had read. */
  arrived (read: number): number { return this.#confirmed < this.#sent ? this.#confirmed : read }
}
