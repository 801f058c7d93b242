/** Timers of one sandbox: none keeps the process alive, all end with the sandbox. */
export class Timers {
  readonly #running = new Set<NodeJS.Timeout>()
  readonly #sleepers = new Set<() => void>()
  readonly #closing = new AbortController()

  /** Aborted when the sandbox closes. */
  get closing (): AbortSignal { return this.#closing.signal }

  get #closed (): boolean { return this.#closing.signal.aborted }

  /** Calls back once after `delayMs`. Returns the function that takes it back. */
  after (delayMs: number, callback: () => void): () => void {
    if (this.#closed) return () => {}
    const timer = setTimeout(() => {
      this.#running.delete(timer)
      callback()
    }, Math.min(delayMs, 0x7fffffff))
    return this.#keep(timer)
  }

  every (intervalMs: number, callback: () => void): () => void {
    return this.#closed ? () => {} : this.#keep(setInterval(callback, intervalMs))
  }

  /** Settles after `delayMs`, or when the sandbox is closed. */
  async sleep (delayMs: number): Promise<void> {
    if (delayMs <= 0 || this.#closed) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#sleepers.add(resolve)
    this.after(delayMs, resolve)
    await promise
    this.#sleepers.delete(resolve)
  }

  close (): void {
    this.#closing.abort()
    for (const timer of this.#running) clearTimeout(timer)
    this.#running.clear()
    for (const wake of this.#sleepers) wake()
  }

  #keep (timer: NodeJS.Timeout): () => void {
    timer.unref()
    this.#running.add(timer)
    return () => {
      clearTimeout(timer)
      this.#running.delete(timer)
    }
  }
}
