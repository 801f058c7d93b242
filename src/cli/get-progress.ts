import type { Terminal } from './command.ts'

const intervalMs = 200

/** A line on standard error that says how far it is, rewritten in place; nothing when nobody looks, or when the items themselves go there. */
export class Progress {
  readonly #stderr: Terminal['stderr']
  readonly #isWatched: boolean
  readonly #startedAt: number
  readonly #now: () => number
  #shownAt: number
  #width = 0

  constructor ({ stdout, stderr }: Pick<Terminal, 'stdout' | 'stderr'>, now: () => number) {
    this.#stderr = stderr
    this.#isWatched = stderr.isTTY === true && stdout.isTTY !== true
    this.#now = now
    this.#startedAt = this.#shownAt = now()
  }

  /** `items` is undefined while they can't be counted. */
  show (items: number | undefined, bytes: number): void {
    if (!this.#isWatched || this.#now() - this.#shownAt < intervalMs) return
    this.#shownAt = this.#now()
    const text = describeProgress(items, bytes, this.#shownAt - this.#startedAt)
    this.#stderr.write(`\r${text.padEnd(this.#width)}`)
    this.#width = text.length
  }

  /** The last word, which stays. */
  finish (items: number | undefined, bytes: number): void {
    if (!this.#isWatched) return
    this.clear()
    this.#stderr.write(`${describeProgress(items, bytes, this.#now() - this.#startedAt)}\n`)
  }

  /** Takes the line away, so that what comes next stands alone. */
  clear (): void {
    if (this.#width > 0) this.#stderr.write(`\r${' '.repeat(this.#width)}\r`)
    this.#width = 0
  }
}

export function describeProgress (items: number | undefined, bytes: number, elapsedMs: number): string {
  const mebibytes = `${(bytes / 1024 / 1024).toFixed(1)} MiB`
  const seconds = Math.max(elapsedMs, 1) / 1000
  if (items === undefined) return `${mebibytes} in ${seconds.toFixed(1)} s`
  return `${items.toLocaleString('en')} items, ${mebibytes} in ${seconds.toFixed(1)} s (${Math.round(items / seconds).toLocaleString('en')} items/s)`
}
