import type { FastifyBaseLogger } from 'fastify'
import type { EventLog, GapReason } from './event-log.ts'
import type { LinkReport } from './link-machine.ts'

export interface IncidentParts {
  log: Pick<EventLog, 'append'>
  logger: FastifyBaseLogger
  /** What took the channel. */
  takenBy: () => string | null
  /** Subscriptions have to be set again. */
  restore: () => Promise<void>
}

/** What goes wrong with the upstream channel: said in the log, counted, and told to listeners where events are missing. */
export class Incidents {
  readonly #parts: IncidentParts
  evictions = 0
  lastEvictionAt: number | null = null
  gaps = 0

  constructor (parts: IncidentParts) { this.#parts = parts }

  note (what: LinkReport): void {
    const { logger, takenBy } = this.#parts
    switch (what) {
      case 'recreated': return this.#noteRecreated()
      case 'missed': return this.#noteGap('channel_displaced')
      case 'evicted': return this.#noteEviction()
      case 'taken': return logger.warn({ mechanism: takenBy() }, 'a foreign notification channel is registered for the access key; it is left alone')
      case 'key_refused': return logger.error('the API does not take the access key for the notification channel')
      case 'handshake_busy': return logger.warn('the API is busy with another handshake of the same access key')
    }
  }

  /** The intake has left the gap in the log itself, at the message's place. */
  noteUnreadable (bytes: number, binary: boolean): void {
    this.gaps++
    this.#parts.logger.error({ bytes, binary }, 'a message of the notification channel could not be read')
  }

  /** The one that held the channel before this instance. */
  noteHolderLost (): void {
    this.#parts.logger.warn('the instance that held the notification channel ended without letting go of it: what the API had sent to it may be missing')
    this.#noteGap('holder_lost')
  }

  /** What the process before had for listeners that come back. */
  noteRestart (): void { this.#noteGap('proxy_restarted') }

  #noteRecreated (): void {
    const { logger, restore } = this.#parts
    logger.warn('the API had lost the notification channel: events may be missing, subscriptions are set again')
    this.#noteGap('channel_recreated')
    restore().catch((error: unknown) => logger.error({ err: error }, 'subscriptions could not be set again'))
  }

  #noteEviction (): void {
    this.evictions++
    this.lastEvictionAt = Date.now()
    this.#parts.logger.warn({ evictions: this.evictions }, 'another connection took the notification channel: the access key is used outside the proxy')
  }

  #noteGap (reason: GapReason): void {
    this.gaps++
    this.#parts.log.append({ to: null, text: '', gap: reason })
  }
}
