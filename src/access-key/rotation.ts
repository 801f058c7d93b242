import type { Secret } from './secret.ts'

/** What a step did; each but `nothing` is worth a log line. */
export type RotationEvent =
  | 'nothing'
  | 'taken' // a key where there was none, or another one
  | 'proven' // the API took the key
  | 'refused' // the API refuses the key in use, and there is no other
  | 'fell-back' // the new key was refused; the old one, proven before, is in use again
  | 'tried-again' // the old key is refused too; the new one gets its second and last chance

/** Keys that may still be on the way in requests and open streams. */
const maxKnown = 4

/**
 * Which of two keys is in use while one replaces the other. A new key is used at once; the old one stays at hand until an
 * answer has proven the new one. No clock, no I/O.
 */
export class Rotation {
  current: Secret | undefined
  /** The API has answered to `current` with something that it would not say to a stranger. */
  proven = false
  /** The last answer to `current` was a 401. */
  doubted = false
  /** The new key that was refused while the old one was at hand. */
  rejected: Secret | undefined
  #fallback: Secret | undefined
  #lastChanceTaken = false
  #known: readonly Secret[] = []

  /** Newest first. The same array for as long as nothing changes. */
  known (): readonly Secret[] { return this.#known }

  take (key: Secret): RotationEvent {
    // The source still says what was refused before: nothing new.
    if (key.equals(this.rejected)) return 'nothing'
    this.rejected = undefined
    this.#lastChanceTaken = false
    if (key.equals(this.current)) return 'nothing'
    if (this.proven && this.current !== undefined) this.#fallback = this.current
    if (key.equals(this.#fallback)) return this.#use(key, { proven: true, fallback: undefined }, 'taken')
    return this.#use(key, { proven: false, fallback: this.#fallback }, 'taken')
  }

  /** Somebody asks for a fresh start: a key refused before may be taken again. */
  forgive (): void {
    this.rejected = undefined
    this.#lastChanceTaken = false
  }

  /**
   * A 5xx proves nothing, a gateway may say it before it looks at the key. A 401 need not be the key's fault either
   * (some of the API's resources answer 401 to the wrong kind of key), so it costs a proven key nothing but trust.
   */
  judge (key: Secret, status: number): RotationEvent {
    if (status >= 500 || !key.equals(this.current)) return 'nothing'
    if (status === 401) return this.#refuse(key)
    const isNews = !this.proven || this.doubted
    this.proven = true
    this.doubted = false
    if (this.rejected === undefined) this.#fallback = undefined
    return isNews ? 'proven' : 'nothing'
  }

  #refuse (key: Secret): RotationEvent {
    if (!this.proven && this.#fallback !== undefined) {
      this.rejected = key
      return this.#use(this.#fallback, { proven: true, fallback: undefined }, 'fell-back')
    }
    if (this.proven && this.rejected !== undefined && !this.#lastChanceTaken) {
      this.#lastChanceTaken = true
      const secondTry = this.rejected
      this.rejected = undefined
      return this.#use(secondTry, { proven: false, fallback: key }, 'tried-again')
    }
    const isNews = !this.doubted
    this.doubted = true
    return isNews ? 'refused' : 'nothing'
  }

  #use (key: Secret, { proven, fallback }: { proven: boolean, fallback: Secret | undefined }, event: RotationEvent): RotationEvent {
    this.current = key
    this.proven = proven
    this.doubted = false
    this.#fallback = fallback
    this.#known = [key, ...this.#known.filter(known => !known.equals(key))].slice(0, maxKnown)
    return event
  }
}
