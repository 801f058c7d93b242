import { closeSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** What the room must not forget when the process ends, however it ends: a map of small JSON values. */
export interface StateMap {
  get (key: string): unknown
  /** Every key that begins with the prefix, and its value. */
  entries (prefix: string): Array<[key: string, value: unknown]>
  set (key: string, value: unknown): void
  delete (key: string): void
  /** Calls back when another instance has changed a key; `undefined` = it is gone. */
  onForeignChange (listener: (key: string, value: unknown) => void): void
}

/** Rewritten when it holds this many lines more than live keys. */
const slackLines = 10_000

/**
 * The map in memory, each change appended to a file as one line of JSON before the call returns: what was set is in the
 * system's page cache and survives the death of the process (not a power loss). Reading stops nowhere: a line torn by a
 * crash is skipped. The file is written anew, and replaced in one step, at start and when it has grown.
 */
export class StateJournal implements StateMap {
  readonly #path: string
  readonly #values = new Map<string, unknown>()
  #file = -1
  #lines = 0
  /** Why the last write failed; the state is then kept in memory only. */
  failure: Error | undefined

  constructor (path: string) {
    this.#path = path
    mkdirSync(dirname(path), { recursive: true })
    for (const line of readLines(path)) this.#apply(line)
    this.#rewrite()
  }

  get size (): number { return this.#values.size }

  get (key: string): unknown { return this.#values.get(key) }

  entries (prefix: string): Array<[string, unknown]> {
    return [...this.#values].filter(([key]) => key.startsWith(prefix))
  }

  set (key: string, value: unknown): void {
    this.#values.set(key, value)
    this.#append(`${JSON.stringify([key, value])}\n`)
  }

  delete (key: string): void {
    if (this.#values.delete(key)) this.#append(`${JSON.stringify([key])}\n`)
  }

  /** A file has one owner. */
  onForeignChange (): void {}

  close (): void {
    if (this.#file !== -1) closeSync(this.#file)
    this.#file = -1
  }

  #apply (line: string): void {
    const [key, value] = readChange(line)
    if (key === undefined) return
    if (value === undefined) this.#values.delete(key)
    else this.#values.set(key, value)
  }

  #append (line: string): void {
    try {
      writeSync(this.#file, line)
      this.failure = undefined
    } catch (error) {
      this.failure = error as Error
    }
    if (++this.#lines > this.#values.size + slackLines) this.#rewrite()
  }

  #rewrite (): void {
    const fresh = `${this.#path}.new`
    try {
      const file = openSync(fresh, 'w', 0o600)
      writeSync(file, [...this.#values].map(change => `${JSON.stringify(change)}\n`).join(''))
      renameSync(fresh, this.#path)
      this.close()
      this.#file = file
      this.#lines = this.#values.size
      this.failure = undefined
    } catch (error) {
      this.failure = error as Error
      this.#lines = 0
    }
  }
}

function readLines (path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split('\n')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function readChange (line: string): [key?: string, value?: unknown] {
  try {
    const change: unknown = JSON.parse(line)
    return Array.isArray(change) && typeof change[0] === 'string' ? change as [string, unknown] : []
  } catch {
    return []
  }
}
