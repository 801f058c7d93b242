import { KeyFault } from './key-text.ts'
import { Rotation, type RotationEvent } from './rotation.ts'
import type { AccessKeyService, Secret } from './secret.ts'
import type { KeySource } from './source.ts'

/** A command may be a password manager that asks its user. */
const leastAskIntervalMs = 30_000

export type KeyEvent =
  | { type: Exclude<RotationEvent, 'nothing'>, key: Secret, other: Secret | undefined }
  | { type: 'failed', fault: KeyFault }

/** Keeps the key: reads it when it should be read, one read at a time, and decides with `Rotation` which one is used. */
export class KeyKeeper implements AccessKeyService {
  /** Why the last read failed; `undefined` if it didn't. */
  fault: KeyFault | undefined
  /** When the key in use was taken up, by `performance.now()`. */
  takenAt = 0
  readonly rotation = new Rotation()
  readonly #source: KeySource
  readonly #onEvent: (event: KeyEvent) => void
  readonly #listeners = new Set<(key: Secret | undefined) => void>()
  #reading: Promise<void> | undefined
  #readAgain = false
  #timer: NodeJS.Timeout | undefined
  #failures = 0
  #closed = false
  /** When an answer of the API last made the source be asked again. */
  #askedAt = -Infinity

  constructor (source: KeySource, onEvent: (event: KeyEvent) => void) {
    this.#source = source
    this.#onEvent = onEvent
  }

  current (): Secret | undefined { return this.rotation.current }

  known (): readonly Secret[] { return this.rotation.known() }

  onChange (listener: (key: Secret | undefined) => void): () => void {
    this.#listeners.add(listener)
    return () => { this.#listeners.delete(listener) }
  }

  reportAnswer (key: Secret, status: number): void {
    const { rotation } = this
    // Nearly every answer: nothing to learn from it.
    if (status !== 401 && rotation.proven && !rotation.doubted) return
    const before = rotation.current
    const event = rotation.judge(key, status)
    this.#tell(event, before)
    if (event !== 'nothing' && event !== 'proven') this.#askAgain()
  }

  reload (): void {
    this.rotation.forgive()
    this.#refreshUnawaited()
  }

  /** Resolves when the first read has ended, well or not. */
  async start (): Promise<void> {
    await this.refresh()
    if (!this.#closed) this.#source.watch(() => { this.#refreshUnawaited() })
  }

  /** Reads now, or once more after the read that is under way: that one may have begun before the change. Never rejects. */
  refresh (): Promise<void> {
    if (this.#reading !== undefined) this.#readAgain = true
    this.#reading ??= this.#readUntilDone()
    return this.#reading
  }

  close (): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#source.close()
  }

  async #readUntilDone (): Promise<void> {
    do {
      this.#readAgain = false
      clearTimeout(this.#timer)
      await this.#readOnce()
    } while (this.#readAgain && !this.#closed)
    this.#reading = undefined
    this.#schedule()
  }

  async #readOnce (): Promise<void> {
    try {
      const key = await this.#source.read()
      if (this.#closed) return
      this.#failures = 0
      this.fault = undefined
      this.#take(key)
    } catch (error) {
      if (this.#closed) return
      this.#failures++
      this.#fail(error instanceof KeyFault ? error : describeDefect(error))
    }
  }

  #take (key: Secret): void {
    const before = this.rotation.current
    this.#tell(this.rotation.take(key), before)
  }

  /** The same failure is told once, however often it is tried again. The key read before stays in use. */
  #fail (fault: KeyFault): void {
    const isNews = this.fault?.message !== fault.message
    this.fault = fault
    if (isNews) this.#onEvent({ type: 'failed', fault })
  }

  #schedule (): void {
    const waitMs = this.fault === undefined ? this.#source.timeToLiveMs : this.#source.retryAfterMs(this.#failures)
    if (this.#closed || waitMs === undefined || waitMs === Infinity) return
    this.#timer = setTimeout(() => { this.#refreshUnawaited() }, waitMs).unref()
  }

  /** Once when the API begins to refuse a key, not with every 401; and seldom, because some resources say 401 to any key. */
  #askAgain (): void {
    const now = performance.now()
    if (!this.#source.rereadWhenRefused || now - this.#askedAt < leastAskIntervalMs) return
    this.#askedAt = now
    this.#refreshUnawaited()
  }

  #refreshUnawaited (): void {
    this.refresh().catch(() => {}) // never rejects
  }

  #tell (type: RotationEvent, before: Secret | undefined): void {
    const key = this.rotation.current
    if (type === 'nothing' || key === undefined) return
    this.#onEvent({ type, key, other: before?.equals(key) === true ? undefined : before })
    if (key.equals(before)) return
    this.takenAt = performance.now()
    for (const listener of this.#listeners) listener(key)
  }
}

/** Of an error nobody thought of, the code alone: its message could hold anything. */
function describeDefect (error: unknown): KeyFault {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
  return new KeyFault(`cannot be read (${code})`, 'it is tried again; if it stays like this, report it as a defect of izuma-proxy')
}
