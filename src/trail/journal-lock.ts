import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { makeFolder } from './segments.ts'

/** Somebody else writes this journal. The message says who, and what to do. */
export class JournalInUseError extends Error {
  override name = 'JournalInUseError'
}

/**
 * The right to write a journal, for one process at a time.
 *
 * It is a lock of the operating system's (fcntl, LockFileEx) on the file `lock`, taken through SQLite since Node has no
 * call of its own for it. The kernel gives it back when the process ends, by `kill -9` too, so nothing goes stale; and as
 * no process id decides, two containers on one volume that are both process 1 are told apart as well.
 * Never open or read that file by other means in this process: closing it would drop the lock (POSIX).
 */
export class JournalLock {
  readonly #database: DatabaseSync

  private constructor (database: DatabaseSync) {
    this.#database = database
  }

  /** Waits (blocking) for at most `waitMs`. Throws JournalInUseError when another process holds it, and the system's error when the folder can't be written. */
  static acquire (folder: string, waitMs = 0): JournalLock {
    makeFolder(folder)
    accessSync(folder, constants.W_OK) // its error says more than SQLite's
    const database = new DatabaseSync(join(folder, 'lock'), { timeout: waitMs })
    try {
      // Nothing is ever stored in it: no journal file, no write.
      database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE')
    } catch (error) {
      database.close()
      if (isBusy(error)) throw new JournalInUseError(describeOwner(folder))
      throw error
    }
    noteOwner(folder)
    return new JournalLock(database)
  }

  release (): void {
    if (this.#database.isOpen) this.#database.close()
  }
}

function isBusy (error: unknown): boolean {
  const code = (error as { errcode?: number }).errcode ?? 0
  return (code & 0xff) === 5 // SQLITE_BUSY
}

/** For the message only. */
function noteOwner (folder: string): void {
  try {
    writeFileSync(join(folder, 'owner'), JSON.stringify({ host: hostname(), since: new Date().toISOString() }), { mode: 0o600 })
  } catch {
    // A full disk must not keep the proxy from starting: the lock itself needs no space.
  }
}

function describeOwner (folder: string): string {
  let owner = ''
  try {
    const { host, since } = JSON.parse(readFileSync(join(folder, 'owner'), 'utf8')) as { host: string, since: string }
    owner = ` (on host ${host}, since ${since})`
  } catch {}
  return `The trail's journal ${folder} is in use by another izuma-proxy${owner}. Stop that one, or give this one its own PROXY_TRAIL_JOURNAL or PROXY_TRAIL.`
}
