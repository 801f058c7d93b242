import { Duplex } from 'node:stream'

/** A connection that leads nowhere, for what is rehearsed: what is written to it goes to a function, and `push` answers. */
export class Stage extends Duplex {
  readonly #hear: (chunk: Buffer) => void

  constructor (hear: (chunk: Buffer) => void) {
    super()
    this.#hear = hear
  }

  override _read (): void {}

  override _write (chunk: Buffer, _encoding: string, done: () => void): void {
    this.#hear(chunk)
    done()
  }

  // As sockets have them.
  ref (): this { return this }
  unref (): this { return this }
  destroySoon (): void { this.destroy() }
}
