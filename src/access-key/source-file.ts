import { constants, watch, type FSWatcher } from 'node:fs'
import { open, stat, type FileHandle } from 'node:fs/promises'
import { platform } from 'node:os'
import { basename, dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { KeyFault, parseKey } from './key-text.ts'
import { isSecretMount } from './secret-mount.ts'
import type { Secret } from './secret.ts'
import type { KeySource } from './source.ts'

const maxBytes = 64 * 1024
/** inotify misses changes on network and overlay file systems, and of what a link points to: the clock is the net under it. */
const pollMs = 500
/** A file that is being written may hold half a key; one that has not changed for this long is whole. */
const settleMs = 50
const maxSettleRounds = 5
/** What a Kubernetes volume swaps when a secret changes; the name of the file itself stays. */
const kubernetesLink = '..data'
const groupOrOthers = 0o077
/** Opening a named pipe must not wait for its writer. */
const readWithoutWaiting = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/** The file named by IZUMA_ACCESS_KEY_FILE. It may be replaced, rewritten, swapped by a link, or come later. */
export class FileSource implements KeySource {
  readonly kind = 'file'
  readonly name: string
  readonly rereadWhenRefused = true
  readonly #path: string
  #seen = ''
  #poll: NodeJS.Timeout | undefined
  #watcher: FSWatcher | undefined
  #looking = false

  constructor (path: string) {
    this.#path = path
    this.name = path
  }

  async read (): Promise<Secret> {
    this.#seen = await this.#settle()
    const file = await open(this.#path, readWithoutWaiting).catch(describeOpenError)
    try {
      await checkMode(file, this.#path)
      return parseKey(await readText(file))
    } finally {
      await file.close()
    }
  }

  /** Most failures end with a change of the file, which is watched; one for want of descriptors does not. */
  retryAfterMs (): number { return 1000 }

  watch (onChange: () => void): void {
    const look = () => { this.#look(onChange).catch(() => {}) } // never rejects
    this.#poll = setInterval(look, pollMs).unref()
    this.#watchFolder(look)
  }

  close (): void {
    clearInterval(this.#poll)
    this.#watcher?.close()
  }

  /** The folder and not the file: a file that is replaced takes its watch along. What else happens there is no matter. */
  #watchFolder (look: () => void): void {
    const names: Array<string | null> = [basename(this.#path), kubernetesLink, null]
    try {
      this.#watcher = watch(dirname(this.#path), { persistent: false }, (_, name) => { if (names.includes(name)) look() })
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // No such folder yet, or no watches left: the poll is enough.
    }
  }

  async #look (onChange: () => void): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const signature = await describeFile(this.#path)
    this.#looking = false
    if (signature === this.#seen) return
    this.#seen = signature
    onChange()
  }

  async #settle (): Promise<string> {
    let signature = await describeFile(this.#path)
    // At start there is nobody who could be writing at this very moment.
    for (let round = 0; this.#seen !== '' && round < maxSettleRounds; round++) {
      await delay(settleMs)
      const before = signature
      signature = await describeFile(this.#path)
      if (signature === before) break
    }
    return signature
  }
}

/** Changes whenever the file, or what a link leads to, or its mode does. */
async function describeFile (path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true })
    return [dev, ino, size, mtimeNs, ctimeNs].join()
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code)
  }
}

function describeOpenError (error: NodeJS.ErrnoException): never {
  if (error.code === 'ENOENT') throw new KeyFault('does not exist', 'put the key there (mode 0600); it is noticed within a second')
  if (error.code === 'EACCES') throw new KeyFault('cannot be read by this user', 'make the user that runs the proxy its owner, with mode 0600')
  throw new KeyFault(`cannot be opened (${error.code})`, 'see that it is a readable file')
}

/** Of the opened file, so that nobody can swap it between the look and the reading. */
async function checkMode (file: FileHandle, path: string): Promise<void> {
  const status = await file.stat()
  if (!status.isFile()) throw new KeyFault('is not an ordinary file', 'name the file that holds the key; what a program prints is for IZUMA_ACCESS_KEY_COMMAND')
  // Windows has no such modes; Node reports 0666 for all files.
  if (platform() === 'win32' || (status.mode & groupOrOthers) === 0) return
  if (await isSecretMount(path)) return
  const mode = (status.mode & 0o777).toString(8).padStart(4, '0')
  throw new KeyFault(`may be used by others (mode ${mode})`, `chmod 600 ${path}`)
}

async function readText (file: FileHandle): Promise<string> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes + 1), 0, maxBytes + 1).catch((error: NodeJS.ErrnoException) => {
    throw new KeyFault(`cannot be read (${error.code})`, 'see that it is a readable file')
  })
  const text = buffer.toString('utf8', 0, bytesRead)
  buffer.fill(0)
  if (bytesRead > maxBytes) throw new KeyFault('is too large for a key', 'name the file that holds nothing but the key')
  return text
}
