import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { resolve as resolvePath } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export interface ProxyProcess {
  child: ChildProcess
  pid: number
  /** From its first log line. */
  url: string
  /** Everything on its standard output and error so far. */
  output (): string
  /** Ends it and resolves to its exit code (`null` after a signal that killed it). */
  stop (signal?: NodeJS.Signals): Promise<number | null>
}

export interface RunResult { code: number | null, stdout: string, stderr: string }

interface SpawnOptions {
  cwd: string
  environment?: Record<string, string | undefined>
  /** Node's own options. */
  nodeOptions?: string[]
  /** Another program than the one in `src`. */
  program?: string
}

/** `izuma-proxy …`, under way. */
export function spawnMain (words: string[], { cwd, environment = {}, nodeOptions = [], program = main }: SpawnOptions): ChildProcess {
  const { PATH, HOME, NODE_COMPILE_CACHE: cache } = process.env
  // By its path here, as the other process may be somewhere else.
  const inherited = { PATH, HOME, ...cache !== undefined && { NODE_COMPILE_CACHE: resolvePath(cache) } }
  return spawn(process.execPath, [...nodeOptions, program, ...words], { cwd, env: { ...inherited, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** `izuma-proxy …`, to its end. */
export async function runCommand (words: string[], options: SpawnOptions): Promise<RunResult> {
  const child = spawnMain(words, options)
  const result = { stdout: '', stderr: '' }
  child.stdout?.on('data', (chunk: Buffer) => { result.stdout += chunk.toString('utf8') })
  child.stderr?.on('data', (chunk: Buffer) => { result.stderr += chunk.toString('utf8') })
  const [code] = await once(child, 'close') as [number | null]
  return { code, ...result }
}

/** `izuma-proxy start …` as a process of its own; resolves when it listens, ends with the test. */
export async function startProcess (t: Test, words: string[], options: SpawnOptions): Promise<ProxyProcess> {
  const child = spawnMain(['start', '--log-pretty', 'false', ...words], options)
  let output = ''
  let isListening = false
  const listening = new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk.toString('utf8')
      if (isListening) return
      const line = output.split('\n').find(line => line.includes('"msg":"listening"'))
      isListening = line?.endsWith('}') === true
      if (isListening) resolve((JSON.parse(line as string) as { url: string }).url)
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('close', code => reject(new Error(`the proxy ended with ${code}: ${output}`)))
  })
  const ended = once(child, 'close') as Promise<[number | null]>
  ended.catch(() => {})
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await ended
  })
  const url = await listening
  return {
    child,
    pid: child.pid as number,
    url,
    output: () => output,
    async stop (signal = 'SIGTERM') {
      child.kill(signal)
      return (await ended)[0]
    }
  }
}
