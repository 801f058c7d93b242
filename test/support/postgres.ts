import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'

/** A real PostgreSQL in a folder of its own, on a Unix socket: no port to collide on. */
export interface PostgresServer {
  /** Makes an empty database and gives its URL. */
  createDatabase (): Promise<string>
  /** `fast` ends as an administrator would, `immediate` as a power cut would. */
  stop (mode: 'fast' | 'immediate'): Promise<void>
  start (): Promise<void>
  /** Stops it and deletes its folder. */
  remove (): Promise<void>
}

/** Gives `undefined` where none is installed; in CI that is an error, as these tests must not be skipped there. */
export async function startPostgres (): Promise<PostgresServer | undefined> {
  const bin = findBin()
  if (bin === undefined) {
    if (process.env['CI'] === 'true') throw new Error('CI needs a PostgreSQL: install the package postgresql')
    return undefined
  }
  const server = new LocalPostgres(bin)
  await server.start()
  return server
}

function findBin (): string | undefined {
  const root = '/usr/lib/postgresql'
  const candidates = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)).map(version => join(root, version, 'bin')) : []
  return [...candidates, '/usr/local/bin', '/usr/bin', '/opt/homebrew/bin'].find(folder => existsSync(join(folder, 'initdb')))
}

/** PostgreSQL refuses to run as root. */
function findUser (): { uid?: number, gid?: number } {
  if (process.getuid?.() !== 0) return {}
  const ask = (flag: string) => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: ask('-u'), gid: ask('-g') }
}

class LocalPostgres implements PostgresServer {
  readonly #bin: string
  readonly #user = findUser()
  readonly #folder = mkdtempSync(join(tmpdir(), 'izuma-pg-'))
  #process: ChildProcess | undefined
  #databases = 0

  constructor (bin: string) {
    this.#bin = bin
    if (this.#user.uid !== undefined) chownSync(this.#folder, this.#user.uid, this.#user.gid as number)
    execFileSync(join(bin, 'initdb'), ['-D', join(this.#folder, 'data'), '-U', 'trail', '-A', 'trust', '-N', '--no-instructions', '-E', 'UTF8', '--locale=C'], { ...this.#user, cwd: this.#folder, stdio: 'pipe' })
  }

  async start (): Promise<void> {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#folder}`, 'fsync=off', 'max_connections=40', 'shared_buffers=16MB', 'log_min_messages=fatal']
    this.#process = spawn(join(this.#bin, 'postgres'), ['-D', join(this.#folder, 'data'), ...settings.flatMap(setting => ['-c', setting])], { ...this.#user, cwd: this.#folder, stdio: 'ignore' })
    const orphan = this.#process
    // A test that ran out of time ends without its teardown.
    process.once('exit', () => orphan.kill('SIGQUIT'))
    await this.#untilReady()
  }

  async #untilReady (): Promise<void> {
    const deadline = Date.now() + 20_000
    for (;;) {
      const client = new pg.Client({ connectionString: this.#url('postgres') })
      try {
        await client.connect()
        await client.end()
        return
      } catch (error) {
        if (Date.now() > deadline) throw error
        await new Promise(resolve => { setTimeout(resolve, 50) })
      }
    }
  }

  #url (database: string): string {
    return `postgres://trail@/${database}?host=${encodeURIComponent(this.#folder)}`
  }

  async createDatabase (): Promise<string> {
    const name = `trail_${++this.#databases}`
    const client = new pg.Client({ connectionString: this.#url('postgres') })
    await client.connect()
    await client.query(`create database ${name}`)
    await client.end()
    return this.#url(name)
  }

  async stop (mode: 'fast' | 'immediate'): Promise<void> {
    const running = this.#process
    if (running === undefined) return
    this.#process = undefined
    const gone = new Promise(resolve => running.once('exit', resolve))
    running.kill(mode === 'fast' ? 'SIGINT' : 'SIGQUIT')
    await gone
  }

  async remove (): Promise<void> {
    await this.stop('immediate')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
