import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

// For the image: what V8 compiles in a start and its first requests is kept in dist/compile-cache, which must be there and be writable.
// Node finds it again for the same user, Node.js, processor and place of the files.

const root = join(import.meta.dirname, '..')
const limitMs = 60_000

// It starts a proxy and sends requests through it.
const demo = spawn(process.execPath, [join(root, 'dist/main.js'), 'demo', '--listen', '127.0.0.1:0'], { stdio: ['ignore', 'pipe', 'inherit'], timeout: limitMs })
let output = ''
for await (const chunk of demo.stdout.setEncoding('utf8')) {
  output += chunk as string
  // A second signal would end it at once.
  if (output.includes('Now try it yourself') && !demo.killed) demo.kill('SIGTERM')
}
if (demo.exitCode === null && demo.signalCode === null) await once(demo, 'exit')
if (demo.exitCode !== 0) throw new Error(`the demo ended with ${demo.exitCode ?? demo.signalCode}: ${output}`)
