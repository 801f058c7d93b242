import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import type { Test } from 'tap'
import { runCommandLine } from '../../src/cli/command-line.ts'
import type { Terminal } from '../../src/cli/command.ts'
import type { RunResult } from './process.ts'

interface Surroundings {
  environment?: Record<string, string>
  readDotenv?: () => Record<string, string>
}

/** Runs one command line in this process, to its end: much faster than a process of its own. Paths in it have to be absolute. */
export async function runHere (words: string[], { environment = {}, readDotenv = () => ({}) }: Surroundings = {}): Promise<RunResult> {
  const output = { stdout: '', stderr: '' }
  const collect = (name: keyof typeof output) => new Writable({ write (chunk, _encoding, done) { output[name] += String(chunk); done() } })
  const terminal: Terminal = {
    stdout: collect('stdout'),
    stderr: collect('stderr'),
    environment,
    cwd: tmpdir(),
    interrupted: new AbortController().signal,
    onHangup: () => () => {},
    self: { execPath: process.execPath, script: '' },
    pid: process.pid,
    nodeVersion: process.version
  }
  return { code: await runCommandLine(words, terminal, readDotenv), ...output }
}

/** A folder that goes with the test. */
export function makeFolder (t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'izuma-proxy-cli-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
