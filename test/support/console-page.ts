import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const source = join(root, 'src/console/web')
export const builtFolder = join(root, 'dist/console/web')
const lock = join(root, 'dist/console-build.lock')
const longestBuildMs = 60_000

/** The page is built where it isn't, or is older than what it is made of; by one of the tests that run at the same time. */
export function ensureBuilt (): void {
  mkdirSync(join(root, 'dist'), { recursive: true })
  while (!isFresh() || existsSync(lock)) {
    if (takeLock()) return buildAndUnlock()
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 100)
  }
}

function isFresh (): boolean {
  const built = join(builtFolder, 'index.html')
  const files = [...readdirSync(source).map(name => join(source, name)), join(root, '.config/vite.config.ts')]
  return existsSync(built) && statSync(built).mtimeMs > Math.max(...files.map(file => statSync(file).mtimeMs))
}

/** One that a killed test left behind holds nobody up for long. */
function takeLock (): boolean {
  try {
    if (existsSync(lock) && Date.now() - statSync(lock).mtimeMs > longestBuildMs) rmdirSync(lock)
    mkdirSync(lock)
    return true
  } catch {
    return false
  }
}

function buildAndUnlock (): void {
  try {
    if (isFresh()) return
    execFileSync(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '-c', join(root, '.config/vite.config.ts'), '--logLevel', 'warn'], { stdio: 'inherit' })
  } finally {
    rmdirSync(lock)
  }
}
