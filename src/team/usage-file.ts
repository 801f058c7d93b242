import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { UsageState } from './limits.ts'

/**
 * Keeps the day's counts over a restart. Written at most every two seconds and at the end, whole and by rename, so that a crash
 * leaves the file of two seconds ago and never half of one.
 */
export class UsageFile {
  readonly #path: string
  #written = ''
  #writing: Promise<void> = Promise.resolve()

  constructor (path: string) {
    this.#path = path
  }

  /** What was written last, or `undefined` if there is nothing that can be used. */
  async read (): Promise<UsageState | undefined> {
    try {
      const state = JSON.parse(await readFile(this.#path, 'utf8')) as unknown
      return isUsageState(state) ? state : undefined
    } catch {
      return undefined
    }
  }

  /** @throws when the directory can't be written to */
  async write (state: UsageState): Promise<void> {
    const text = JSON.stringify(state)
    if (text === this.#written) return
    this.#writing = this.#writing.catch(() => {}).then(() => this.#replace(text))
    await this.#writing
    this.#written = text
  }

  async #replace (text: string): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
    const file = await open(this.#path + '.new', 'w', 0o600)
    try {
      await file.writeFile(text)
    } finally {
      await file.close()
    }
    await rename(this.#path + '.new', this.#path)
  }
}

function isUsageState (state: unknown): state is UsageState {
  if (typeof state !== 'object' || state === null) return false
  const { day, members, instances = 1, session = '-' } = state as Partial<UsageState>
  return typeof day === 'string' && typeof session === 'string' && Number.isSafeInteger(instances) && instances >= 1 && typeof members === 'object' && members !== null && Object.values(members).every(isCount)
}

function isCount (value: unknown): boolean {
  const { sent, refused, lastSeenMs } = (value ?? {}) as Record<string, unknown>
  return [sent, refused, lastSeenMs].every(number => Number.isSafeInteger(number) && (number as number) >= 0)
}
