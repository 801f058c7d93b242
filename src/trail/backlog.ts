/** At most so many lines are written at once. */
const linesAtOnce = 200

/** Lines that wait in memory for the disk to come back, up to a limit. */
export class Backlog {
  readonly #maxBytes: number
  readonly #lines: string[] = []
  #bytes = 0
  /** Lines that found no room and are lost. */
  lost = 0

  constructor (maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get size (): number { return this.#lines.length }

  keep (lines: readonly string[]): void {
    for (const line of lines) {
      if (line.length > this.#maxBytes - this.#bytes) {
        this.lost++
        continue
      }
      this.#lines.push(line)
      this.#bytes += line.length
    }
  }

  /** Oldest first. Where `append` throws, that piece stays and all behind it; `onWritten` gets the number of lines of each that went well. */
  write (append: (text: string) => void, onWritten: (lines: number) => void): void {
    while (this.#lines.length > 0) {
      const lines = this.#lines.slice(0, linesAtOnce)
      const text = lines.join('')
      append(text)
      this.#lines.splice(0, lines.length)
      this.#bytes -= text.length
      onWritten(lines.length)
    }
  }
}
