#!/usr/bin/env node
import closeWithGrace from 'close-with-grace'
import { parse as parseDotenv } from 'dotenv'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { UsageError, type Terminal } from './cli/command.ts'
import { runCommandLine } from './cli/command-line.ts'
import { keepCompiledCode } from './compile-cache.ts'

/** Signals of a crashing process are left to the system: a handler would only hide the crash. */
const notOurs = ['SIGHUP', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGSEGV', 'beforeExit'] as const

/** The major version that package.json names under `engines`. */
const oldestNode = 24

async function main (): Promise<void> {
  if (Number.parseInt(process.versions.node) < oldestNode) {
    console.error(`izuma-proxy needs Node.js ${oldestNode} or newer, and this is ${process.versions.node}: install one (https://nodejs.org), or run the container image`)
    process.exitCode = 1
    return
  }
  // V8 guesses where objects get old and puts them among the old ones at once. In one process of three it takes parts of a request for
  // such: they die at once, and keep the rest of the request, 4 to 8 KiB, until all memory is searched.
  setFlagsFromString('--no-allocation-site-pretenuring')
  // The sources are compiled while they are worked on.
  if (!import.meta.filename.endsWith('.ts')) keepCompiledCode(import.meta.dirname, { environment: process.env, uid: process.getuid?.() })
  // Node's own answer is a debugger on a port that every user of this machine can connect to, and read the key by.
  process.on('SIGUSR1', () => {})
  const interrupted = new AbortController()
  const finished = Promise.withResolvers<number>()
  const grace = closeWithGrace({ delay: false, logger: null, skip: [...notOurs] }, async ({ err, signal }) => {
    if (err) console.error('izuma-proxy: unexpected error', err)
    interrupted.abort(signal ?? 'SIGTERM')
    const code = await finished.promise
    // The command's own code, which the library would make a 0.
    process.exit(err ? 1 : code)
  })
  const code = await runCommandLine(process.argv.slice(2), describeProcess(interrupted.signal), readDotenv)
  // The last lines of the log are written at the end of this turn.
  await new Promise(resolve => { setImmediate(resolve) })
  finished.resolve(code)
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
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return {}
    throw new UsageError(`.env in ${process.cwd()} cannot be read (${code}): make it a readable file, or remove it`)
  }
}

await main()
