import { stat } from 'node:fs/promises'

/**
 * Calls back when a file may have changed: an edit, an editor's rename, Kubernetes' swap of the `..data` link. It looks, as
 * notifications get lost on network and overlay file systems, and those of a busy directory cost more than looking does.
 */
export class FileWatch {
  readonly #path: string
  readonly #onChange: () => void
  #seen: string
  readonly #timer: NodeJS.Timeout
  #looking = false

  /** @param seen what `identify` said when the file was last read */
  constructor (path: string, seen: string, intervalMs: number, onChange: () => void) {
    this.#path = path
    this.#seen = seen
    this.#onChange = onChange
    this.#timer = setInterval(() => this.look(), intervalMs).unref()
  }

  /** Looks now, whatever the timer says. */
  look (): void {
    if (this.#looking) return
    this.#looking = true
    identify(this.#path).then(now => {
      this.#looking = false
      if (now === this.#seen) return
      this.#seen = now
      this.#onChange()
    }, () => { this.#looking = false })
  }

  close (): void {
    clearInterval(this.#timer)
  }
}

/** Tells one state of a file from another. Links are followed; a file that isn't there has a state too. */
export async function identify (path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join(' ')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  }
}
