import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { missingTool } from '../support/tools.ts'
import { makeRoot } from '../support/trail-app.ts'

const script = fileURLToPath(new URL('../support/trail-child.ts', import.meta.url))
const skip = missingTool(['strace'], 'strace')

/** Sends one request to a proxy's trail that runs under strace; gives its system calls up to the moment the request was forwarded. */
async function traceForward (t: Test, ...flags: string[]): Promise<string> {
  const root = makeRoot(t)
  const trace = join(root, 'trace')
  // -D: the child is the traced process itself, so that it can be ended.
  const child = spawn('strace', ['-D', '-f', '-qq', '-s', '64', '-e', 'trace=write,pwrite64,fsync,fdatasync', '-o', trace, process.execPath, script, join(root, 'trail.db'), ...flags], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  t.teardown(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const lines = createInterface(child.stdout)
  const [listening] = await once(lines, 'line') as [string]
  const began = readFileSync(trace, 'utf8').length
  const forwarded = once(lines, 'line')
  await fetch(`${listening.split(' ')[1]}/v3/marked`)
  await forwarded
  const calls = readFileSync(trace, 'utf8').slice(began)
  return calls.slice(0, calls.indexOf('"forwarded '))
}

test('with PROXY_TRAIL_SYNC the disk has the intent before the request goes on; without it, only the system has', { skip, timeout: 120_000 }, async t => {
  const synced = await traceForward(t, '--trail-sync', 'true')
  t.match(synced, /pwrite64\([^\n]*\\"i\\"[^]*f(?:data)?sync\(/, 'written, then flushed')
  const plain = await traceForward(t)
  t.match(plain, /pwrite64\([^\n]*\\"i\\"/, 'written')
  t.notMatch(plain, /f(?:data)?sync\(/)
})
