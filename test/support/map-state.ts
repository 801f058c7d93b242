import type { StateMap } from '../../src/channel/state-journal.ts'

/** The channel's state in memory. Values go through JSON, as they would on their way through a file. */
export class MapState implements StateMap {
  readonly #values = new Map<string, string>()

  get size (): number { return this.#values.size }

  get (key: string): unknown {
    const text = this.#values.get(key)
    return text === undefined ? undefined : JSON.parse(text)
  }

  entries (prefix: string): Array<[string, unknown]> {
    return [...this.#values].filter(([key]) => key.startsWith(prefix)).map(([key, text]) => [key, JSON.parse(text)])
  }

  set (key: string, value: unknown): void { this.#values.set(key, JSON.stringify(value)) }

  delete (key: string): void { this.#values.delete(key) }

  onForeignChange (): void {}
}
