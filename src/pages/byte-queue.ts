/**
 * Bytes on their way from one who reads to one who writes, at their own pace: `push` waits while too much lies here.
 * One writer, one reader.
 */
export class ByteQueue implements AsyncIterable<Buffer> {
  readonly #maxBytes: number
  #chunks: Buffer[] = []
  #bytes = 0
  #ended = false
  #error: Error | undefined
  #wakeReader: () => void = () => {}
  #wakeWriter: () => void = () => {}

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Resolves when there is room for more, or nobody reads any longer. */
  async push (chunk: Buffer): Promise<void> {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    this.#wakeReader()
    while (this.#bytes > this.#maxBytes && !this.#ended) await new Promise<void>(resolve => { this.#wakeWriter = resolve })
  }

  /** The reader gets what is still here, then the end or the error. */
  end (error?: Error): void {
    if (this.#ended) return
    this.#ended = true
    this.#error = error
    this.#wakeReader()
    this.#wakeWriter()
  }

  async * [Symbol.asyncIterator] (): AsyncGenerator<Buffer, void, undefined> {
    while (true) {
      const chunk = this.#chunks.shift()
      if (chunk !== undefined) {
        yield chunk
        this.#bytes -= chunk.length
        this.#wakeWriter()
      } else if (this.#ended) {
        if (this.#error !== undefined) throw this.#error
        return
      } else await new Promise<void>(resolve => { this.#wakeReader = resolve })
    }
  }
}
