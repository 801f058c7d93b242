import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

interface Content { key: string, ended: Record<string, number> }

/** The installation's signing key, and the sessions that were logged out of before they expired. */
export class SessionFile {
  readonly #path: string
  readonly key: Buffer
  /** By id, when each would have expired. */
  readonly #ended: Map<string, number>

  /** Reads the file, or begins anew if there is none that can be used: everybody then logs in again. */
  static async open (path: string): Promise<SessionFile> {
    return new SessionFile(path, await read(path))
  }

  private constructor (path: string, content: Content | undefined) {
    this.#path = path
    this.key = content === undefined ? randomBytes(32) : Buffer.from(content.key, 'base64url')
    this.#ended = new Map(Object.entries(content?.ended ?? {}))
  }

  isEnded (id: string): boolean {
    return this.#ended.has(id)
  }

  end (id: string, expiresMs: number, nowMs: number): void {
    for (const [known, untilMs] of this.#ended) if (untilMs <= nowMs) this.#ended.delete(known)
    this.#ended.set(id, expiresMs)
  }

  /** @throws when the folder can't be written to: sessions then end with the process */
  async save (): Promise<void> {
    const content: Content = { key: this.key.toString('base64url'), ended: Object.fromEntries(this.#ended) }
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 })
    const draft = `${this.#path}.${randomBytes(4).toString('hex')}`
    await writeFile(draft, JSON.stringify(content), { mode: 0o600, flag: 'wx' })
    await rename(draft, this.#path)
  }
}

async function read (path: string): Promise<Content | undefined> {
  try {
    const content = JSON.parse(await readFile(path, 'utf8')) as Partial<Content> | null
    const usable = typeof content?.key === 'string' && Buffer.from(content.key, 'base64url').length === 32 && typeof content.ended === 'object'
    return usable ? content as Content : undefined
  } catch {
    return undefined
  }
}
