import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Runs a command to its end; its output is in the error if it fails. */
export async function run (command: string, args: string[], { timeoutMs = 600_000, cwd = '.' } = {}): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { timeout: timeoutMs, cwd, maxBuffer: 64 * 1024 * 1024 })
    return stdout.trim()
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string, stderr?: string }
    throw new Error(`${message}\n${stdout.slice(-4000)}\n${stderr.slice(-4000)}`, { cause: error })
  }
}
