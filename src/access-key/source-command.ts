import { spawn, type ChildProcess } from 'node:child_process'
import { kill } from 'node:process'
import { KeyFault, parseKey } from './key-text.ts'
import type { Secret } from './secret.ts'
import { withoutKey } from './source-environment.ts'
import type { KeySource } from './source.ts'

const maxOutputBytes = 64 * 1024
const maxErrorBytes = 2048
/** Between asking the command to stop and making it. */
const killDelayMs = 500
/** A background process may hold the pipes open after the command itself has ended. */
const drainMs = 200
const firstRetryMs = 1000
const longestRetryMs = 60_000

const checkIt = 'run the command in a shell, as the user that runs the proxy: it must print the key and nothing else, without asking questions'

export interface CommandOptions {
  command: string
  environment: Record<string, string | undefined>
  timeoutMs: number
  timeToLiveMs: number
  /** What the command said on its standard error, cut short. May hold anything: redact it. */
  onErrorOutput: (text: string, succeeded: boolean) => void
}

/** The command named by IZUMA_ACCESS_KEY_COMMAND, run by the shell. Its standard output is the key. */
export class CommandSource implements KeySource {
  readonly kind = 'command'
  readonly name = 'IZUMA_ACCESS_KEY_COMMAND'
  readonly rereadWhenRefused = true
  readonly timeToLiveMs: number
  readonly #options: CommandOptions
  #child: ChildProcess | undefined

  constructor (options: CommandOptions) {
    this.#options = options
    this.timeToLiveMs = options.timeToLiveMs
  }

  async read (): Promise<Secret> {
    const { stdout, stderr, fault } = await this.#run()
    if (stderr !== '') this.#options.onErrorOutput(stderr, fault === undefined)
    if (fault !== undefined) throw fault
    return parseKey(stdout)
  }

  retryAfterMs (attempt: number): number {
    return Math.min(firstRetryMs * 2 ** (attempt - 1), longestRetryMs)
  }

  watch (): void {}

  close (): void { if (this.#child !== undefined) stop(this.#child) }

  #run (): Promise<CommandResult> {
    const { command, environment, timeoutMs } = this.#options
    // A process group of its own, so that what the command started can be ended with it.
    const child = spawn(command, { shell: true, detached: true, windowsHide: true, stdio: ['ignore', 'pipe', 'pipe'], env: withoutKey(environment) as NodeJS.ProcessEnv })
    this.#child = child
    return collect(child, timeoutMs).finally(() => { this.#child = undefined })
  }
}

interface CommandResult { stdout: string, stderr: string, fault: KeyFault | undefined }

function collect (child: ChildProcess, timeoutMs: number): Promise<CommandResult> {
  return new Promise(resolve => {
    const stdout: Buffer[] = []
    const stderr: Buffer[] = []
    let fault: KeyFault | undefined
    const giveUp = (message: string, nextStep: string) => {
      fault ??= new KeyFault(message, nextStep)
      stop(child)
    }
    const limit = setTimeout(giveUp, timeoutMs, `took longer than ${timeoutMs} ms`, 'make it faster and see that it asks no questions, or raise IZUMA_ACCESS_KEY_COMMAND_TIMEOUT')
    const finish = () => {
      clearTimeout(limit)
      for (const stream of [child.stdout, child.stderr]) stream?.destroy()
      resolve({ stdout: takeText(stdout), stderr: takeText(stderr), fault })
    }
    gather(child.stdout, stdout, maxOutputBytes, () => giveUp(`printed more than ${maxOutputBytes} bytes`, checkIt))
    gather(child.stderr, stderr, maxErrorBytes)
    child.once('error', (error: NodeJS.ErrnoException) => {
      fault ??= new KeyFault(`could not be started (${error.code})`, 'see that there is a shell at /bin/sh')
      finish()
    })
    child.once('exit', (code, signal) => {
      if (code !== 0) fault ??= new KeyFault(`ended with ${code === null ? signal : `exit code ${code}`}`, checkIt)
      setTimeout(finish, drainMs).unref()
    })
    child.once('close', finish)
  })
}

function gather (stream: ChildProcess['stdout'], chunks: Buffer[], maxBytes: number, onTooMuch?: () => void): void {
  let bytes = 0
  stream?.on('error', () => {})
  stream?.on('data', (chunk: Buffer) => {
    if (bytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - bytes))
    bytes += chunk.length
    if (bytes > maxBytes) onTooMuch?.()
  })
}

/** Buffers that held a key don't stay around. */
function takeText (chunks: Buffer[]): string {
  const whole = Buffer.concat(chunks)
  const text = whole.toString('utf8')
  for (const buffer of [whole, ...chunks]) buffer.fill(0)
  return text
}

function stop (child: ChildProcess): void {
  signalGroup(child, 'SIGTERM')
  setTimeout(signalGroup, killDelayMs, child, 'SIGKILL').unref()
}

function signalGroup (child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    kill(-child.pid, signal)
  } catch {
    // The group is gone, or the system (Windows) has none.
    child.kill(signal)
  }
}
