#!/usr/bin/env node
import closeWithGrace from 'close-with-grace'
import { parse as parseDotenv } from 'dotenv'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Terminal } from './cli/command.ts'
import { runCommandLine } from './cli/command-line.ts'

/** Signals of a crashing process are left to the system: a handler would only hide the crash. */
const notOurs = ['SIGHUP', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'beforeExit'] as const

async function main (): Promise<void> {
  const interrupted = new AbortController()
  const finished = Promise.withResolvers<void>()
  const grace = closeWithGrace({ delay: false, logger: null, skip: [...notOurs] }, async ({ err }) => {
    if (err) console.error('izuma-proxy: unexpected error', err)
    interrupted.abort()
    await finished.promise
  })
  const code = await runCommandLine(process.argv.slice(2), describeProcess(interrupted.signal), readDotenv())
  finished.resolve()
  grace.uninstall()
  process.exitCode = code
}

function describeProcess (interrupted: AbortSignal): Terminal {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
    cwd: process.cwd(),
    interrupted,
    onHangup (listener) {
      process.on('SIGHUP', listener)
      return () => process.off('SIGHUP', listener)
    },
    self: { execPath: process.execPath, script: process.argv[1] ?? '' },
    pid: process.pid,
    nodeVersion: process.version
  }
}

/** A `.env` that isn't there is no error; one that can't be read is. */
function readDotenv (): Record<string, string> {
  try {
    return parseDotenv(readFileSync(join(process.cwd(), '.env')))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

await main()
