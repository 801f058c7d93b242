import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdir } from 'node:fs/promises'
import { existsSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'

/** A server of the demo's own, in its folder and on a Unix socket there: nothing that runs already is touched. */
export interface LocalServer {
  url: string
  stop (): Promise<void>
}

const readyMs = 20_000

/** The Debian packages of what isn't installed. */
export function findMissingPackages (): string[] {
  return [findRedis() === undefined && 'redis-server', findPostgres() === undefined && 'postgresql'].filter(name => name !== false)
}

export async function startLocalRedis (folder: string): Promise<LocalServer> {
  const socket = join(folder, 'redis.sock')
  const server = spawn(findRedis() ?? 'redis-server', ['--port', '0', '--unixsocket', socket, '--dir', folder, '--save', '', '--appendonly', 'no'], { stdio: 'ignore' })
  await untilListening(server, socket, 'Redis')
  return { url: `unix:${socket}`, stop: () => stop(server, 'SIGKILL') }
}

export async function startLocalPostgres (folder: string): Promise<LocalServer> {
  const bin = findPostgres() ?? ''
  const user = findUser()
  const data = join(folder, 'postgres')
  await mkdir(data)
  if (user.uid !== undefined) await chown(data, user.uid, user.gid ?? 0)
  execFileSync(join(bin, 'initdb'), ['-D', join(data, 'data'), '-U', 'trail', '-A', 'trust', '-N', '--no-instructions', '-E', 'UTF8', '--locale=C'], { ...user, cwd: data, stdio: 'pipe' })
  const settings = ['listen_addresses=', `unix_socket_directories=${data}`, 'fsync=off', 'max_connections=40', 'log_min_messages=fatal']
  const server = spawn(join(bin, 'postgres'), ['-D', join(data, 'data'), ...settings.flatMap(setting => ['-c', setting])], { ...user, cwd: data, stdio: 'ignore' })
  await untilListening(server, join(data, '.s.PGSQL.5432'), 'PostgreSQL')
  return { url: `postgres://trail@/postgres?host=${encodeURIComponent(data)}`, stop: () => stop(server, 'SIGINT') }
}

function findRedis (): string | undefined {
  return ['redis-server', 'valkey-server'].find(name => spawnSync('sh', ['-c', 'command -v "$0"', name]).status === 0)
}

/** Debian keeps it off PATH. */
function findPostgres (): string | undefined {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : []
  return [...versions.map(version => join(root, version, 'bin')), '/usr/local/bin', '/usr/bin', '/opt/homebrew/bin'].find(folder => existsSync(join(folder, 'initdb')))
}

/** PostgreSQL refuses to run as root. */
function findUser (): { uid?: number, gid?: number } {
  const ask = (flag: string, ...user: string[]) => Number(execFileSync('id', [flag, ...user], { encoding: 'utf8' }))
  return ask('-u') === 0 ? { uid: ask('-u', 'postgres'), gid: ask('-g', 'postgres') } : {}
}

async function untilListening (server: ChildProcess, socket: string, name: string): Promise<void> {
  server.on('error', () => {})
  for (const deadline = performance.now() + readyMs; performance.now() < deadline && server.exitCode === null;) {
    if (await canConnect(socket)) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  server.kill('SIGKILL')
  throw new Error(`${name} did not start`)
}

function canConnect (path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => { socket.end(); resolve(true) }).once('error', () => resolve(false))
  })
}

async function stop (server: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const gone = once(server, 'exit')
  server.kill(signal)
  await gone
}
