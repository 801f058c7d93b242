import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'vite'

// npm run build: the program and the console, and what V8 makes of the program, so that it starts without compiling.

const root = join(import.meta.dirname, '..')
const main = join(root, 'dist/main.js')

rmSync(join(root, 'dist'), { recursive: true, force: true })
await build({ configFile: join(root, '.config/vite.program.config.ts'), logLevel: 'warn' })
await build({ configFile: join(root, '.config/vite.config.ts'), logLevel: 'warn' })
chmodSync(main, 0o755)
mkdirSync(join(root, 'dist/compile-cache'))
await warmUp()

/** The demo goes the way of a request through every room; then Node keeps the compiled code. Without it all works, only later. */
async function warmUp (): Promise<void> {
  const child = spawn(process.execPath, [main, 'demo', '--once', '--listen', '127.0.0.1:0'], { stdio: 'ignore', timeout: 60_000, env: { PATH: process.env['PATH'] } })
  const [code] = await once(child, 'exit') as [number | null]
  if (code !== 0) console.warn(`build: a first start failed (${code ?? 'killed'}); the program will be compiled whenever it starts`)
}
