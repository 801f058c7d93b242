import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, connect, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { waitFor } from './wait-for.ts'

/** A real Redis on a free port of loopback, and on a Unix socket beside its data. */
export interface RedisServer {
  port: number
  socketPath: string
  url: string
  /** By SIGKILL: what it held is gone unless `keep` was set. */
  stop (): Promise<void>
  start (): Promise<void>
  /** Holds the process still, as a hanging machine would. */
  pause (): void
  resume (): void
  /** Stops it and deletes its folder. */
  remove (): Promise<void>
}

export interface RedisOptions {
  password?: string
  /** Write every change to the disk, so that a restart finds it again. */
  keep?: boolean
}

const commands = ['redis-server', 'valkey-server']

/** Gives `undefined` where none is installed; in CI that is an error, as these tests must not be skipped there. */
export async function startRedis (options: RedisOptions = {}): Promise<RedisServer | undefined> {
  const command = commands.find(name => spawnSync('sh', ['-c', 'command -v "$0"', name]).status === 0)
  if (command === undefined) {
    if (process.env['CI'] === 'true') throw new Error('CI needs a Redis: install the package redis-server')
    return undefined
  }
  const server = new LocalRedis(command, options, await findFreePort())
  await server.start()
  return server
}

/** For tap's `skip` option. */
export const noRedis = 'needs redis-server (apt-get install redis-server)'

class LocalRedis implements RedisServer {
  readonly #command: string
  readonly #options: RedisOptions
  readonly #folder = mkdtempSync(join(tmpdir(), 'izuma-redis-'))
  readonly port: number
  #process: ChildProcess | undefined

  constructor (command: string, options: RedisOptions, port: number) {
    this.#command = command
    this.#options = options
    this.port = port
  }

  get socketPath (): string { return join(this.#folder, 'redis.sock') }

  get url (): string {
    const { password } = this.#options
    return `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${this.port}`
  }

  async start (): Promise<void> {
    const { password, keep = false } = this.#options
    // Uncompressed, a dump shows every secret that is in it.
    const settings = ['--port', String(this.port), '--bind', '127.0.0.1', '--unixsocket', this.socketPath, '--dir', this.#folder, '--save', '', '--rdbcompression', 'no', '--appendonly', keep ? 'yes' : 'no']
    this.#process = spawn(this.#command, [...settings, ...password === undefined ? [] : ['--requirepass', password]], { stdio: 'ignore' })
    const orphan = this.#process
    // A test that ran out of time ends without its teardown.
    process.once('exit', () => orphan.kill('SIGKILL'))
    await waitFor('redis', () => canConnect(this.port), reached => reached, 10_000)
  }

  async stop (): Promise<void> {
    const running = this.#process
    if (running === undefined) return
    this.#process = undefined
    const gone = new Promise(resolve => running.once('exit', resolve))
    running.kill('SIGKILL')
    await gone
  }

  pause (): void { this.#process?.kill('SIGSTOP') }

  resume (): void { this.#process?.kill('SIGCONT') }

  async remove (): Promise<void> {
    await this.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

async function findFreePort (): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => { server.listen(0, '127.0.0.1', resolve) })
  const { port } = server.address() as AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

function canConnect (port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => { socket.end(); resolve(true) }).once('error', () => resolve(false))
  })
}

/** Everything that a Redis holds, keys and values, as latin1 text to search. */
export async function dumpAll (redis: Dumpable): Promise<string> {
  const keys = await redis.keys('*')
  const values = await Promise.all(keys.map(async key => (await redis.dumpBuffer(key))?.toString('latin1') ?? ''))
  return keys.map((key, index) => `${key} ${values[index]}`).join('\n')
}

/** As ioredis has them. */
export interface Dumpable {
  keys (pattern: string): Promise<string[]>
  dumpBuffer (key: string): Promise<Buffer | null>
}
