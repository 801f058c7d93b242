import { fork } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buildProxy, listen } from '../../src/app.ts'
import { loadSettings } from '../../src/config/load.ts'
import { makeAccessKey } from './proxy.ts'

export interface LoneProxy { port: number, pid: number, exited: Promise<number | null>, stop (): void }

export interface LoneProxyOptions {
  folder: string
  origin: string
  ca: string
  /** Command that runs another with its arguments, e.g. one that sets limits first. */
  through?: string[]
}

/** The whole proxy in a process of its own, so that its memory and descriptors are its own too. */
export async function startAlone ({ folder, origin, ca, through }: LoneProxyOptions): Promise<LoneProxy> {
  writeFileSync(join(folder, 'ca.pem'), ca)
  writeFileSync(join(folder, 'access-key'), makeAccessKey(), { mode: 0o600 })
  const [command = process.execPath, ...before] = [...through ?? [], process.execPath]
  const child = fork(import.meta.filename, [folder, origin], { execPath: command, execArgv: before, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const exited = new Promise<number | null>(resolve => child.once('exit', resolve))
  const port = await new Promise<number>((resolve, reject) => {
    child.once('message', message => resolve(Number(message)))
    child.once('exit', code => reject(new Error(`the proxy ended with ${code}`)))
  })
  return { port, pid: child.pid ?? 0, exited, stop: () => child.kill('SIGKILL') }
}

async function run (folder: string, origin: string): Promise<void> {
  const settings = loadSettings({
    flags: {
      '--listen': '127.0.0.1:0',
      '--api-host': origin,
      '--ca-file': join(folder, 'ca.pem'),
      '--access-key-file': join(folder, 'access-key'),
      '--trail': `sqlite:${join(folder, 'trail.db')}`,
      '--log-level': 'error',
      '--log-pretty': 'false'
    },
    environment: {},
    dotenv: {}
  })
  const stdout = new PassThrough().resume()
  const { url } = await listen(await buildProxy({ settings, environment: {}, stdout, program: { version: '0.0.0-test', node: process.version } }))
  process.send?.(new URL(url).port)
  process.once('disconnect', () => process.exit(0))
}

if (process.argv[1] === import.meta.filename) await run(process.argv[2] ?? '', process.argv[3] ?? '')
