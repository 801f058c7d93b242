import type { Credential } from './credential.ts'

interface Watcher { credential: Credential, close: () => void }

/** Who wants to know when a credential is worth nothing any more. */
export class Revocations {
  readonly #watchers = new Set<Watcher>()

  /** Returns a function that forgets it. */
  watch (credential: Credential, close: () => void): () => void {
    const watcher = { credential, close }
    this.#watchers.add(watcher)
    return () => { this.#watchers.delete(watcher) }
  }

  /** Calls back everyone whose credential no longer holds, once. One that throws doesn't stop the others. */
  sweep (holds: (credential: Credential) => boolean, onError: (error: unknown) => void): number {
    let count = 0
    for (const watcher of this.#watchers) {
      if (holds(watcher.credential)) continue
      this.#watchers.delete(watcher)
      count++
      try {
        watcher.close()
      } catch (error) {
        onError(error)
      }
    }
    return count
  }
}
