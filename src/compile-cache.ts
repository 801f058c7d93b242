import { existsSync, lstatSync, mkdirSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { isAbsolute, join } from 'node:path'

/** By then everything has run once that a start and its first requests need. */
const keepAfterMs = 10_000

export interface User {
  environment: Record<string, string | undefined>
  /** `undefined` where users have no numbers. */
  uid: number | undefined
}

/**
 * Keeps what V8 compiled of the program for the next start, a tenth of which is compiling: beside the program if it came with such a
 * folder (the container image does), else where this user's caches are. What was compiled by another Node.js or for another processor is
 * passed over, and where nothing can be written nothing is kept. Bytecode only: no values, so no secrets.
 */
export function keepCompiledCode (programFolder: string, user: User): void {
  const shipped = join(programFolder, 'compile-cache')
  const folder = existsSync(shipped) ? shipped : makeOwnFolder(user)
  if (folder === undefined) return
  enableCompileCache(folder)
  // Node itself does so at the end, by when V8 has thrown away the code of a start that was long ago.
  setTimeout(flushCompileCache, keepAfterMs).unref()
}

/** `undefined` unless it is this user's and nobody else may write to it: whoever can, chooses what the proxy runs. */
export function makeOwnFolder ({ environment: { XDG_CACHE_HOME: caches, HOME: home }, uid }: User): string | undefined {
  const base = [caches, home === undefined ? undefined : join(home, '.cache')].find(path => path !== undefined && isAbsolute(path))
  if (base === undefined) return undefined
  const folder = join(base, 'izuma-proxy')
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const found = lstatSync(folder)
    return uid === undefined || (found.uid === uid && (found.mode & 0o077) === 0) ? folder : undefined
  } catch {
    return undefined
  }
}
