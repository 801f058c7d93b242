import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')
const source = join(root, 'src/console/web')
export const builtFolder = join(root, 'dist/console/web')

/** The page is built where it isn't, or is older than what it is made of. */
export function ensureBuilt (): void {
  const built = join(builtFolder, 'index.html')
  if (existsSync(built) && statSync(built).mtimeMs > newest()) return
  execFileSync(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '-c', join(root, '.config/vite.config.ts'), '--logLevel', 'warn'], { stdio: 'inherit' })
}

function newest (): number {
  const files = readdirSync(source).map(name => join(source, name))
  return Math.max(...[...files, join(root, '.config/vite.config.ts')].map(file => statSync(file).mtimeMs))
}
